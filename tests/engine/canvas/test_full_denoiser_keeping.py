"""Kept keys and values: exact under block-causal attention, and elsewhere the approximation that was named.

The reference keeps nothing in a cache. It computes whole texts, and overwrites, in the layers, what the projections to
keys and values say of the places that are not to be computed with what they said when these were last computed.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.canvas.keeping import DKV_INTERVAL, chooser, unchanged
from tests.engine.canvas.masked_networks import (
    BIDIRECTIONAL,
    BLOCK_CAUSAL,
    LAYOUTS,
    VOCAB,
    ask,
    blocks_of,
    commit_surest,
    plain_logits,
)

CLOSE = {"rtol": 0, "atol": 5e-5}  # Rounding in fp32: logits are of the order of 10.
KEEPINGS = ("prefix", "dual", "dkv")
tokens = st.integers(0, VOCAB - 2)


class Overwriting:
    """One row of the reference."""

    def __init__(self, layout, keeping, prompt):
        self.layout, self.keeping, self.prompt = layout, keeping, prompt
        self.said = {}
        self.last, self.passes, self.block = None, 0, None

    def logits(self, canvas, block):
        text = [*self.prompt, *canvas]
        computed = self.computed(text, canvas, block)
        hooks = []
        for number, layer in enumerate(self.layout.plain.model.layers):
            for name in ("k_proj", "v_proj"):
                hook = self.overwrite((number, name), computed)
                hooks.append(getattr(layer.self_attn, name).register_forward_hook(hook))
        try:
            found = plain_logits(self.layout, self.prompt, canvas)
        finally:
            for hook in hooks:
                hook.remove()
        self.passes = 0 if len(computed) == len(text) else self.passes + 1
        self.last, self.block = text, block
        return found

    def overwrite(self, key, computed):
        def hook(module, given, output):
            del module, given
            if key in self.said:
                fresh = output
                output = self.said[key].clone()
                output[:, computed] = fresh[:, computed]
            self.said[key] = output.clone()
            return output

        return hook

    def computed(self, text, canvas, block):
        everything = list(range(len(text)))
        begin = len(self.prompt) + block.start
        if self.layout.conventions.shifted and begin:
            begin -= 1
        if self.last is None:
            return everything
        if self.keeping == "dkv":
            if self.passes == DKV_INTERVAL - 1:
                return everything
            back = 1 if self.layout.conventions.shifted else 0
            asking = {
                max(len(self.prompt) + place - back, 0)
                for place, token in enumerate(canvas)
                if place in block and token is None
            }
            return [at for at in everything if text[at] is None or text[at] != self.last[at] or at in asking]
        if self.block != block or text[:begin] != self.last[:begin]:
            return everything
        end = len(self.prompt) + block.stop if self.keeping == "dual" else len(text)
        return everything[begin:end]


REQUESTS = [((7, 3, 22, 9, 41), 10), ((), 9), ((2, 60, 13, 13, 8, 30, 1, 19), 4)]


@pytest.mark.parametrize("keeping", KEEPINGS)
@pytest.mark.parametrize("name", BIDIRECTIONAL)
@pytest.mark.parametrize("length", [5, 16])
def test_an_approximation_is_the_one_that_was_named(name, keeping, length):
    layout = LAYOUTS[name]
    denoiser = layout.denoiser(keeping)
    rows = [denoiser.admit(prompt, size) for prompt, size in REQUESTS]
    plain = [Overwriting(layout, keeping, prompt) for prompt, _ in REQUESTS]
    canvases = [[None] * size for _, size in REQUESTS]
    todo = [blocks_of(size, length) for _, size in REQUESTS]
    differs = False
    while any(todo):
        going = [number for number, blocks in enumerate(todo) if blocks]
        asks = [ask(rows[number], canvases[number], todo[number][0]) for number in going]
        for number, one, logits in zip(going, asks, denoiser.predict(asks), strict=True):
            expected = plain[number].logits(canvases[number], todo[number][0])[list(one.wanted)]
            torch.testing.assert_close(logits, expected, **CLOSE)
            exact = plain_logits(layout, REQUESTS[number][0], canvases[number])[list(one.wanted)]
            differs = differs or not torch.allclose(logits, exact, atol=1e-3)
            commit_surest(logits, one.wanted, canvases[number])
            if len(one.wanted) == 1:
                todo[number].pop(0)
    assert differs  # It is an approximation; were it exact, this test would show nothing.


@st.composite
def walks(draw):
    """A prompt, and canvases as a loop with a wild re-masker might have them one after the other."""
    prompt, size = tuple(draw(st.lists(tokens, max_size=6))), draw(st.integers(1, 12))
    canvas = [None] * size
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        canvas = list(canvas)
        for place in draw(st.lists(st.integers(0, size - 1), max_size=4)):
            canvas[place] = draw(st.none() | tokens)
        hole = draw(st.integers(0, size - 1))
        canvas[hole] = None
        steps.append((canvas, range(draw(st.integers(0, hole)), draw(st.integers(hole + 1, size)))))
    return prompt, steps


@settings(max_examples=6, deadline=None)
@given(many=st.lists(walks(), min_size=1, max_size=3))
@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_block_causal_states_are_kept_without_a_difference(name, many):
    """Whatever is written or opened again, in this block or in an earlier one, by rows that join and leave."""
    layout = LAYOUTS[name]
    denoiser = layout.denoiser("prefix")
    rows = [denoiser.admit(prompt, len(steps[0][0])) for prompt, steps in many]
    for turn in range(max(len(steps) for _, steps in many)):
        going = [
            (row, prompt, *steps[turn]) for row, (prompt, steps) in zip(rows, many, strict=True) if turn < len(steps)
        ]
        asks = [ask(row, canvas, block) for row, _, canvas, block in going]
        for one, (_, prompt, canvas, _), found in zip(asks, going, denoiser.predict(asks), strict=True):
            torch.testing.assert_close(found, plain_logits(layout, prompt, canvas)[list(one.wanted)], **CLOSE)


@pytest.mark.parametrize("keeping", KEEPINGS)
@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_under_block_causal_attention_every_way_to_keep_is_the_exact_one(name, keeping):
    assert chooser(keeping, LAYOUTS[name].conventions) is unchanged


@settings(max_examples=6, deadline=None)
@given(many=st.lists(walks(), min_size=2, max_size=3))
@pytest.mark.parametrize("keeping", KEEPINGS)
@pytest.mark.parametrize("name", ["llada", "dream"])
def test_rows_that_keep_do_not_disturb_each_other(name, keeping, many):
    together, alone = LAYOUTS[name].denoiser(keeping), LAYOUTS[name].denoiser(keeping)
    rows = [together.admit(prompt, len(steps[0][0])) for prompt, steps in many]
    single = [alone.admit(prompt, len(steps[0][0])) for prompt, steps in many]
    for turn in range(max(len(steps) for _, steps in many)):
        going = [number for number, (_, steps) in enumerate(many) if turn < len(steps)]
        found = together.predict([ask(rows[number], *many[number][1][turn]) for number in going])
        for number, logits in zip(going, found, strict=True):
            expected = alone.predict([ask(single[number], *many[number][1][turn])])[0]
            torch.testing.assert_close(logits, expected, **CLOSE)


def widths(layout, keeping, size, length):
    """How many tokens each pass of a generation feeds to the network."""
    fed = []
    hook = layout.network.get_input_embeddings().register_forward_hook(
        lambda module, given, output: fed.append(output.shape[1])
    )
    try:
        denoiser, canvas = layout.denoiser(keeping), [None] * size
        row = denoiser.admit((1, 2, 3), size)
        for block in blocks_of(size, length):
            for _ in block:
                one = ask(row, canvas, block)
                commit_surest(denoiser.predict([one])[0], one.wanted, canvas)
    finally:
        hook.remove()
    return fed


@pytest.mark.parametrize(
    ("name", "keeping", "expected"),
    [
        ("llada", "none", [11] * 8),
        ("llada", "prefix", [11, 8, 8, 8, 11, 4, 4, 4]),
        ("llada", "dual", [11, 4, 4, 4, 11, 4, 4, 4]),
        ("llada", "dkv", [11, 8, 7, 6, 5, 4, 3, 2]),
        ("dream", "prefix", [11, 9, 9, 9, 11, 5, 5, 5]),
        ("dream", "dual", [11, 5, 5, 5, 11, 5, 5, 5]),
        ("one prompt block", "none", [7] * 4 + [11] * 4),
        # The second block's first pass computes the first one once more, for the last token of it.
        ("one prompt block", "prefix", [7, 4, 4, 4, 8, 4, 4, 4]),
    ],
)
def test_as_many_places_are_computed_as_a_way_to_keep_leaves_over(name, keeping, expected):
    assert widths(LAYOUTS[name], keeping, 8, 4) == expected
