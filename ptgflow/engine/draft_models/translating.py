"""A draft model with another tokenizer: its text is encoded anew for the target."""

from collections.abc import Sequence
from typing import Final, final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.trees import EMPTY, TokenTree

_OVERLAP: Final = 8
"""Tokens before the draft that are encoded together with it: its first token may not be one that stands alone."""


@final
class TranslatingDrafter:
    """Universal assisted generation (Timor et al., arXiv 2502.05202, section 3.1: string-level exact match).

    The draft model reads the row's text in its own tokens and writes a chain; the end of the text and the chain are
    encoded as the target's tokens, and what stands behind the tokens that are there already is proposed.
    """

    taps: tuple[int, ...] = ()

    def __init__(self, draft: LoadedModel, target: LoadedModel, *, size: int, least: float = 0.0) -> None:
        """Make a drafter.

        Args:
            draft: the draft model.
            target: the target.
            size: most tokens of a chain.
            least: the draft model's tokens of a smaller chance are not drafted.
        """
        self._draft, self._target, self._size = draft, target, size
        self._drafter = ModelDrafter(draft.open_pass(), Chain(), size=size, vocabulary=draft.vocab_size, least=least)

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Nothing to learn."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do: a row that is not known is read from its beginning."""

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        self._drafter.forget(row)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """A chain for each row; nothing where the draft's text does not go on from whole tokens of the target."""
        ids = [self._draft.codec.encode(self._target.codec.decode(ask.context)) for ask in asks]
        room = self._draft.context_length - self._size - 1
        translated = [
            Ask(
                row=ask.row,
                context=list(own[-room:]),
                limit=min(ask.limit, self._size),
                written=ask.written,
                sampling=ask.sampling,
                seed=ask.seed,
            )
            for ask, own in zip(asks, ids, strict=True)
        ]
        able = [at for at, one in enumerate(translated) if one.context]
        chains = self._drafter.propose([translated[at] for at in able])
        found = [Proposal(tree=EMPTY) for _ in asks]
        for at, chain in zip(able, chains, strict=True):
            found[at] = self._back(asks[at], chain.tree.tokens)
        return found

    def _back(self, ask: Ask, written: Sequence[int]) -> Proposal:
        codec = self._target.codec
        end = list(ask.context[-_OVERLAP:])
        anew = codec.encode(codec.decode(end) + self._draft.codec.decode(written))
        # The tokens of the text must come out as they are, or what follows is not a continuation of them.
        if list(anew[: len(end)]) != end:
            return Proposal(tree=EMPTY)
        return Proposal(tree=TokenTree.chain(anew[len(end) :][: min(ask.limit, self._size)]))
