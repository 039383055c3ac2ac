"""One request on its way through a decoding loop: its tokens, its figures, and where its text ends."""

from collections.abc import Sequence
from typing import final

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.engine.text_stream import cut_tokens, settled_length, stop_at
from ptgflow.engine.verify import Block


@final
class Row:
    """The state of a request between passes. The model's side of it, keys and values, is in the slot cache."""

    def __init__(self, request: DecodeRequest, codec: Codec, context_length: int) -> None:
        """Start with the prompt, of at least one token and fewer than `context_length`."""
        assert request.max_new_tokens >= 1, "a row is to write at least one token"
        self.request = request
        self.context: list[int] = list(request.prompt_ids)
        """Prompt and answer so far."""
        self.pending: tuple[int, ...] = request.prompt_ids
        """Tokens of the context that the model has not read yet: the prompt, then the last token."""
        self.finish_reason: FinishReason | None = None
        """None while the row goes on."""
        self._codec = codec
        self._room = min(request.max_new_tokens, context_length - len(request.prompt_ids))
        self._tokens: list[int] = []
        self._scores: list[float] = []
        self._verdicts: list[Verdict] = []
        self._rejected: list[int] = []
        self._passes: list[int] = []
        self._proposed = 0
        self._accepted = 0
        self._text = ""
        self._shown = 0

    def propose(self) -> tuple[int, ...]:
        """The drafter's proposals for the next pass, at most as many as the answer has room for."""
        if self.request.drafter is None:
            return ()
        limit = self._room - len(self._tokens)
        draft = tuple(self.request.drafter.propose(self.context, limit))
        assert len(draft) <= limit, "a drafter proposes at most what it was asked for"
        return draft

    def settle(self, number: int, draft: Sequence[int], block: Block) -> str:
        """Take in what pass `number` gave; the text that is settled now and was not before.

        Everything behind the first end token, the token limit or the first stop string is dropped.
        """
        self._passes.append(number)
        room = self._room - len(self._tokens)
        tokens = block.tokens[:room]
        ends = next((at for at, token in enumerate(tokens) if token in self._codec.eos_ids), None)
        read = len(tokens) if ends is None else ends + 1
        accepted = min(block.accepted, read)
        self._proposed += len(draft)
        self._accepted += accepted
        self._rejected += draft[accepted:]
        kept = tokens[:ends]
        self._tokens += kept
        self._scores += block.scores[: len(kept)]
        verdicts: list[Verdict] = ["accepted" if at < accepted else "corrected" for at in range(len(kept))]
        self._verdicts += verdicts
        self.context += kept
        self.pending = tuple(kept[-1:])
        if ends is not None:
            self.finish_reason = "stop"
        elif len(self._tokens) == self._room:
            self.finish_reason = "length"
        return self._show()

    def decoded(self) -> Decoded:
        """The result of a row that has finished."""
        assert self.finish_reason is not None, "only a finished row has a result"
        return Decoded(
            token_ids=tuple(self._tokens),
            text=self._text,
            scores=tuple(self._scores),
            verdicts=tuple(self._verdicts),
            rejected=tuple(self._rejected),
            finish_reason=self.finish_reason,
            rounds=len(self._passes),
            passes=frozenset(self._passes),
            proposed=self._proposed,
            accepted=self._accepted,
            verify_rounds=len(self._passes) - 1,
        )

    def _show(self) -> str:
        text = self._codec.decode(self._tokens)
        stops = self.request.stop
        settled = len(text) if self.finish_reason else settled_length(text, stops)
        # A stop string is complete only when its last character is, so bytes of an unfinished one are not searched.
        cut = stop_at(text if self.finish_reason else text.rstrip("\ufffd"), stops)
        if cut is not None:
            text = text[:cut]
            settled = cut
            self.finish_reason = "stop"
            self._crop(text)
        self._text = text
        new, self._shown = text[self._shown : settled], settled
        return new

    def _crop(self, text: str) -> None:
        """Keep the tokens of `text`, a prefix of the answer.

        The tokens anew of a cut token share its score evenly and have its verdict, as they are a part of it.
        """
        cut = cut_tokens(self._codec, self._tokens, text)
        self._tokens[cut.kept :] = cut.tail
        if cut.tail:
            score, verdict = self._scores[cut.kept], self._verdicts[cut.kept]
            self._scores[cut.kept :] = [score / len(cut.tail) for _ in cut.tail]
            self._verdicts[cut.kept :] = [verdict for _ in cut.tail]
        else:
            del self._scores[cut.kept :]
            del self._verdicts[cut.kept :]
