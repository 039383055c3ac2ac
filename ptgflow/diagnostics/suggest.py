"""Did you mean: the nearest names to a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, choices: Iterable[str], *, write: str = "{}") -> str:
    """`did you mean 'x'? choices: x, y, z`: the text for `help:` of an unknown name.

    Args:
        name: what was written.
        choices: what exists.
        write: how a choice is written in place, with `{}` for its name.
    """
    names = sorted(choices)
    if not names:
        return "there is none to choose from"
    near = get_close_matches(name, names, n=2, cutoff=0.5)
    guess = f"did you mean  {' or '.join(write.format(one) for one in near)}  ? " if near else ""
    return f"{guess}choices: {', '.join(names)}"
