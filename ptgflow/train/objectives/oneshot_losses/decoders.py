"""For each decoder of one-shot generation the loss of a batch of windows, and how it reads them greedily."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, final

import torch.nn.functional as F
from torch import Tensor

from ptgflow.engine.oneshot.crf import lattice, viterbi
from ptgflow.engine.oneshot.ctc import best_path
from ptgflow.engine.oneshot.dag import Dag, greedy
from ptgflow.engine.oneshot.network import OneShotHeads
from ptgflow.train.objectives.oneshot_losses.crf import crf_loss
from ptgflow.train.objectives.oneshot_losses.ctc import ctc_loss
from ptgflow.train.objectives.oneshot_losses.dag import dag_loss
from ptgflow.train.objectives.oneshot_losses.windows import WindowBatch

BESIDE_CRF: Final = 0.5
"""Weight of the plain cross-entropy beside the loss of the CRF, as published (arXiv 1910.11555, section 3.4)."""

Texts = list[tuple[int, ...]]


class DecoderLoss(ABC):
    """How one decoder is trained."""

    @abstractmethod
    def value(self, heads: OneShotHeads, batch: WindowBatch) -> Tensor:
        """What is to be minimised."""

    @abstractmethod
    def texts(self, heads: OneShotHeads, batch: WindowBatch) -> Texts:
        """What the decoder reads, greedily; where a text ends in an end token, with it and whatever is behind it."""


@final
class ArgmaxLoss(DecoderLoss):
    """Cross-entropy of each place."""

    def value(self, heads: OneShotHeads, batch: WindowBatch) -> Tensor:
        del heads
        wanted = batch.learnt
        return F.cross_entropy(batch.logits[wanted], batch.tokens[wanted])

    def texts(self, heads: OneShotHeads, batch: WindowBatch) -> Texts:
        del heads
        best = batch.logits.argmax(dim=-1).tolist()
        return [tuple(line[:count]) for line, count in zip(best, batch.open_counts.tolist(), strict=True)]


@final
class CtcLoss(DecoderLoss):
    """All alignments of the answer; it has no end, since all that is written is the text."""

    def value(self, heads: OneShotHeads, batch: WindowBatch) -> Tensor:
        labels = heads.labels(batch.logits, batch.states)
        return ctc_loss(labels, batch.counts, batch.tokens, batch.lengths, blank=labels.shape[-1] - 1)

    def texts(self, heads: OneShotHeads, batch: WindowBatch) -> Texts:
        law = heads.labels(batch.logits, batch.states).log_softmax(dim=-1)
        return [one.tokens for one in best_path(law, batch.counts, blank=law.shape[-1] - 1)]


@final
class DagLoss(DecoderLoss):
    """All paths that write the answer and its end."""

    def value(self, heads: OneShotHeads, batch: WindowBatch) -> Tensor:
        return dag_loss(self._graph(heads, batch), batch.tokens, batch.lengths + 1)

    def texts(self, heads: OneShotHeads, batch: WindowBatch) -> Texts:
        return [path.tokens for path in greedy(self._graph(heads, batch))]

    def _graph(self, heads: OneShotHeads, batch: WindowBatch) -> Dag:
        assert heads.links is not None, "the decoder has links"
        tokens = batch.logits.log_softmax(dim=-1)
        return Dag(tokens=tokens, links=heads.links(batch.states), counts=batch.counts)


@final
class CrfLoss(DecoderLoss):
    """The whole text among those of the beam, and each place by itself."""

    def __init__(self) -> None:
        self._plain = ArgmaxLoss()

    def value(self, heads: OneShotHeads, batch: WindowBatch) -> Tensor:
        assert heads.transitions is not None, "the decoder has transitions"
        whole = crf_loss(batch.logits, heads.transitions(batch.states), batch.tokens, batch.open_counts)
        return whole + BESIDE_CRF * self._plain.value(heads, batch)

    def texts(self, heads: OneShotHeads, batch: WindowBatch) -> Texts:
        assert heads.transitions is not None, "the decoder has transitions"
        found = lattice(batch.logits, batch.open_counts, heads.transitions(batch.states))
        return [one.tokens for one in viterbi(found)]


DECODERS: Final[Mapping[str, DecoderLoss]] = {
    "argmax": ArgmaxLoss(),
    "ctc": CtcLoss(),
    "dag": DagLoss(),
    "crf": CrfLoss(),
}
