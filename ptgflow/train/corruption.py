"""Texts with mistakes in them: edits drawn at random, as many as a share of the text.

After Seed Diffusion (arXiv 2508.02193), which corrupts a text by a drawn number of insertions, deletions and
substitutions. Here there are also those that weak drafts make: a span that is said twice, and tokens in the wrong
order.
"""

import random
from collections.abc import Sequence
from typing import Final

KINDS: Final = {"replace": 4, "insert": 2, "delete": 3, "repeat": 1, "swap": 2}
"""How often each kind is drawn."""
_SPAN: Final = 3
"""Most tokens that one edit takes out, repeats or moves over."""
_LIKELY: Final = 0.75
"""Share of wrong tokens that are likely ones, where such are known."""
_OWN: Final = 0.4
"""Share of the others that stand elsewhere in the text."""

Likely = Sequence[Sequence[int]]
"""For each place of a text tokens that could well stand there."""


def corrupted(
    tokens: Sequence[int], *, share: float, vocab: int, draw: random.Random, likely: Likely | None = None
) -> tuple[int, ...]:
    """A text after some edits.

    Args:
        tokens: the text.
        share: edits for each token.
        vocab: tokens below this number are written in the place of others.
        draw: what is drawn from.
        likely: tokens to prefer in the place of others; None: those of the text, and any at all.
    """
    # Each token with the place that it came from, as places move.
    text = [(token, place) for place, token in enumerate(tokens)]
    kinds, weights = list(KINDS), list(KINDS.values())
    for _ in range(round(share * len(tokens))):
        if not text:
            break
        kind = draw.choices(kinds, weights)[0]
        at, span = draw.randrange(len(text)), min(1 + int(draw.expovariate(1.2)), _SPAN)
        token, place = text[at]
        if kind == "replace":
            text[at] = (_another(tokens, place, token, vocab, draw, likely), place)
        elif kind == "insert":
            text.insert(at, (_another(tokens, place, None, vocab, draw, likely), place))
        elif kind == "delete":
            del text[at : at + span]
        elif kind == "repeat":
            text[at:at] = text[at : at + span]
        else:
            text.insert(min(at + span, len(text) - 1), text.pop(at))
    return tuple(token for token, _ in text)


def _another(
    tokens: Sequence[int], place: int, old: int | None, vocab: int, draw: random.Random, likely: Likely | None
) -> int:
    """What is written in a place where something else stood, or nothing."""
    if likely is not None and draw.random() < _LIKELY:
        found = [one for one in likely[place] if one != old]
        if found:
            return draw.choice(found)
    return draw.choice(tokens) if draw.random() < _OWN else draw.randrange(vocab)
