"""What a pass predicts: tokens, distributions and scores for the lines of all rows and their trees."""

import math
from collections.abc import Iterable, Sequence
from typing import Final, final

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from ptgflow.engine.sampling.adjusting import adjusted
from ptgflow.engine.sampling.blocks import largest, likeliest
from ptgflow.engine.sampling.filtering import laws_of
from ptgflow.engine.sampling.laws import Laws
from ptgflow.engine.sampling.picking import picked
from ptgflow.engine.sampling.places import Line, Place, lines_of

_AT_ONCE: Final = 8
"""Lines that are scored together: few enough that a processor's cache holds them."""


def predict(logits: Float[Tensor, "positions vocab"], places: Sequence[Place]) -> "Prediction":
    """Predict for all rows of a pass at once. What a row is told, to the last bit, does not depend on the others.

    In order: repetition penalty, presence penalty, bias, what is ruled out, and at temperature > 0 then temperature,
    top-k, top-p and min-p. Penalties at a node see the text, the nodes above it and the node itself, as if these were
    written.

    Args:
        logits: the lines of all places one after the other: for each one after its text, then one after each node.
        places: what each row asks.
    """
    offsets, lines = lines_of(places)
    assert len(logits) == len(lines), "a line of logits for each place and each node"
    return Prediction(logits, offsets, lines)


@final
class Prediction:
    """The answers. Rows count the lines of logits of the pass."""

    def __init__(self, logits: Float[Tensor, "positions vocab"], offsets: list[int], lines: Sequence[Line]) -> None:
        self.offsets = offsets
        """The first row of each place."""
        self.tokens = [-1] * len(lines)
        """At each row: at temperature 0 the likeliest token, the first of equal ones; at temperature > 0 the row's own
        draw, where its place wants it; else -1."""
        self._logits = logits
        self._lines = lines
        self._laws: dict[int, tuple[Laws, int]] = {}
        self._totals: dict[int, float] = {}
        """Of rows at temperature 0, the logarithm of what their softmax divides by."""
        greedy = [row for row, line in enumerate(lines) if line.place.sampling.temperature == 0]
        if greedy:
            for row, token in zip(greedy, likeliest(adjusted(logits, lines, greedy)).tolist(), strict=True):
                self.tokens[row] = token
        self._sample([row for row, line in enumerate(lines) if line.place.draws and not self._greedy(row)], draws=True)

    def own(self, row: int) -> int:
        """The target's token: at temperature 0 the likeliest, above its own draw where one was made, else the mode."""
        return self.tokens[row] if self.tokens[row] >= 0 else int(self.law(row).argmax())

    def said(self, rows: Sequence[int]) -> list[int]:
        """The target's token in each row: what `tokens` has, and where that is nothing, the likeliest one."""
        missing = [row for row in rows if self.tokens[row] < 0]
        found = likeliest(adjusted(self._logits, self._lines, missing)).tolist() if missing else []
        known = dict(zip(missing, found, strict=True))
        return [known.get(row, self.tokens[row]) for row in rows]

    def law(self, row: int) -> Float64[Tensor, " vocab"]:
        """The distribution that is sampled at temperature > 0; at temperature 0, the plain softmax of the logits.

        It is computed when it is first asked for. Do not write to it.
        """
        if self._greedy(row):
            return self._logits[row].double().softmax(dim=-1)
        if row not in self._laws:
            # Whoever asks for one will ask for the first of every place.
            self.prepare([row, *self.offsets])
        laws, at = self._laws[row]
        return laws.law(at)

    def prepare(self, rows: Iterable[int]) -> None:
        """Compute the distributions of several rows together, which is faster than one by one when `law` is called."""
        self._sample(sorted({row for row in rows if row not in self._laws and not self._greedy(row)}), draws=False)

    def scores(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """The log-probability of `tokens[i]` in row `rows[i]` under `law`, in nats; -inf for what is never sampled."""
        assert len(rows) == len(tokens), "a token for each row"
        found = [0.0] * len(rows)
        greedy = [at for at, row in enumerate(rows) if self._greedy(row)]
        if greedy:
            wanted = torch.tensor([tokens[at] for at in greedy], device=self._logits.device)[:, None]
            plain: list[list[float]] = self._plain([rows[at] for at in greedy], wanted).tolist()
            for at, (score,) in zip(greedy, plain, strict=True):
                found[at] = score
        self.prepare(rows)
        for laws, group in self._groups(rows):
            inner = [self._laws[rows[at]][1] for at in group]
            for at, share in zip(group, laws.shares(inner, [tokens[at] for at in group]), strict=True):
                found[at] = _score(share)
        return found

    def top(self, rows: Sequence[int], count: int) -> list[tuple[tuple[int, float], ...]]:
        """For each row the `count` likeliest tokens under `law` with their scores, the likeliest first.

        Equal ones stand in the order of their ids. Tokens that are never sampled are not listed.
        """
        found: list[tuple[tuple[int, float], ...]] = [()] * len(rows)
        if count == 0:
            return found
        greedy = [at for at, row in enumerate(rows) if self._greedy(row)]
        if greedy:
            chosen = [rows[at] for at in greedy]
            ids = largest(picked(self._logits, chosen), count)[1]
            for at, tokens, scores in zip(greedy, ids.tolist(), self._plain(chosen, ids).tolist(), strict=True):
                found[at] = _ranked(tokens, scores)
        self.prepare(rows)
        for laws, group in self._groups(rows):
            listed = laws.top([self._laws[rows[at]][1] for at in group], count)
            for at, tokens, shares in zip(group, *listed, strict=True):
                found[at] = _ranked(tokens, map(_score, shares))
        return found

    def _greedy(self, row: int) -> bool:
        return self._lines[row].place.sampling.temperature == 0

    def _sample(self, rows: Sequence[int], *, draws: bool) -> None:
        """Compute the distributions of some rows, ascending, and draw from them."""
        if not rows:
            return
        scores = adjusted(self._logits, self._lines, rows)
        for group, laws in laws_of(scores, [self._lines[row].place.sampling for row in rows]):
            mine = [rows[at] for at in group]
            self._laws.update((row, (laws, at)) for at, row in enumerate(mine))
            if draws:
                for row, token in zip(mine, laws.draws([self._lines[row].uniform for row in mine]), strict=True):
                    self.tokens[row] = token

    def _groups(self, rows: Sequence[int]) -> Iterable[tuple[Laws, list[int]]]:
        """The places in `rows` of those at temperature > 0, by what holds their distributions."""
        found: dict[int, tuple[Laws, list[int]]] = {}
        for at, row in enumerate(rows):
            if not self._greedy(row):
                laws = self._laws[row][0]
                found.setdefault(id(laws), (laws, []))[1].append(at)
        return found.values()

    def _plain(self, rows: Sequence[int], ids: Int[Tensor, "rows few"]) -> Float64[Tensor, "rows few"]:
        """Log-probabilities of tokens under the plain softmax of the logits, never above 0."""
        missing = sorted({row for row in rows if row not in self._totals})
        for begin in range(0, len(missing), _AT_ONCE):
            part = missing[begin : begin + _AT_ONCE]
            lines = picked(self._logits, part).double()
            totals = lines.amax(dim=-1) - lines.log_softmax(dim=-1).amax(dim=-1)
            self._totals.update(zip(part, totals.tolist(), strict=True))
        total = torch.tensor([self._totals[row] for row in rows], dtype=torch.float64, device=ids.device)
        values = self._logits[torch.tensor(rows, device=ids.device)[:, None], ids].double()
        # A total is at least the row's largest logit, also after rounding, so no difference is above 0.
        return values - total[:, None]


def _score(share: float) -> float:
    """A probability in nats, never above 0."""
    return min(math.log(share), 0.0) if share > 0.0 else -math.inf


def _ranked(tokens: Iterable[int], scores: Iterable[float]) -> tuple[tuple[int, float], ...]:
    listed = [(token, score) for token, score in zip(tokens, scores, strict=True) if score > -math.inf]
    return tuple(sorted(listed, key=lambda pair: (-pair[1], pair[0])))
