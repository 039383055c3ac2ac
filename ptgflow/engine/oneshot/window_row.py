"""One text on its way through the loop: a window, the same with lengths told, and candidates that are rescored."""

from dataclasses import replace
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.engine.canvas.gated_pass import Seen
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.oneshot.candidates import joined, likeliest_text
from ptgflow.engine.oneshot.lengths import likeliest
from ptgflow.engine.oneshot.network import length_classes
from ptgflow.engine.oneshot.reading.reader import Window
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.oneshot.windows import WindowAsk
from ptgflow.engine.oneshot.written import Written
from ptgflow.engine.request import Decoded
from ptgflow.engine.sampling import History, Place, predict
from ptgflow.engine.sampling.adjusting import adjusted
from ptgflow.engine.sampling.places import lines_of
from ptgflow.engine.text_stream import cut_tokens, stop_at
from ptgflow.engine.trees import EMPTY, TokenTree

_NOBODY: Final[Verdict] = "given"


@final
class OneShotRow:
    """The state of a request between rounds."""

    def __init__(self, request: OneShotRequest, codec: Codec, vocab: int, device: torch.device) -> None:
        """Start with a window of masks."""
        self.request = request
        self._codec = codec
        self._history = History(request.sampling, request.prompt_ids, vocab, device)
        self._passes: list[int] = []
        self._told: tuple[int | None, ...] = (None,)
        """For each window of the next pass the length that it is told."""
        self._texts: tuple[Written, ...] = ()
        """What is to be rescored in the next pass; nothing: there are windows in it."""
        self._found: Written | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self._found is not None

    def ask(self, row: int) -> WindowAsk:
        """What this round needs, of row `row`."""
        if self._texts:
            tree, _ = self._tree()
            return WindowAsk(row=row, trees=(tree,), masked=False)
        hole, end, places = self.request.windows.hole, self._codec.end_id, self.request.size - 1
        # The last place foresees what is behind the window, and is not read.
        trees = [
            TokenTree.chain([hole if told is None or place < told else end for place in range(places)])
            for told in self._told
        ]
        return WindowAsk(row=row, trees=tuple(trees), masked=True)

    def settle(self, number: int, found: tuple[Seen, ...]) -> str:
        """Take in what pass `number` says; the text, once there is one."""
        self._passes.append(number)
        if self._texts:
            tree, paths = self._tree()
            ended = [self._ended(one) for one in self._texts]
            best, scores = likeliest_text(found[0].logits, tree, paths, ended=ended, endings=self._endings())
            self._found = replace(self._texts[best], places=scores)
        elif self.request.lengths and self._told == (None,):
            self._told = self._likely_lengths(found[0].states)
        else:
            self._take([one for told, seen in zip(self._told, found, strict=True) for one in self._read(told, seen)])
        return self.decoded().text if self.finished else ""

    def decoded(self) -> Decoded:
        """The result of a row that has finished; without scores where nothing is known of single tokens."""
        assert self._found is not None, "only a finished row has a result"
        tokens, reason = self._kept(self._found.tokens)
        scores = self._found.places[: len(tokens)]
        text = self._codec.decode(tokens)
        cut = stop_at(text, self.request.stop)
        if cut is not None:
            text, reason = text[:cut], "stop"
            found = cut_tokens(self._codec, tokens, text)
            tokens = (*tokens[: found.kept], *found.tail)
            # The tokens anew of a cut token share its score.
            parts = [one / len(found.tail) for one in scores[found.kept :][:1] for _ in found.tail]
            scores = (*scores[: found.kept], *parts)
        return Decoded(
            token_ids=tokens,
            text=text,
            scores=scores,
            verdicts=tuple(_NOBODY for _ in tokens),
            rejected=(),
            finish_reason=reason,
            rounds=len(self._passes),
            passes=frozenset(self._passes),
            proposed=0,
            accepted=0,
            verify_rounds=0,
        )

    def _tree(self) -> tuple[TokenTree, tuple[tuple[int, ...], ...]]:
        """The candidates without their ends, as one tree, and the nodes of each."""
        return joined([one.tokens[:-1] if self._ended(one) else one.tokens for one in self._texts])

    def _ended(self, one: Written) -> bool:
        """Whether a text has its end token."""
        return bool(one.tokens) and one.tokens[-1] in self._codec.eos_ids

    def _endings(self) -> frozenset[int]:
        """What the model itself may write where a text ends: an end token, or what a stop string begins with."""
        return self._codec.eos_ids | {one for stop in self.request.stop for one in self._codec.encode(stop)[:1]}

    def _kept(self, tokens: tuple[int, ...]) -> tuple[tuple[int, ...], FinishReason]:
        """What is before the first end token, and no longer than asked for."""
        ends = next((at for at, token in enumerate(tokens) if token in self._codec.eos_ids), None)
        whole = ends is not None and ends <= self.request.max_new_tokens
        return tokens[:ends][: self.request.max_new_tokens], "stop" if whole else "length"

    def _likely_lengths(self, states: Float[Tensor, "places hidden"]) -> tuple[int, ...]:
        """The likeliest lengths of the text, in tokens, likeliest first."""
        heads = self.request.windows.heads
        most = min(self.request.size, heads.places)
        logits = heads.lengths(states[None])[:, : most + 1]
        source = torch.zeros(1, dtype=torch.long, device=logits.device)
        (found,) = likeliest(logits, source, length_classes(most), beam=self.request.lengths)
        return found

    def _read(self, told: int | None, seen: Seen) -> list[Written]:
        """What the decoder makes of a window."""
        request = self.request
        places = [
            Place(
                sampling=request.sampling,
                seed=request.seed,
                history=self._history,
                tree=EMPTY,
                start=place,
                draws=request.reader.draws,
            )
            for place in range(len(seen.logits))
        ]
        logits = adjusted(seen.logits, lines_of(places)[1], range(len(places)))
        tokens = tuple(predict(seen.logits, places).tokens)
        return request.reader.read(Window(logits=logits, states=seen.states, tokens=tokens, told=told))

    def _take(self, candidates: list[Written]) -> None:
        """Decide among the texts of the decoder, or let the model do so."""
        different: dict[tuple[int, ...], Written] = {}
        for one in candidates:
            tokens = self._closed(one)
            different.setdefault(tokens, replace(one, tokens=tokens))
        texts = list(different.values())
        most = self.request.rescored
        # A lone text is read, too, if nothing else says how likely its tokens are.
        if most and (len(texts) > 1 or len(texts[0].places) < len(texts[0].tokens) - 1):
            self._texts = tuple(texts[:most])
        else:
            self._found = texts[0]

    def _closed(self, one: Written) -> tuple[int, ...]:
        """A text up to its first end token, and this with it, where it has one."""
        tokens = one.tokens
        ends = next((at for at, token in enumerate(tokens) if token in self._codec.eos_ids), None)
        return tokens if ends is None else tokens[: ends + 1]
