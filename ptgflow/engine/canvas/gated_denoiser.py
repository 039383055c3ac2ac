"""An adapted autoregressive model over canvases: its own keys and values for the text, adapters for the block in work.

Everything before the first place in work is text to the model itself: read causally, without adapters, its keys and
values kept (so they are exact, whatever is done later). The places of the block behind it see that text and each other,
and leave nothing. Logits are shifted, so the first place in work is predicted by the last token of the text: it is what
the autoregressive model predicts, and where it alone is filled, what is written is what that model writes.

A place that is doubted is read once more behind the others, as a hole, together with the place before it, which
predicts it: the two see all but their own places in the block, and nobody sees them. The first place in work and the
last one need no such thing, since what predicts them never sees them.
"""

from dataclasses import replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.gated_pass import GatedPass
from ptgflow.engine.canvas.kept_texts import KeptTexts
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree


@final
class GatedDenoiser:
    """A `Denoiser` with slots of its own for the text of each row."""

    def __init__(self, heads: Heads, model: LoadedModel, *, budget: int | None = None) -> None:
        """Lay adapters beside the model's weights, which are shared.

        Args:
            heads: of kind `masked`.
            model: what they were trained for.
            budget: most bytes of keys and values; None: no bound.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        self._pass = GatedPass(heads, model)
        self._texts = KeptTexts(self._pass, budget=budget)
        self._start = model.codec.start_id

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A row for a canvas behind a prompt of at least one token."""
        del size
        return self._texts.admit(prompt)

    def without(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The token that a text begins with: the first place has to be predicted by something."""
        del prompt
        return (self._start,)

    def free(self, row: int) -> None:
        """Drop a row's keys and values."""
        self._texts.free(row)

    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "lines vocab"]]:
        """One pass: the new text of each row, and the places in work. What is long of a text is read before it.

        Raises:
            SlotsFullError: there is no memory for the new text; no row has lost anything.
        """
        begins = [self._begin(ask) for ask in asks]
        ends = self._texts.ready({ask.row: ask.tokens[:begin] for ask, begin in zip(asks, begins, strict=True)})
        inputs = [self._input(ask, begin, ends[ask.row]) for ask, begin in zip(asks, begins, strict=True)]
        logits = self._pass(self._texts.cache, inputs)
        self._texts.commit(ends)
        found: list[Tensor] = []
        at = 0
        for ask, begin, one in zip(asks, begins, inputs, strict=True):
            # The last token of the text predicts the first place in work, and each place the one behind it.
            lines = [place - begin for place in ask.wanted]
            shadows = {place: ask.block.stop - begin + 2 * at for at, place in enumerate(_shadowed(ask, begin))}
            lines += [shadows.get(place, place - begin) for place in ask.doubted]
            found.append(logits[[at + line for line in lines]])
            at += 1 + len(one.tree)
        return found

    def _begin(self, ask: CanvasAsk) -> int:
        """The first place in work: all before it are text."""
        return min(*ask.wanted[:1], *ask.doubted[:1], min(ask.holes, default=len(ask.tokens)))

    def _input(self, ask: CanvasAsk, begin: int, end: RowInput) -> RowInput:
        # The last place of the block predicts what is behind it, and is read only if something inside wants to see it.
        seen = ask.tokens[begin : ask.block.stop - 1]
        places = [self._pass.hole if begin + at in ask.holes else token for at, token in enumerate(seen)]
        tree = _with_shadows(places, [place - begin for place in _shadowed(ask, begin)], self._pass.hole)
        return replace(end, tree=tree, mutual=True)


def _shadowed(ask: CanvasAsk, begin: int) -> list[int]:
    """Doubted places that what predicts them would see."""
    return [place for place in ask.doubted if begin < place < ask.block.stop - 1]


def _with_shadows(places: list[int], doubted: list[int], hole: int) -> TokenTree:
    """A chain of places, and for each doubted one a branch of what stands before it and of a hole."""
    tokens, parents = list(places), list(range(-1, len(places) - 1))
    for place in doubted:
        tokens += [places[place - 1], hole]
        parents += [place - 2, len(parents)]
    return TokenTree(tuple(tokens), tuple(parents))
