"""The loop of one-shot generation against its definition in one plain sequence."""

import pytest
import torch

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.oneshot.lengths import likeliest
from ptgflow.engine.oneshot.network import length_classes
from ptgflow.engine.oneshot.reading.argmax import ArgmaxReader
from tests.engine.oneshot.trained import (
    END,
    ENDS,
    MODEL,
    PLACES,
    cut_at_end,
    heads_for,
    own_scores,
    prompt_of,
    states_of,
    windows_for,
    written,
)

HEADS = heads_for("argmax")
WINDOWS = windows_for("argmax")
READER = ArgmaxReader(END)
PROMPTS = [prompt_of(seed, length) for seed, length in enumerate((7, 3, 12, 1))]


def told_text(prompt, told):
    _, logits = states_of(WINDOWS, HEADS, prompt, told)
    return tuple(logits.argmax(dim=-1)[:told].tolist())


def lengths_of(prompt, count):
    states, _ = states_of(WINDOWS, HEADS, prompt)
    logits = WINDOWS.heads.lengths(states[None])
    return likeliest(logits, torch.zeros(1, dtype=torch.long), length_classes(PLACES), beam=count)[0]


def test_without_a_length_the_text_is_the_likeliest_token_of_each_place():
    for prompt, found in zip(PROMPTS, written(WINDOWS, READER, PROMPTS), strict=True):
        _, logits = states_of(WINDOWS, HEADS, prompt)
        assert found.token_ids == cut_at_end(logits.argmax(dim=-1).tolist())
        assert found.rounds == 1
        own = logits.log_softmax(dim=-1).max(dim=-1).values.tolist()
        assert found.scores == pytest.approx(own[: len(found.token_ids)], abs=1e-4)


def test_the_first_token_is_the_models_own():
    for prompt, found in zip(PROMPTS, written(WINDOWS, READER, PROMPTS), strict=True):
        tried = range(MODEL.vocab_size)
        assert found.token_ids[0] == max(tried, key=lambda token, prompt=prompt: own_scores(prompt, (token,))[0])


def test_a_predicted_length_is_told_to_a_second_window():
    for prompt, found in zip(PROMPTS, written(WINDOWS, READER, PROMPTS, lengths=1), strict=True):
        (length,) = lengths_of(prompt, 1)
        assert found.token_ids == cut_at_end(told_text(prompt, length))
        assert found.rounds == 2
        assert found.finish_reason == "stop"


@pytest.mark.parametrize("stop", [(), ("q",)])
def test_of_several_lengths_the_model_itself_takes_the_likeliest_text_for_each_token(stop):
    different = 0
    endings = ENDS | {MODEL.codec.encode(one)[0] for one in stop}
    prompts = [prompt_of(seed) for seed in range(5, 15)]
    options = {"lengths": 4, "rescored": 4, "stop": stop}
    for prompt, found in zip(prompts, written(WINDOWS, READER, prompts, **options), strict=True):
        texts = [cut_at_end(told_text(prompt, length)) for length in lengths_of(prompt, 4)]
        scores = {text: own_scores(prompt, text, endings) for text in texts}
        best = max(texts, key=lambda text: sum(scores[text]) / (len(text) + 1))
        assert not set("".join(stop)) & set(MODEL.codec.decode(best)), "nothing is cut"
        assert found.token_ids == best
        assert found.scores == pytest.approx(scores[best][:-1], abs=1e-4)
        assert found.rounds == 3
        different += best != texts[0]
    assert different, "the choice is not always the likeliest length"


@pytest.mark.parametrize("more", [{}, {"lengths": 1}, {"lengths": 3, "rescored": 3}])
def test_a_row_is_written_as_alone_whatever_is_beside_it(more):
    together = written(WINDOWS, READER, PROMPTS, **more)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (alone,) = written(WINDOWS, READER, [prompt], **more)
        assert (alone.token_ids, alone.text, alone.finish_reason) == (found.token_ids, found.text, found.finish_reason)


def test_keys_and_values_of_all_windows_go():
    written(WINDOWS, READER, PROMPTS, lengths=3, rescored=3)
    assert len(WINDOWS._texts.cache) == 0
    WINDOWS._texts.cache.check()


def test_a_text_is_cut_where_it_may_be_no_longer_and_where_it_stops():
    prompt = PROMPTS[0]
    (whole,) = written(WINDOWS, READER, [prompt], lengths=1)
    assert len(whole.token_ids) > 2
    (short,) = written(WINDOWS, READER, [prompt], lengths=1, max_new_tokens=2)
    assert (short.token_ids, short.finish_reason) == (whole.token_ids[:2], "length")
    stop = whole.text[2]
    (stopped,) = written(WINDOWS, READER, [prompt], lengths=1, stop=(stop,))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert MODEL.codec.decode(stopped.token_ids) == stopped.text
    assert len(stopped.scores) == len(stopped.token_ids)
    assert stopped.finish_reason == "stop"


def test_what_is_drawn_is_drawn_of_each_places_law():
    sampling = Sampling(temperature=1.0)
    _, logits = states_of(WINDOWS, HEADS, PROMPTS[0])
    law, count = logits.softmax(dim=-1), 400
    found = [written(WINDOWS, READER, [PROMPTS[0]], sampling=sampling, seed=seed)[0] for seed in range(count)]
    first = int(law[0].argmax())
    share = sum(one.token_ids[:1] == (first,) for one in found) / count
    assert share == pytest.approx(float(law[0, first]), abs=4 * (0.25 / count) ** 0.5)


def test_a_bias_bears_on_every_place():
    banned = {token for one in written(WINDOWS, READER, PROMPTS) for token in one.token_ids}
    sampling = Sampling(logit_bias=tuple((token, -100.0) for token in sorted(banned)))
    for one in written(WINDOWS, READER, PROMPTS, sampling=sampling):
        assert not banned & set(one.token_ids)
