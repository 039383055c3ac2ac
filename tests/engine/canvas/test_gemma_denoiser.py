"""DiffusionGemma's layout against one row asked as transformers' own generation asks it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.canvas.gemma_denoiser import GemmaDenoiser
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.errors import RunError
from tests.engine.canvas.gemma_networks import noisy_logits, tiny_gemma
from tests.engine.canvas.masked_networks import ask, blocks_of, commit_surest, random_network

VOCAB, WINDOW, SEED = 64, 6, 3
CLOSE = {"rtol": 0, "atol": 5e-5}  # Rounding in fp32: logits are of the order of 10.
tokens = st.integers(0, VOCAB - 1)


GEMMA = tiny_gemma(VOCAB, window=WINDOW)


def plainly_generated(prompt, size, length):
    canvas, passes, seen = [None] * size, 0, []
    for block in blocks_of(size, length):
        said = None
        for _ in block:
            said = noisy_logits(GEMMA, prompt, canvas, block, said, passes, seed=SEED)
            wanted = [place for place in block if canvas[place] is None]
            seen.append(said[0, [place - block.start for place in wanted]])
            commit_surest(seen[-1], wanted, canvas)
            passes += 1
    return canvas, seen


def generated(denoiser, requests):
    """What is written, and what was seen on the way, of prompts, sizes of canvases and lengths of blocks."""
    rows = [denoiser.admit(tuple(prompt), size) for prompt, size, _ in requests]
    canvases, seen = [[None] * size for _, size, _ in requests], [[] for _ in requests]
    todo = [blocks_of(size, length) for _, size, length in requests]
    while any(todo):
        going = [number for number, blocks in enumerate(todo) if blocks]
        asks = [ask(rows[number], canvases[number], todo[number][0]) for number in going]
        for number, one, logits in zip(going, asks, denoiser.predict(asks), strict=True):
            seen[number].append(logits)
            commit_surest(logits, one.wanted, canvases[number])
            if len(one.wanted) == 1:
                todo[number].pop(0)
    for row in rows:
        denoiser.free(row)
    return list(zip(canvases, seen, strict=True))


def assert_same(found, expected):
    assert found[0] == expected[0]
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_rows_of_a_batch_are_written_as_transformers_would_write_each_of_them():
    """With prompts shorter and longer than the window of half of its layers, and blocks that begin at any time."""
    requests = [([7, 3, 22, 9, 41, 8, 8, 1, 30, 5], 7, 3), ([5], 8, 2), ([2, 60, 13, 13], 3, 8)]
    for found, request in zip(generated(GemmaDenoiser(GEMMA, seed=SEED), requests), requests, strict=True):
        assert_same(found, plainly_generated(*request))


some_requests = st.tuples(st.lists(tokens, min_size=1, max_size=9), st.integers(1, 5), st.integers(1, 4))


@settings(max_examples=5, deadline=None)
@given(requests=st.lists(some_requests, min_size=2, max_size=4))
def test_a_row_is_what_it_is_alone(requests):
    for found, request in zip(generated(GemmaDenoiser(GEMMA, seed=SEED), requests), requests, strict=True):
        assert_same(found, generated(GemmaDenoiser(GEMMA, seed=SEED), [request])[0])


def test_eager_attention_is_masked_alike():
    requests = [([7, 3, 22, 9, 41, 8, 8, 1], 4, 2), ([5, 2], 3, 2)]
    eager = generated(GemmaDenoiser(tiny_gemma(VOCAB, window=WINDOW, attention="eager"), seed=SEED), requests)
    for found, expected in zip(eager, generated(GemmaDenoiser(GEMMA, seed=SEED), requests), strict=True):
        assert_same(found, expected)


def test_a_text_that_changes_is_read_anew():
    denoiser = GemmaDenoiser(GEMMA, seed=SEED)
    row, canvas = denoiser.admit((1, 2, 3), 4), [5, 6, None, None]
    denoiser.predict([ask(row, canvas, range(2, 4))])
    canvas[1] = 9
    said = noisy_logits(GEMMA, (1, 2, 3), [5, 6, None, None], range(2, 4), None, 0, seed=SEED)
    expected = noisy_logits(GEMMA, (1, 2, 3), canvas, range(2, 4), said, 1, seed=SEED)[0]
    torch.testing.assert_close(denoiser.predict([ask(row, canvas, range(2, 4))])[0], expected, **CLOSE)


def test_a_hole_before_a_block_is_refused():
    denoiser = GemmaDenoiser(GEMMA)
    row = denoiser.admit((1,), 4)
    with pytest.raises(AssertionError, match="from left to right"):
        denoiser.predict([ask(row, [None] * 4, range(2, 4))])


def test_it_is_a_denoiser():
    assert isinstance(GemmaDenoiser(GEMMA), Denoiser)


def test_another_architecture_is_refused():
    with pytest.raises(RunError, match="its architecture is 'llama'"):
        GemmaDenoiser(random_network("llama"))


def test_a_place_cannot_be_doubted_where_there_is_no_mask():
    denoiser = GemmaDenoiser(GEMMA)
    one = ask(denoiser.admit((1,), 4), [5, None, 6, None], range(4))
    with pytest.raises(RunError, match="it has no mask token"):
        denoiser.predict([replace(one, doubted=(2,))])


def test_without_a_prompt_the_first_token_of_texts_is_read(monkeypatch):
    denoiser = GemmaDenoiser(GEMMA)
    assert denoiser.without((7, 8)) == (GEMMA.config.text_config.bos_token_id,)
    monkeypatch.setattr(GEMMA.config.text_config, "bos_token_id", None)
    with pytest.raises(RunError, match="names no token that a text begins with"):
        denoiser.without((7, 8))
