"""Rounds to show to rules, of random numbers and by hand."""

import torch
from hypothesis import strategies as st

from ptgflow.engine.canvas.rules import Settled, Sight


def sight(law, *, done=0, positions=None, block=None, seed=0, tokens=None):
    law = torch.as_tensor(law, dtype=torch.float64)
    positions = list(range(len(law))) if positions is None else positions
    return Sight(
        positions=torch.tensor(positions),
        tokens=law.argmax(dim=-1) if tokens is None else tokens,
        law=law.log(),
        block=block or range(positions[-1] + 1),
        round=done,
        generator=torch.Generator().manual_seed(seed),
    )


def settled(written, *, now=None, fresh=None, holes=0, done=0, seed=0):
    """`written` and `now` are probabilities."""
    count = len(written)
    written = torch.tensor(written, dtype=torch.float64).log()
    fresh = torch.tensor([False] * count if fresh is None else fresh, dtype=torch.bool)
    now = written if now is None else torch.where(fresh, written, torch.tensor(now, dtype=torch.float64).log())
    return Settled(
        positions=torch.arange(count),
        tokens=torch.zeros(count, dtype=torch.long),
        written=written,
        now=now,
        fresh=fresh,
        holes=holes,
        block=range(count + holes),
        round=done,
        generator=torch.Generator().manual_seed(seed),
    )


def surety(confidences):
    """A law of two tokens for each hole, of which the likelier has this probability (at least a half)."""
    return [[c, 1.0 - c] for c in confidences]


@st.composite
def laws(draw):
    """Laws of 1 to 8 holes over 3 tokens; some equal, some certain."""
    weights = st.lists(st.integers(0, 6), min_size=3, max_size=3).filter(any)
    rows = draw(st.lists(weights, min_size=1, max_size=8))
    return [[weight / sum(row) for weight in row] for row in rows]


shares = st.floats(0.01, 1.0)


@st.composite
def settleds(draw, least=0):
    count = draw(st.integers(least, 8))

    def several(strategy):
        return draw(st.lists(strategy, min_size=count, max_size=count))

    return settled(
        several(shares),
        now=several(shares),
        fresh=several(st.booleans()),
        holes=draw(st.integers(0, 4)),
        done=draw(st.integers(0, 12)),
        seed=draw(st.integers(0, 99)),
    )
