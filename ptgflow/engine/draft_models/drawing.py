"""A draft model that draws its tokens, for rules that judge a token by the law that it was drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.engine.growth.tree_drafter import GRADES
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.randomness import Purpose, Uniforms, uniform
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.sampling import History, Place, Prediction, draw, predict
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import EMPTY, TokenTree

_CHUNK: Final = 512
"""Tokens of a text that are read in one pass."""


@dataclass(slots=True)
class _Row:
    """What the draft model has read of one row: its text, and what it drew behind it."""

    slot: int
    read: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Chain:
    """A draft under way."""

    ask: Ask
    history: History
    size: int
    """Most tokens."""
    tokens: list[int] = field(default_factory=list[int])
    laws: list[Float64[Tensor, " vocab"]] = field(default_factory=list[Tensor])
    grades: list[int] = field(default_factory=list[int])

    @property
    def is_drawn(self) -> bool:
        return self.ask.sampling.temperature > 0


@final
class DrawingDrafter:
    """Chains drawn from the draft model's own law, which goes with them (Leviathan et al., arXiv 2211.17192, 2.3).

    The law is the draft model's after the request's penalties, temperature and filters, as the target's is (section
    2.2: all ways of sampling are sampling from an adjusted distribution), so that the two are near each other. A row at
    temperature 0 gets the likeliest tokens. Each new token is read once: a draft that is kept is not read again.
    """

    taps: tuple[int, ...] = ()

    def __init__(
        self,
        run: ModelPass,
        *,
        size: int,
        vocabulary: int,
        target_vocabulary: int,
        device: torch.device,
        least: float = 0.0,
        uniforms: Callable[[int], Uniforms] = lambda seed: partial(uniform, seed),
    ) -> None:
        """Make a drafter.

        Args:
            run: the draft model, with a cache of its own.
            size: most tokens of a chain.
            vocabulary: how many of the draft model's first tokens the target has, too.
            target_vocabulary: entries of the target's laws.
            device: where the target's laws are.
            least: a chain ends where no token has so large a chance.
            uniforms: the numbers of a seed.
        """
        self._run, self._size, self._least = run, size, least
        self._vocabulary, self._target_vocabulary, self._device = vocabulary, target_vocabulary, device
        self._uniforms = uniforms
        self._rows: dict[int, _Row] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Nothing to learn."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what the draft model has read of the shared beginning."""
        known = self._rows.get(source)
        if known is not None:
            shared = min(length, len(known.read))
            self._rows[row] = _Row(self._run.cache.fork(known.slot, shared), known.read[:shared])

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        known = self._rows.pop(row, None)
        if known is not None:
            self._run.cache.free(known.slot)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """A chain for each row."""
        chains = [self._begun(ask) for ask in asks]
        open_chains = [chain for chain in chains if chain.size]
        while open_chains:
            prediction = self._predict(open_chains)
            open_chains = [chain for line, chain in enumerate(open_chains) if self._extended(chain, prediction, line)]
        return [self._proposal(chain) for chain in chains]

    def _begun(self, ask: Ask) -> _Chain:
        """A chain without tokens. Of the text all but the end is read; the draft of the last round is cut away."""
        cache = self._run.cache
        if ask.row not in self._rows:
            self._rows[ask.row] = _Row(cache.admit())
        row = self._rows[ask.row]
        # The last token is read again where it was read before: what follows it is asked for.
        common = _common(row.read, ask.context[:-1])
        cache.rollback(row.slot, common)
        del row.read[common:]
        while len(ask.context) - len(row.read) > _CHUNK:
            self._take(row, ask.context[len(row.read) :][:_CHUNK])
        answer = len(ask.context) - ask.written
        history = History(ask.sampling, ask.context[:answer], self._target_vocabulary, self._device)
        history.extend(ask.context[answer:])
        return _Chain(ask=ask, history=history, size=min(ask.limit, self._size))

    def _take(self, row: _Row, tokens: Sequence[int]) -> None:
        self._run([RowInput(row=row.slot, tokens=tuple(tokens), wanted=False)])
        self._run.cache.commit({row.slot: range(len(tokens))})
        row.read += tokens

    def _predict(self, chains: Sequence[_Chain]) -> Prediction:
        """One pass: a line for each chain, of what may follow it."""
        rows = [self._rows[chain.ask.row] for chain in chains]
        inputs = [
            RowInput(row=row.slot, tokens=tuple(chain.tokens[-1:] or chain.ask.context[len(row.read) :]))
            for row, chain in zip(rows, chains, strict=True)
        ]
        logits = self._run(inputs)
        self._run.cache.commit({one.row: range(len(one.tokens)) for one in inputs})
        for row, given in zip(rows, inputs, strict=True):
            row.read += given.tokens
        # What the target has no token for is never drawn, and what the draft has none for has no chance.
        lines = logits.new_full((len(logits), self._target_vocabulary), -torch.inf)
        lines[:, : self._vocabulary] = logits[:, : self._vocabulary]
        places = [
            Place(
                sampling=chain.ask.sampling,
                seed=chain.ask.seed,
                history=chain.history,
                tree=EMPTY,
                start=chain.ask.written + len(chain.tokens),
                draws=False,
            )
            for chain in chains
        ]
        return predict(lines.to(self._device), places)

    def _extended(self, chain: _Chain, prediction: Prediction, line: int) -> bool:
        """Whether the chain has got another token and is to go on."""
        law = prediction.law(line)
        peak = float(law.max())
        # By the law, and not by the token that comes out: what is drawn must be free of whether it is drawn.
        if peak < self._least:
            return False
        if chain.is_drawn:
            # All numbers are of the first position: a later round asks for those of positions that are not kept, and
            # would know from what was seen here what they are.
            numbers = self._uniforms(chain.ask.seed)
            token = draw(law, numbers(chain.ask.written, Purpose.DRAFT, len(chain.tokens)))
            chain.laws.append(law)
        else:
            token = prediction.own(line)
        # The law after a drawn token tells of that token. Were the class of a node to follow from it, then how much of
        # a chain is verified would depend on what was drawn, and the text would have another law; so only the first
        # one's does, and all others are of one class.
        deeper = chain.is_drawn and chain.tokens
        chain.grades.append(GRADES if deeper else min(int(peak * GRADES), GRADES - 1))
        chain.tokens.append(token)
        chain.history.extend([token])
        return len(chain.tokens) < chain.size

    def _proposal(self, chain: _Chain) -> Proposal:
        if not chain.tokens:
            return Proposal(tree=EMPTY)
        laws = torch.stack(chain.laws) if chain.is_drawn else None
        return Proposal(tree=TokenTree.chain(chain.tokens), laws=laws, grades=tuple(chain.grades))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
