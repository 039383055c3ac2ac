"""`ptgflow matrix`: Tables 4 and 5 of the survey as the compiler derives them."""

from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.cli.output import print_json, table
from ptgflow.compiler.matrix import Pair, table4, table5
from ptgflow.contracts.paradigms import PARADIGMS, SIX

_MARK = {"yes": "yes", "partial": "partly", "no": "NO"}


def main(arguments: Arguments) -> int:
    """Print both tables with their reasons."""
    parts = [override.partition("=") for override in arguments.overrides]
    options = {name: value for name, _, value in parts}
    kind = options.pop("format", "text")
    if options or kind not in ("text", "json"):
        wrong = next(iter(options), f"format={kind}")
        raise UsageError(f"matrix knows no option {wrong!r}\n   help: write  format=text  or  format=json")
    if kind == "json":
        print_json(as_dict())
    else:
        print(as_text())
    return 0


def as_dict() -> dict[str, object]:
    """Both tables as data."""
    return {
        "pairs": [
            {
                "left": str(pair.left),
                "right": str(pair.right),
                "composes": pair.composes,
                "orders": [
                    {"first": str(one.first), "second": str(one.second), "fits": one.fits, "why": one.why}
                    for one in pair.orders
                ],
                "reasons": list(pair.reasons),
            }
            for pair in table4()
        ],
        "accelerators": [
            {
                "accelerator": mark.accelerator,
                "name": mark.survey_name,
                "paradigm": str(mark.paradigm),
                "fit": str(mark.fit),
                "why": mark.why,
            }
            for mark in table5()
        ],
    }


def as_text() -> str:
    """Both tables for a terminal."""
    titles = [PARADIGMS[one].title for one in SIX]
    cells = {(pair.left, pair.right): pair for pair in table4()}
    rows = [("", *titles)]
    for left in SIX:
        marks = [_pair_mark(cells.get((left, right))) for right in SIX]
        rows.append((PARADIGMS[left].title, *marks))
    refused = [pair for pair in table4() if not pair.composes]
    lines = ["Which paradigms compose (survey, Table 4), derived from what each takes and leaves", "", table(rows), ""]
    for pair in refused:
        lines.append(f"  {PARADIGMS[pair.right].survey_name} x {PARADIGMS[pair.left].survey_name}:")
        lines += [f"    {reason}" for reason in pair.reasons]
    lines += ["", "Which accelerators go with which (survey, Table 5)", ""]
    names = list(dict.fromkeys(mark.survey_name for mark in table5()))
    marks5 = [("", *titles)]
    marks5 += [(name, *(_MARK[m.fit] for m in table5() if m.survey_name == name)) for name in names]
    lines += [table(marks5), ""]
    lines += [
        f"  {mark.survey_name} x {PARADIGMS[mark.paradigm].survey_name}: {mark.why}"
        for mark in table5()
        if mark.fit != "yes"
    ]
    return "\n".join(lines)


def _pair_mark(pair: Pair | None) -> str:
    return "" if pair is None else "yes" if pair.composes else "NO"
