"""From answers to what is known of them: costs of all repetitions, and how good the text is."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from ptgflow.bench.cases import Case
from ptgflow.bench.contenders import Answer
from ptgflow.bench.measures.coverage import coverage, filled
from ptgflow.bench.measures.perplexity import Scorer
from ptgflow.bench.measures.repetition import distinct, repeated
from ptgflow.bench.measures.rouge import rouge_l
from ptgflow.bench.race import Heat
from ptgflow.engine.models.model import LoadedModel

SOURCE: Final = "source"
"""Stands for a text before anybody edited it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Of one text. What does not apply is None."""

    nats: float
    """Sum of the negative log-probabilities of the text's tokens under the target, given the prompt."""
    scored: int
    """How many tokens these are."""
    perplexity: float | None
    repeated_4: float | None
    distinct: tuple[float | None, ...]
    """For n-grams of one to three words."""
    filled: float | None
    coverage: float | None
    rouge_l: float | None = None
    """Against the reference's answer, as is `chrf`."""
    chrf: float | None = None
    identical: bool | None = None
    """Of a text that is promised to be the target's greedy one: whether it is `ar`'s, token by token."""
    first_difference: int | None = None
    """The first place where it is not."""
    changed: bool | None = None
    """Whether an edited text is another one than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One case and one contender."""

    seconds: tuple[float, ...]
    """Of each repetition."""
    tokens: int = 0
    text: str = ""
    rounds: int = 0
    critical_rounds: int = 0
    acceptance_length: float | None = None
    points: tuple[tuple[str | None, str], ...] = ()
    """Titles and texts of the segments."""
    how: str = ""
    stages: tuple[tuple[str, float], ...] = ()
    repeatable: bool = True
    """Whether every repetition wrote the same tokens."""
    error: str | None = None
    quality: Quality | None = None

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with a sheet for each contender."""

    case: Case
    sheets: dict[str, Sheet]


@final
class Judge:
    """Measures texts by the target and by the reference's answers."""

    def __init__(
        self,
        target: LoadedModel,
        *,
        kind: str,
        chat: bool,
        reference: str | None,
        chrf: Callable[[str, str], float] | None,
    ) -> None:
        self._target, self._kind, self._chat, self._reference, self._chrf = target, kind, chat, reference, chrf
        self._score = Scorer(target)

    def __call__(self, heat: Heat) -> Judged:
        """Sheets of all answers to a case, and of the text itself where one is edited."""
        answers = dict(heat.answers)
        if self._kind == "Text":
            ids = self._target.codec.encode(heat.case.words)
            answers = {SOURCE: (Answer(seconds=0.0, text=heat.case.words, token_ids=ids),), **answers}
        greedy = answers[self._reference][0] if self._reference is not None else None
        return Judged(heat.case, {label: self._sheet(heat.case, own, greedy) for label, own in answers.items()})

    def _sheet(self, case: Case, answers: Sequence[Answer], greedy: Answer | None) -> Sheet:
        seconds = tuple(one.seconds for one in answers)
        error = next((one.error for one in answers if one.error is not None), None)
        if error is not None:
            return Sheet(seconds=seconds, error=error)
        first = answers[0]
        return Sheet(
            seconds=seconds,
            tokens=len(first.token_ids),
            text=first.text,
            rounds=first.rounds,
            critical_rounds=first.critical_rounds,
            acceptance_length=first.acceptance_length,
            points=first.points,
            how=first.how,
            stages=first.stages,
            repeatable=all(one.token_ids == first.token_ids for one in answers),
            quality=self._quality(case, first, greedy),
        )

    def _quality(self, case: Case, answer: Answer, greedy: Answer | None) -> Quality:
        codec, compared = self._target.codec, self._against(answer, greedy)
        prompt = codec.prompt((), text=case.words, chat=self._chat).token_ids if self._kind == "Prompt" else ()
        surprise = self._score(prompt, answer.token_ids)
        return Quality(
            nats=surprise.nats,
            scored=surprise.tokens,
            perplexity=math.exp(surprise.nats / surprise.tokens) if surprise.tokens else None,
            repeated_4=repeated(answer.text),
            distinct=tuple(distinct(answer.text, size) for size in (1, 2, 3)),
            filled=filled(answer.points),
            coverage=coverage(answer.points),
            changed=answer.text != case.words if self._kind == "Text" else None,
            **compared,
        )

    def _against(self, answer: Answer, greedy: Answer | None) -> dict[str, Any]:
        if greedy is None or greedy.error is not None or answer is greedy:
            return {}
        found: dict[str, Any] = {"rouge_l": rouge_l(answer.text, greedy.text)}
        found["chrf"] = None if self._chrf is None else self._chrf(answer.text, greedy.text)
        if answer.exact and greedy.exact:
            pairs = zip(answer.token_ids, greedy.token_ids, strict=False)
            shorter = min(len(answer.token_ids), len(greedy.token_ids))
            same = answer.token_ids == greedy.token_ids
            place = next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)
            found |= {"identical": same, "first_difference": None if same else place}
        return found
