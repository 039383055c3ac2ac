"""One canvas on its way through the loop: what is written, block by block, and where its text ends."""

import math
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.engine.canvas.guidance import Judging, Question
from ptgflow.engine.canvas.guidance.product import drawn, noise_for
from ptgflow.engine.canvas.lengths import Progress
from ptgflow.engine.canvas.proposal import Proposal, law_of
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import CanvasAsk, Settled, Sight
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.request import Decoded
from ptgflow.engine.sampling import History, Place, predict
from ptgflow.engine.text_stream import cut_tokens, settled_length, stop_at
from ptgflow.engine.trees import EMPTY

_STRIDE: Final = 1_000_003
"""Between the seeds of two rounds: a place that is drawn anew gets another uniform number."""

_NOBODY: Final[Verdict] = "given"


@final
class CanvasRow:
    """The state of a request between rounds."""

    def __init__(self, request: CanvasRequest, codec: Codec, vocab: int, device: torch.device) -> None:
        """Start with the canvas as it is given."""
        self.request = request
        self._codec = codec
        self._tokens = list(request.canvas)
        self._holes = {place for place, hole in enumerate(request.holes) if hole}
        self._scores: dict[int, float] = {}
        self._tops: dict[int, tuple[tuple[int, float], ...]] = {}
        self._history = History(request.sampling, request.prompt_ids, vocab, device)
        self._generator = torch.Generator().manual_seed(request.seed)
        self._block = range(0)
        self._rounds_of_block = 0
        self._passes: list[int] = []
        self._proposal: Proposal | None = None
        """Of a round under way."""
        self._guided = self._judged = self._confirmed = 0
        """How often the guide was asked, about how many tokens, and how many of these were written."""
        self._ended: FinishReason | None = None
        self._length = 0
        """Places that are part of the text, as far as is known."""
        self._text = ""
        self._shown = 0
        self._open_block()
        if not self._holes:
            self._length = len(self._tokens)
            self._finish("length")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self._ended is not None

    def ask(self, row: int) -> CanvasAsk:
        """What this round needs of the model, of row `row`."""
        return CanvasAsk(
            row=row,
            tokens=tuple(self._tokens),
            holes=frozenset(self._holes),
            block=self._block,
            wanted=tuple(self._wanted()),
            doubted=tuple(self._doubted()),
        )

    def propose(self, number: int, logits: Float[Tensor, "lines vocab"]) -> None:
        """Take in what pass `number` predicts; `settle` follows."""
        self._passes.append(number)
        logits = self._without_ends(logits)
        lines = [*self._wanted(), *self._doubted()]
        at = [line for line, place in enumerate(lines) if place in self._holes]
        holes, sampling, guidance = [lines[line] for line in at], self.request.sampling, self.request.guidance
        coupled = isinstance(guidance, Judging) and guidance.coupled and sampling.temperature > 0
        places = [self._place(place, draws=not coupled) for place in holes]
        found = predict(logits[at], places)
        law = logits[at].log_softmax(dim=-1) if sampling.temperature == 0 else law_of(found, len(at))
        noise = noise_for(law, self._generator) if coupled else None
        tokens = found.tokens if noise is None else drawn(law, noise)
        chosen: list[bool] = self._selector.select(
            Sight(
                positions=torch.tensor(holes, device=law.device),
                tokens=torch.tensor(tokens, device=law.device),
                law=law,
                block=self._block,
                round=self._rounds_of_block,
                generator=self._generator,
            )
        ).tolist()
        self._proposal = Proposal(
            lines=lines,
            logits=logits,
            holes=holes,
            places=places,
            found=found,
            law=law,
            tokens=tokens,
            noise=noise,
            chosen=chosen,
        )

    def question(self, row: int) -> Question | None:
        """What the row's guide has to be asked, of row `row`, before the proposal is settled."""
        if not isinstance(self.request.guidance, Judging):
            return None
        return self._proposed.question(row, self.request.prompt_ids, self._tokens)

    def settle(self, guided: Float[Tensor, "judged vocab"] | None = None) -> str:
        """Write what was proposed and the guide confirms; the text that is settled now and was not before."""
        one, guidance = self._proposed, self.request.guidance
        taken = [line for line, take in enumerate(one.chosen) if take]
        if isinstance(guidance, Judging):
            guided = None if guided is None else self._without_ends(guided)
            taken = list(range(one.judged(guidance, guided)))
            self._guided += guided is not None
            self._judged += 0 if guided is None else len(guided)
            self._confirmed += len(taken) - 1
        scores: list[float] = one.law.gather(1, torch.tensor(one.tokens, device=one.law.device)[:, None])[:, 0].tolist()
        tops = one.found.top(taken, self.request.sampling.logprobs or 0)
        for line, top in zip(taken, tops, strict=True):
            place = one.holes[line]
            self._tokens[place], self._scores[place], self._tops[place] = one.tokens[line], scores[line], top
            self._holes.discard(place)
        fresh = [one.holes[line] for line in taken]
        self._history.extend([self._tokens[place] for place in fresh])
        self._reopen(one.lines, one.logits, set(fresh))
        self._rounds_of_block += 1
        self._proposal = None
        return self._advance(dict(zip(one.holes, one.tokens, strict=True)))

    def decoded(self) -> Decoded:
        """The result of a row that has finished."""
        assert self._ended is not None, "only a finished row has a result"
        asked = self.request.sampling.logprobs is not None
        places = self._places()
        kept = [self._tokens[place] for place in places]
        scores = [self._scores.get(place, 0.0) for place in places]
        tops = [self._tops.get(place, ()) for place in places] if asked else []
        if self._codec.decode(kept) != self._text:
            cut = cut_tokens(self._codec, kept, self._text)
            kept = [*kept[: cut.kept], *cut.tail]
            scores[cut.kept :] = [scores[cut.kept] / len(cut.tail)] * len(cut.tail) if cut.tail else []
            tops[cut.kept :] = [()] * len(cut.tail) if asked else []
        return Decoded(
            token_ids=tuple(kept),
            text=self._text,
            scores=tuple(scores),
            tops=tuple(tops),
            verdicts=tuple(_NOBODY for _ in kept),
            rejected=(),
            finish_reason=self._ended,
            rounds=len(self._passes),
            passes=frozenset(self._passes),
            proposed=self._judged,
            accepted=self._confirmed,
            verify_rounds=self._guided,
        )

    def _wanted(self) -> list[int]:
        """The holes of the block; and where a re-masker reads how likely they are, tokens that are written, too."""
        frozen, remasker = self.request.frozen, self.request.remasker
        if remasker is None or remasker.doubts:
            return [place for place in self._block if place in self._holes]
        return [place for place in self._block if place in self._holes or not frozen[place]]

    def _doubted(self) -> list[int]:
        """What the row has written in the block, for a re-masker that doubts it."""
        if self.request.remasker is None or not self.request.remasker.doubts:
            return []
        return [place for place in self._block if place in self._scores and place not in self._holes]

    @property
    def _proposed(self) -> Proposal:
        assert self._proposal is not None, "a round proposes before it settles"
        return self._proposal

    def _place(self, place: int, *, draws: bool) -> Place:
        """What is asked about the logits of a hole."""
        return Place(
            sampling=self.request.sampling,
            seed=self.request.seed + _STRIDE * len(self._passes),
            history=self._history,
            tree=EMPTY,
            start=place,
            draws=draws,
        )

    def _without_ends(self, logits: Float[Tensor, "some vocab"]) -> Float[Tensor, "some vocab"]:
        """No chance of an end token, where the length of the text is given."""
        if self.request.length.ends:
            return logits
        return logits.index_fill(1, torch.tensor(sorted(self._codec.eos_ids), device=logits.device), -math.inf)

    def _reopen(self, wanted: list[int], logits: Float[Tensor, "lines vocab"], fresh: set[int]) -> None:
        """Let the re-masker have its say about what is written in the block."""
        if self._remasker is None:
            return
        own = self._scores
        written = [(line, place) for line, place in enumerate(wanted) if place in own and place not in self._holes]
        lines = [line for line, _ in written]
        places = [place for _, place in written]
        tokens = torch.tensor([self._tokens[place] for place in places], dtype=torch.long, device=logits.device)
        now = logits[lines].log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]
        then = torch.tensor([own[place] for place in places], device=logits.device)
        new = torch.tensor([place in fresh for place in places], dtype=torch.bool, device=logits.device)
        opened = self._remasker.reopen(
            Settled(
                positions=torch.tensor(places, dtype=torch.long, device=logits.device),
                tokens=tokens,
                written=then,
                now=torch.where(new, then, now),
                fresh=new,
                holes=sum(place in self._holes for place in self._block),
                block=self._block,
                round=self._rounds_of_block,
                generator=self._generator,
            )
        )
        self._holes |= {place for place, again in zip(places, opened.tolist(), strict=True) if again}

    def _open_block(self) -> None:
        """Go to the first block with a hole."""
        first, length = min(self._holes, default=0), self.request.block_length
        begin = first - (first - self.request.block_begins) % length
        self._block = range(max(begin, 0), min(begin + length, len(self._tokens)))
        self._rounds_of_block = 0
        self._selector = self.request.selector.opened()
        self._remasker = None if self.request.remasker is None else self.request.remasker.opened()

    def _advance(self, said: dict[int, int]) -> str:
        """See whether block or text has ended; the text that is settled now and was not before."""
        done = not any(place in self._holes for place in self._block)
        # Where something may be opened again, nothing of the block is final before all of it is written.
        settled = done or self.request.remasker is None
        final = min(self._holes, default=len(self._tokens)) if settled else self._block.start
        extent = self.request.length.extent(
            Progress(
                tokens=self._tokens,
                holes=self._holes,
                said=said,
                block=self._block,
                final=final,
                end_ids=self._codec.eos_ids,
            )
        )
        self._length = extent.length
        if extent.over:
            self._finish("stop")
        elif not self._holes:
            self._finish("stop" if extent.length < len(self._tokens) else "length")
        elif done:
            self._open_block()
        return self._show()

    def _finish(self, reason: FinishReason) -> None:
        self._ended = reason

    def _show(self) -> str:
        """Text of the places that can change no more."""
        text = self._codec.decode([self._tokens[place] for place in self._places()])
        stops = self.request.stop
        settled = len(text) if self.finished else settled_length(text, stops)
        cut = stop_at(text if self.finished else text.rstrip("\ufffd"), stops)
        if cut is not None:
            text, settled = text[:cut], cut
            self._finish("stop")
        self._text = text
        new, self._shown = text[self._shown : settled], max(settled, self._shown)
        return new

    def _places(self) -> list[int]:
        """Those of the text. An end token that the row has written and that ended nothing is none of it."""
        ends = self._codec.eos_ids
        return [place for place in range(self._length) if place not in self._scores or self._tokens[place] not in ends]
