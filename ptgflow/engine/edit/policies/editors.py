"""Editors whose policies are learnt: delete, insert placeholders, fill; insert alone; move, insert and fill."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, final

import torch

from ptgflow.engine.edit.policies.deciding import Key, Part, Policies
from ptgflow.engine.edit.policies.rewriting import HOLE, Step, revision_of
from ptgflow.engine.edit.rules import EditAsk, Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How sure a policy must be."""

    delete: float = 0.5
    """A token goes, or is moved, where the probability of that is larger."""
    insert: float = 0.5
    """Something is missing in a gap where the probability of that is larger."""
    most: int = 8
    """Placeholders of a gap in a round."""


@dataclass(slots=True)
class Draft:
    """A part on its way through a round."""

    part: Part
    steps: list[Step]
    """What is there now; a hole has the token HOLE."""
    dropped: list[float] = field(default_factory=list[float])
    """Of each token of the part the log-probability of its going."""
    chances: list[float] = field(default_factory=list[float])
    """Of each hole, from the left, the log-probability of its being there."""


class PolicyEditor(ABC):
    """What the editors share: the parts of texts, the order of the policies in a round, and the changes."""

    name: ClassVar[str]

    def __init__(self, policies: Policies, thresholds: Thresholds) -> None:
        self._policies: Final = policies
        self._thresholds: Final = thresholds

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """One round."""
        drafts = self.holed(asks)
        holed = {key: one for key, one in drafts.items() if one.chances}
        texts = {key: [None if step.token == HOLE else step.token for step in one.steps] for key, one in holed.items()}
        for key, written in self._policies.filled(texts).items():
            self._write(drafts[key], written)
        return [
            self.revision(ask, [one for key, one in drafts.items() if key[0] == ask.row], by=self.name) for ask in asks
        ]

    def holed(self, asks: Sequence[EditAsk]) -> dict[Key, Draft]:
        """What is left of each part of each text, with holes where something is missing."""
        drafts: dict[Key, Draft] = {}
        for key, part in self._policies.parts(asks).items():
            steps = [Step(token, origin=at) for at, token in enumerate(part.tokens)]
            drafts[key] = Draft(part, steps, [0.0] * len(steps))
        lines = self._policies.lines({key: one.part.tokens for key, one in drafts.items()})
        with torch.inference_mode():
            self._thin_out(drafts, lines)
            # What stands in a gap is asked of the text as it is now.
            changed = {key: one for key, one in drafts.items() if _tokens(one) != one.part.tokens}
            lines = {**lines, **self._policies.lines({key: _tokens(one) for key, one in changed.items()})}
            for key, one in drafts.items():
                self._open(one, lines[key])
        return drafts

    def free(self, row: int) -> None:
        """Drop what is known of a text."""
        self._policies.free(row)

    @abstractmethod
    def _thin_out(self, drafts: Mapping[Key, Draft], lines: Mapping[Key, torch.Tensor]) -> None:
        """What goes, and what is moved."""

    def _write(self, draft: Draft, written: Sequence[tuple[int, float]]) -> None:
        """Write what was found for the holes."""
        found = iter(zip(written, draft.chances, strict=True))
        steps: list[Step] = []
        for step in draft.steps:
            if step.token == HOLE:
                (token, score), chance = next(found)
                step = Step(token, score + chance)
            steps.append(step)
        draft.steps = steps

    def _open(self, draft: Draft, lines: torch.Tensor) -> None:
        """Put placeholders into gaps."""
        law = self._policies.net.counts(lines).log_softmax(dim=-1)
        least = math.log(self._thresholds.insert) if self._thresholds.insert > 0 else -math.inf
        missing = torch.log1p(-law[:, 0].exp().clamp(max=1.0)) > least
        scores, best = law[:, 1 : self._thresholds.most + 1].max(dim=-1)
        steps: list[Step] = []
        room = draft.part.room + len(draft.part.tokens) - len(draft.steps)
        gaps = zip(missing.tolist(), (best + 1).tolist(), scores.tolist(), strict=True)
        for gap, (open_it, count, score) in enumerate(gaps):
            count = min(count, room) if open_it and gap >= draft.part.fixed else 0
            room -= count
            steps += [Step(HOLE, score)] * count
            draft.chances += [score] * count
            steps += draft.steps[gap : gap + 1]
        draft.steps = steps

    def revision(self, ask: EditAsk, drafts: Sequence[Draft], *, by: str) -> Revision:
        """The changes of a text, of what became of its parts."""
        steps = [
            Step(step.token, step.score, None if step.origin is None else one.part.begin + step.origin, step.moved)
            for one in drafts
            for step in one.steps
        ]
        dropped = list(itertools.chain.from_iterable(one.dropped for one in drafts))
        return revision_of(self._policies.codec, ask.text, ask.token_ids, steps, dropped, by=by)


@final
class Levenshtein(PolicyEditor):
    """Delete, insert placeholders, fill (Levenshtein Transformer, Gu et al., NeurIPS 2019, section 3.2)."""

    name: ClassVar[str] = "levenshtein"

    def _thin_out(self, drafts: Mapping[Key, Draft], lines: Mapping[Key, torch.Tensor]) -> None:
        for key, one in drafts.items():
            logits = self._policies.net.deletions(lines[key])
            goes = (logits.sigmoid() > self._thresholds.delete).tolist()
            one.dropped = torch.nn.functional.logsigmoid(logits).tolist()
            one.steps = [step for at, step in enumerate(one.steps) if not goes[at] or at < one.part.fixed]


@final
class Insertion(PolicyEditor):
    """Insert alone, one token a gap in a round (Insertion Transformer, Stern et al., ICML 2019).

    Of what is missing in a gap the middle one is written, so that n tokens need about log2 n rounds (section 4.2, the
    balanced binary tree); the others are foreseen beside it, and asked for anew.
    """

    name: ClassVar[str] = "insertion"

    def _thin_out(self, drafts: Mapping[Key, Draft], lines: Mapping[Key, torch.Tensor]) -> None:
        del drafts, lines

    def _write(self, draft: Draft, written: Sequence[tuple[int, float]]) -> None:
        super()._write(draft, written)
        kept: list[Step] = []
        for new, group in itertools.groupby(draft.steps, key=lambda step: step.origin is None):
            steps = list(group)
            kept += [steps[(len(steps) - 1) // 2]] if new else steps
        draft.steps = kept


@final
class Reposition(PolicyEditor):
    """Move or drop, insert placeholders, fill (EDITOR, Xu & Carpuat, TACL 2021, section 3.1)."""

    name: ClassVar[str] = "reposition"

    def _thin_out(self, drafts: Mapping[Key, Draft], lines: Mapping[Key, torch.Tensor]) -> None:
        net = self._policies.net
        for key, one in drafts.items():
            law = net.moves(lines[key]).log_softmax(dim=-1)
            stay = net.reach + 1
            other = law.clone()
            other[:, stay] = -torch.inf
            scores, best = other.max(dim=-1)
            moves = torch.log1p(-law[:, stay].exp().clamp(max=1.0)) > math.log(max(self._thresholds.delete, 1e-9))
            steps: list[Step] = []
            told = zip(moves.tolist(), best.tolist(), scores.tolist(), strict=True)
            for at, (moves_it, choice, score) in enumerate(told):
                goes = moves_it and at >= one.part.fixed
                one.dropped[at] = score if goes else 0.0
                if not goes:
                    steps.append(one.steps[at])
                elif choice:
                    steps.append(Step(one.part.tokens[at + choice - stay], score, moved=True))
            one.steps = steps


def _tokens(draft: Draft) -> tuple[int, ...]:
    return tuple(step.token for step in draft.steps)
