"""The policies of edits, learnt from corrupted texts and what the best editor would do with them.

Losses are those of the Levenshtein Transformer (Gu et al., NeurIPS 2019, section 4): deletion on the corrupted text,
placeholders on what is left of it, where some wrong tokens have slipped through. A third one is the reposition of
EDITOR (Xu & Carpuat, TACL 2021). The model and its adapters are frozen, so holes are filled by what these know already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ptgflow.engine.edit.policies.network import PolicyNet
from ptgflow.engine.edit.policies.sighting import Sighting
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.lessons import AnsweredText, Lessons
from ptgflow.train.objectives.objective import Loss, Teacher

HITS: Final = ("deletions that are found", "deletions that are right", "gaps with something missing", "moves")
"""What the shares are of that training reports."""
_LOST: Final = 0.2
"""Share of features of states that heads do not see in a step, so that they lean on no single one."""


@final
class LevenshteinObjective:
    """The base and its adapters are read, and only the heads learn."""

    def __init__(self, config: HeadConfig, teacher: Teacher, *, lessons: Lessons, versions: int, seed: int) -> None:
        """Start from heads that know nothing.

        Args:
            config: of the heads.
            teacher: the target.
            lessons: that are learnt from.
            versions: of each text.
            seed: of the draws.
        """
        self.config = config
        self._net = PolicyNet(config)
        self._model = teacher.model
        self._lessons, self._versions, self._seed = lessons, versions, seed

    @property
    def network(self) -> PolicyNet:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        texts = answers_in(batch, self._model)
        versions = torch.randint(self._versions, (len(texts),), generator=generator).tolist()
        with torch.autocast(batch.tokens.device.type, enabled=False):
            lessons = self._lessons.of(list(zip(texts, versions, strict=True)))
        whole = self._net.lines([_thinned(one.whole, generator) for one in lessons])
        left = self._net.lines([_thinned(one.left, generator) for one in lessons])
        score = _Score()
        for one, lines, after in zip(lessons, whole, left, strict=True):
            score.deletions(self._net.deletions(lines), one.wrong)
            score.moves(self._net.moves(lines), one.moves, self._net.reach)
            score.counts(self._net.counts(after)[: len(one.counts)], one.counts, self._net.most)
        return score.loss(tokens=sum(one.whole.tokens for one in lessons))


def answers_in(batch: Batch, model: LoadedModel) -> list[AnsweredText]:
    """Of each text of a batch the prompt, the answer without its end token, and whether it had one."""
    found: list[AnsweredText] = []
    for tokens, answer in zip(batch.tokens.tolist(), batch.answers, strict=True):
        places = answer.nonzero()[:, 0].tolist()
        own = tuple(tokens[place] for place in places)
        ended = own[-1] in model.codec.eos_ids
        found.append(AnsweredText(tuple(tokens[: places[0]]), own[:-1] if ended else own, ended))
    return found


def _thinned(one: Sighting, generator: torch.Generator) -> Sighting:
    """Without some features, the same ones on all lines."""
    stays = torch.rand(one.states.shape[1], generator=generator) >= _LOST
    return Sighting(one.states * (stays / (1.0 - _LOST)).to(one.states.device), one.facts)


@dataclass(slots=True)
class _Tally:
    right: int = 0
    of: int = 0

    @property
    def share(self) -> float:
        return self.right / self.of if self.of else 1.0

    def add(self, right: Bool[Tensor, " some"], among: Bool[Tensor, " some"]) -> None:
        self.right += int((right & among).sum())
        self.of += int(among.sum())


class _Score:
    """Losses and hits of a batch."""

    def __init__(self) -> None:
        self._losses: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
        self._found, self._right, self._gaps, self._moves = _Tally(), _Tally(), _Tally(), _Tally()

    def deletions(self, logits: Float[Tensor, " tokens"], wrong: Sequence[bool]) -> None:
        truth = torch.tensor(wrong, dtype=torch.bool, device=logits.device)
        self._losses[0].append(F.binary_cross_entropy_with_logits(logits.float(), truth.float(), reduction="none"))
        self._found.add(logits > 0, truth)
        self._right.add(truth, logits > 0)

    def moves(self, logits: Float[Tensor, "tokens choices"], wanted: Sequence[int | None], reach: int) -> None:
        truth = [0 if one is None else 1 + reach + one for one in wanted]
        said = self._each(1, logits, truth)
        self._moves.add(said, torch.tensor([one not in (0, 1 + reach) for one in truth], dtype=torch.bool))

    def counts(self, logits: Float[Tensor, "gaps classes"], wanted: Sequence[int], most: int) -> None:
        truth = [min(one, most) for one in wanted]
        said = self._each(2, logits, truth)
        self._gaps.add(said, torch.tensor([one > 0 for one in truth], dtype=torch.bool))

    def loss(self, *, tokens: int) -> Loss:
        value = torch.stack([torch.cat(some).sum() / max(sum(map(len, some)), 1) for some in self._losses]).sum()
        hits = tuple(one.share for one in (self._found, self._right, self._gaps, self._moves))
        return Loss(value=value, hits=hits, tokens=tokens)

    def _each(self, which: int, logits: Float[Tensor, "some choices"], truth: Sequence[int]) -> Bool[Tensor, " some"]:
        """Take in a loss of choices; which of them are right."""
        wanted = torch.tensor(truth, dtype=torch.long, device=logits.device)
        self._losses[which].append(F.cross_entropy(logits.float(), wanted, reduction="none"))
        return (logits.argmax(dim=-1) == wanted).cpu()
