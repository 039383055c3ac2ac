"""Lists and titles that are set one way here and another way there."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ptgflow.engine.edit.changes import Change
from ptgflow.engine.edit.consistency.lines import TITLES, Line, lines_of


def layout(text: str, by: str) -> tuple[Change, ...]:
    """Numbers that go up one by one, and one way to set numbers, titles and headings: that of most of them."""
    lines = tuple(lines_of(text))
    changes = [one for several in _lists(lines) for one in _list(text, several, by)]
    changes += _headings(text, lines, by)
    return tuple(sorted(changes, key=lambda one: one.begin))


def _lists(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Numbered items that belong together: not indented, and without a heading between them.

    Where numbers begin anew without one, nobody can say whether that is a list within an item, so nothing is touched.
    """
    found: list[Line] = []
    for line in lines:
        if line.heading:
            yield found
            found = []
        elif line.item and not line.indent:
            found.append(line)
    yield found


def _list(text: str, items: Sequence[Line], by: str) -> Iterator[Change]:
    numbers = [int(one.number) for one in items]
    if len(items) < 2 or (1 in numbers[1:] and set(numbers) != {1}):
        return
    mark = _most(one.mark for one in items)
    # A title in bold alone may go on with a dash, which no other one does.
    titled = [one for one in items if one.style in ("inside", "outside", "plain")]
    style = _most(one.style for one in titled)
    for number, one in enumerate(items, numbers[0]):
        begin = one.begin
        new, old = f"{number}{mark}", f"{one.number}{one.mark}"
        if new != old:
            yield Change(begin=begin, old=old, new=new, by=by, why="items are numbered one by one and alike")
        if one in titled and one.style != style:
            yield _set(text, one, TITLES[style].format(one.title), by)


def _headings(text: str, lines: Sequence[Line], by: str) -> Iterator[Change]:
    """Lines that are nothing but a title: some with hashes, some in bold."""
    titles = [one for one in lines if (one.heading or (one.style == "bold" and not one.mark)) and _bare(text, one)]
    hashes = [one for one in titles if one.heading]
    if not hashes or len(hashes) == len(titles):
        return
    most = 2 * len(hashes) >= len(titles)
    level = _most(one.mark for one in hashes)
    for one in titles:
        if one.heading and not most:
            yield _whole(text, one, f"**{text[one.content : one.end].strip()}**", by)
        elif not one.heading and most:
            yield _whole(text, one, f"{level} {one.title}", by)


def _bare(text: str, one: Line) -> bool:
    """Whether a line is a title and nothing more that could be lost or doubled by setting it another way."""
    if not one.heading:
        return not text[one.body : one.end].strip()
    words = text[one.content : one.end].strip()
    return bool(words) and "*" not in words and ":" not in words and len(words) <= 80 and not one.indent


def _set(text: str, one: Line, new: str, by: str) -> Change:
    end = one.content + len(TITLES[one.style].format(one.title))
    return Change(begin=one.content, old=text[one.content : end], new=new, by=by, why="titles of items are set alike")


def _whole(text: str, one: Line, new: str, by: str) -> Change:
    begin = one.begin + len(text[one.begin : one.end]) - len(text[one.begin : one.end].lstrip())
    return Change(begin=begin, old=text[begin : one.end], new=new, by=by, why="headings are set alike")


def _most(values: Iterable[str]) -> str:
    """What most are; of several the first. Empty for none."""
    counted = Counter(values)
    return max(counted, key=lambda one: counted[one], default="")
