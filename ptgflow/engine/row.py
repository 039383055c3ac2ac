"""One request on its way through a decoding loop: its tokens, its figures, and where its text ends."""

from typing import final

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.request import Decoded, DecodeRequest, Proposal
from ptgflow.engine.text_stream import cut_tokens, settled_length, stop_at
from ptgflow.engine.trees import EMPTY
from ptgflow.engine.verify import Block

NOTHING = Proposal(tree=EMPTY)


@final
class Row:
    """The state of a request between passes. The model's side of it, keys and values, is in the slot cache."""

    def __init__(self, request: DecodeRequest, codec: Codec, context_length: int) -> None:
        """Start with the prompt, of at least one token and fewer than `context_length`."""
        assert request.max_new_tokens >= 1, "a row is to write at least one token"
        self.request = request
        self.context: list[int] = list(request.prompt_ids)
        """Prompt and answer so far."""
        self.finish_reason: FinishReason | None = None
        """None while the row goes on."""
        self._codec = codec
        self._room = min(request.max_new_tokens, context_length - len(request.prompt_ids))
        self._tokens: list[int] = []
        self._scores: list[float] = []
        self._tops: list[tuple[tuple[int, float], ...]] = []
        self._verdicts: list[Verdict] = []
        self._own: list[bool] = []
        self._rejected: list[int] = []
        self._passes: list[int] = []
        self._verify_rounds = 0
        self._proposed = 0
        self._accepted = 0
        self._agreed = 0
        self._end_id: int | None = None
        self._text = ""
        self._shown = 0

    @property
    def written(self) -> int:
        """How many tokens the answer has so far."""
        return len(self.context) - len(self.request.prompt_ids)

    @property
    def answer(self) -> list[int]:
        """Its tokens so far."""
        return self.context[len(self.request.prompt_ids) :]

    def propose(self, limit: int) -> Proposal:
        """What the row's own drafter proposes: at most `limit` nodes, and no deeper than what is left of the answer.

        The target writes the last token of an answer itself, so of the room that is left one place is its own.
        """
        limit = self.limit(limit)
        drafter = self.request.drafter
        if drafter is None or limit < 1:
            return NOTHING
        proposal = drafter.propose(self.context, limit)
        assert len(proposal.tree) <= limit, "a drafter proposes at most what it was asked for"
        return proposal

    def limit(self, limit: int) -> int:
        """How many of so many proposed tokens can come to be written."""
        return min(limit, self._room - self.written - 1)

    def see(self, number: int) -> None:
        """Count a pass that only read a part of the prompt, or of what was read before."""
        self._passes.append(number)

    def settle(self, number: int, proposal: Proposal, block: Block) -> str:
        """Take in what pass `number` gave; the text that is settled now and was not before.

        Everything behind the first end token, the token limit or the first stop string is dropped.
        """
        self._verify_rounds += self.written > 0
        self._passes.append(number)
        tokens = block.tokens[: self._room - self.written]
        ends = next((at for at, token in enumerate(tokens) if token in self._codec.eos_ids), None)
        read = len(tokens) if ends is None else ends + 1
        path = block.path[:read]
        self._proposed += len(proposal.tree)
        self._accepted += len(path)
        agreed = block.agreed[: len(path)]
        self._agreed += sum(agreed)
        kept_nodes = set(path)
        self._rejected += (token for node, token in enumerate(proposal.tree.tokens) if node not in kept_nodes)
        kept = tokens[:ends]
        self._tokens += kept
        self._scores += block.scores[: len(kept)]
        self._tops += block.tops[: len(kept)]
        verdicts: list[Verdict] = ["accepted" if at < len(path) else "corrected" for at in range(len(kept))]
        self._verdicts += verdicts
        self._own += (*agreed, True)[: len(kept)]
        self.context += kept
        if ends is not None:
            self._end_id = tokens[ends]
            self.finish_reason = "stop"
        elif self.written == self._room:
            self.finish_reason = "length"
        return self._show()

    def decoded(self) -> Decoded:
        """The result of a row that has finished."""
        assert self.finish_reason is not None, "only a finished row has a result"
        return Decoded(
            token_ids=tuple(self._tokens),
            text=self._text,
            scores=tuple(self._scores),
            tops=tuple(self._tops),
            verdicts=tuple(self._verdicts),
            rejected=tuple(self._rejected),
            finish_reason=self.finish_reason,
            rounds=len(self._passes),
            passes=frozenset(self._passes),
            proposed=self._proposed,
            accepted=self._accepted,
            agreed=self._agreed,
            own=None if self.request.sampling.temperature > 0 or self.request.constraint else sum(self._own),
            end_id=self._end_id,
            verify_rounds=self._verify_rounds,
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

        The tokens anew of a cut token share its score evenly and have its verdict, as they are a part of it; the other
        tokens that might have stood there are told once, with the first of them.
        """
        cut = cut_tokens(self._codec, self._tokens, text)
        self._tokens[cut.kept :] = cut.tail
        tail = len(cut.tail)
        self._scores[cut.kept :] = [self._scores[cut.kept] / tail for _ in cut.tail]
        self._verdicts[cut.kept :] = [self._verdicts[cut.kept] for _ in cut.tail]
        self._own[cut.kept :] = [self._own[cut.kept] for _ in cut.tail]
        if self._tops:
            self._tops[cut.kept :] = [self._tops[cut.kept] if not at else () for at in range(tail)]
