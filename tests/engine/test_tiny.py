"""The tiny model: the same everywhere, sharp enough to compare, and lively enough to test with."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.models.tiny import CONTEXT_LENGTH, SPECIAL_TOKENS, tiny_network, tiny_tokenizer

WEIGHTS = "0d6da18aef3ebc74daa052108a2911da970d469175a3e7abe4c63d5c96248b06"


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(ModelCard(name="tiny", source="tiny"), Accelerate(forward="transformers"))


@pytest.fixture(scope="module")
def answers(tiny: LoadedModel) -> list[tuple[list[int], list[int], torch.Tensor]]:
    """Prompt, greedy answer of at most 64 tokens, and its logits, for 12 prompts of one length."""
    texts = [f"Say the thing {number} and {chr(88 + number) * 3}" for number in range(10, 22)]
    prompts = torch.tensor([tiny.codec.prompt((), text=text).token_ids for text in texts])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Threads that wait for each other on a busy machine cost more than these products.
    output = tiny.network.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=64,
        do_sample=False,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    torch.set_num_threads(threads)
    made = []
    for row, prompt in enumerate(prompts.tolist()):
        answer = [token for token in output.sequences[row, len(prompt) :].tolist() if token != 0]
        made.append((prompt, answer, torch.stack([step[row] for step in output.logits[: len(answer)]])))
    return made


def test_weights_are_these_very_numbers() -> None:
    digest = hashlib.sha256()
    for name, weight in sorted(tiny_network(tiny_tokenizer()).state_dict().items()):
        digest.update(name.encode() + weight.numpy().astype("<f4").tobytes())
    assert digest.hexdigest() == WEIGHTS


def test_building_it_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    tiny_network(tiny_tokenizer())
    assert torch.equal(torch.rand(4), expected)


def test_is_small_and_has_a_context(tiny: LoadedModel) -> None:
    assert tiny.parameters < 20_000
    assert tiny.context_length == CONTEXT_LENGTH == 2048
    assert tiny.codec.vocab_size == tiny.network.config.vocab_size == 256 + len(SPECIAL_TOKENS) + 11
    assert tiny.codec.eos_ids == {1, 2}


def test_greedy_choices_are_hardly_ever_in_doubt(answers: list) -> None:
    best = torch.cat([logits for _, _, logits in answers]).topk(2).values
    gap = best[:, 0] - best[:, 1]
    assert (gap < 1e-3).float().mean() < 0.01
    assert gap.median() > 0.5


def test_some_answers_end_and_some_do_not(answers: list) -> None:
    ended = [answer[-1] in (1, 2) for _, answer, _ in answers]
    assert 2 <= sum(ended) <= len(ended) - 2


def test_a_lookup_of_the_last_two_tokens_is_sometimes_right_and_sometimes_wrong(answers: list) -> None:
    right = wrong = 0
    for prompt, answer, _ in answers:
        text = prompt + answer
        for here in range(len(prompt), len(text)):
            earlier = [i for i in range(here - 2) if text[i : i + 2] == text[here - 2 : here]]
            right += bool(earlier) and text[earlier[-1] + 2] == text[here]
            wrong += bool(earlier) and text[earlier[-1] + 2] != text[here]
    assert right > 50
    assert wrong > 20


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    codec = Codec(tiny_tokenizer(), model="tiny")
    text = text.encode("utf-8", "ignore").decode("utf-8")
    assert codec.decode(codec.encode(text)) == text


def test_bfloat16_keeps_rotary_frequencies_whole() -> None:
    half = load_model(
        ModelCard(name="tiny", source="tiny", dtype="bfloat16"), Accelerate(forward="transformers")
    ).network
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in half.buffers() if buffer.is_floating_point()} == {torch.float32}
