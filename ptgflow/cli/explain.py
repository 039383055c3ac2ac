"""`ptgflow explain CODE`: the page of a diagnostic."""

import sys

from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.diagnostics.codes import RULES
from ptgflow.diagnostics.pages import page
from ptgflow.diagnostics.suggest import hint


def main(arguments: Arguments) -> int:
    """Print one page, or the list of codes when none is named."""
    if not arguments.overrides:
        print("\n".join(f"{rule.code}  {rule.slug}" for rule in RULES.values()))
        return 0
    for asked in arguments.overrides:
        code = asked.upper() if asked.upper().startswith("PTG") else f"PTG{asked}"
        rule = RULES.get(code)
        if rule is None:
            raise UsageError(f"there is no diagnostic {asked!r}\n   help: {hint(code, RULES, write='{}')}")
        _print(page(rule))
    return 0


def _print(markdown: str) -> None:
    if not sys.stdout.isatty():
        print(markdown, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown))
