"""A draft model that draws its tokens, for rules that judge a token by the law that it was drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.engine.draft_models.readings import Readings
from ptgflow.engine.growth.tree_drafter import GRADES
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.randomness import Purpose, Uniforms, uniform
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.sampling import History, Place, Prediction, draw, predict
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import EMPTY, TokenTree


@dataclass(slots=True)
class _Chain:
    """A draft under way."""

    ask: Ask
    history: History
    size: int
    """Most tokens."""
    rest: tuple[int, ...]
    """Tokens of the text that are read with the first of the chain's passes."""
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
        self._rows = Readings(run)

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Nothing to learn."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what the draft model has read of the shared beginning."""
        self._rows.fork(row, source, length)

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        self._rows.forget(row)

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
        rest = self._rows.catch_up(ask.row, ask.context)
        answer = len(ask.context) - ask.written
        history = History(ask.sampling, ask.context[:answer], self._target_vocabulary, self._device)
        history.extend(ask.context[answer:])
        return _Chain(ask=ask, history=history, size=min(ask.limit, self._size), rest=rest)

    def _predict(self, chains: Sequence[_Chain]) -> Prediction:
        """One pass: a line for each chain, of what may follow it."""
        read = {chain.ask.row: tuple(chain.tokens[-1:]) or chain.rest for chain in chains}
        logits = self._run([RowInput(row=self._rows[row].slot, tokens=tokens) for row, tokens in read.items()])
        self._rows.keep(read)
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
