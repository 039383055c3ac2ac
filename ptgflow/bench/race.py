"""Taking turns: every contender on every case, one after the other, so that what a machine does meanwhile hits all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ptgflow.bench.cases import Case
from ptgflow.bench.contenders import Answer, Contender


@dataclass(frozen=True, slots=True)
class Heat:
    """A case, and by label what each contender made of it in each repetition."""

    case: Case
    answers: dict[str, tuple[Answer, ...]]


Tell = Callable[[int, int], None]
"""Is told how many answers are there, and of how many."""


def race(contenders: Sequence[Contender], cases: Sequence[Case], *, repeats: int, tell: Tell) -> Iterator[Heat]:
    """Answer every case `repeats` times with every contender; each case as it is finished.

    The one that begins is another one each time. A first answer of each, before any that counts, takes with it what
    only first calls have to do: shapes of passes that a device records, costs that are measured once.
    """
    done, total = 0, len(contenders) * len(cases) * repeats
    for contender in contenders:
        tell(done, total)
        contender.answer(cases[0])
    for number, case in enumerate(cases):
        found: dict[str, list[Answer]] = {one.label: [] for one in contenders}
        for turn in range(repeats):
            begin = (number + turn) % len(contenders)
            for contender in (*contenders[begin:], *contenders[:begin]):
                tell(done, total)
                found[contender.label].append(contender.answer(case))
                done += 1
        yield Heat(case, {label: tuple(answers) for label, answers in found.items()})
