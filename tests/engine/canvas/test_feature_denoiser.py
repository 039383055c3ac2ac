"""dLLM-Cache against transformers' own pass, in whose modules what is to be kept is put in place of what they say."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.feature_denoiser import FeatureDenoiser
from ptgflow.engine.canvas.full_denoiser import FullDenoiser
from ptgflow.engine.canvas.kept_features import most_changed
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.errors import RunError
from tests.engine.canvas.masked_networks import LAYOUTS, VOCAB, Layout, ask, commit_surest, plain_logits

CLOSE = {"rtol": 0, "atol": 5e-5}  # Rounding in fp32: logits are of the order of 10.
MASK = MaskedConventions(mask_id=63)
NETWORKS = {
    "llada": LAYOUTS["llada"],
    "dream": LAYOUTS["dream"],
    "qwen3": Layout("qwen3", MASK),
}
each_network = pytest.mark.parametrize("name", NETWORKS)
REQUESTS = [((7, 3, 22, 9, 41), 10), ((5,), 7), ((2, 60, 13, 13, 8, 30, 1, 19), 4), ((17, 4), 12)]
OFTEN = {"prompt_interval": 4, "response_interval": 3, "share": 0.34}


def denoiser_of(layout, **more):
    return FeatureDenoiser(layout.network, layout.conventions, **(OFTEN | more))


class Overwriting:
    """One row: every place is computed in every pass, and then said to have been what it was."""

    def __init__(self, layout, prompt, size, *, prompt_interval, response_interval, share):
        self.layout, self.prompt, self.size = layout, prompt, size
        self.intervals, self.share = (prompt_interval, response_interval), share
        self.said, self.passes = {}, 0
        self.end = len(prompt) + size

    def logits(self, canvas):
        return self.overwritten(lambda: plain_logits(self.layout, self.prompt, canvas))

    def doubting(self, question):
        """Shadows stand behind the text, and nothing of them is kept."""
        exact = FullDenoiser(self.layout.plain, self.layout.conventions)
        row = exact.admit(self.prompt, self.size)
        return self.overwritten(lambda: exact.predict([replace(question, row=row)])[0])

    def overwritten(self, run):
        self.chosen = {}
        hooks = []
        for number, layer in enumerate(self.layout.plain.model.layers):
            self.due_prompt, self.due_response = (self.passes % interval == 0 for interval in self.intervals)
            hooks += [
                layer.input_layernorm.register_forward_hook(self.choose(number, layer.self_attn.v_proj)),
                layer.self_attn.k_proj.register_forward_hook(self.keep(number, "keys")),
                layer.self_attn.v_proj.register_forward_hook(self.keep(number, "values")),
                layer.self_attn.register_forward_hook(self.keep(number, "attended")),
                layer.mlp.register_forward_hook(self.keep(number, "thought")),
            ]
        try:
            return run()
        finally:
            self.passes += 1
            for hook in hooks:
                hook.remove()

    def choose(self, number, project):
        begin = len(self.prompt)

        def hook(module, given, output):
            del module, given
            prompt = list(range(begin)) if self.due_prompt else []
            response = list(range(begin, begin + self.size))
            if not self.due_response:
                now = torch.nn.functional.linear(output, project.weight, project.bias)[0, begin : begin + self.size]
                then = self.said[number, "values"][0, begin:]
                alike = [round(one, 5) for one in torch.nn.functional.cosine_similarity(now, then, dim=-1).tolist()]
                count = max(int(self.size * self.share), 1)
                response = [begin + at for at in sorted(range(self.size), key=alike.__getitem__)[:count]]
            self.chosen[number] = sorted(prompt + response)

        return hook

    def keep(self, number, what):
        def hook(module, given, output):
            del module, given
            said = output[0] if isinstance(output, tuple) else output
            if (number, what) in self.said:
                fresh, said = said, torch.cat([self.said[number, what], said[:, self.end :]], dim=1)
                places = self.chosen[number]
                if what == "values":  # Always new of the response, which is chosen by them.
                    places = sorted({*places, *range(len(self.prompt), len(self.prompt) + self.size)})
                said[:, places] = fresh[:, places]
            self.said[number, what] = said[:, : self.end].clone()
            return (said, *output[1:]) if isinstance(output, tuple) else said

        return hook


@each_network
def test_every_pass_is_that_of_the_overwritten_modules(name):
    """Rows of different lengths, joined by others later, each with intervals of its own."""
    layout = NETWORKS[name]
    denoiser = denoiser_of(layout)
    references = [Overwriting(layout, prompt, size, **OFTEN) for prompt, size in REQUESTS]
    canvases = [[None] * size for _, size in REQUESTS]
    rows, going, partial = {}, [], 0
    for turn in range(14):
        if turn in (0, 1, 2, 5):
            number = len(rows)
            rows[number] = denoiser.admit(*REQUESTS[number])
            going.append(number)
        asks = [ask(rows[at], canvases[at], range(len(canvases[at]))) for at in going]
        for at, one, found in zip(list(going), asks, denoiser.predict(asks), strict=True):
            expected = references[at].logits(canvases[at])[list(one.wanted)]
            torch.testing.assert_close(found, expected, **CLOSE)
            partial += len(references[at].chosen[1]) < len(REQUESTS[at][0]) + REQUESTS[at][1]
            commit_surest(found, one.wanted, canvases[at])
            if len(one.wanted) == 1:
                denoiser.free(rows[at])
                going.remove(at)
    assert partial > 10
    assert len(rows) == len(REQUESTS)


@each_network
@settings(max_examples=6, deadline=None)
@given(
    canvases=st.lists(st.lists(st.none() | st.integers(0, VOCAB - 2), min_size=6, max_size=6), min_size=1, max_size=4)
)
def test_what_is_always_renewed_is_exact(name, canvases):
    layout, prompt = NETWORKS[name], (5, 9, 9)
    always = denoiser_of(layout, prompt_interval=1, response_interval=1)
    row = always.admit(prompt, 6)
    for canvas in canvases:
        canvas[2] = None
        question = ask(row, canvas, range(6))
        torch.testing.assert_close(
            always.predict([question])[0], plain_logits(layout, prompt, canvas)[list(question.wanted)], **CLOSE
        )


@each_network
def test_places_are_doubted_beside_what_is_kept(name):
    layout, (prompt, size) = NETWORKS[name], REQUESTS[0]
    denoiser, reference = denoiser_of(layout), Overwriting(layout, prompt, size, **OFTEN)
    row, canvas, partial = denoiser.admit(prompt, size), [None] * size, 0
    for place in range(8):
        question = ask(row, canvas, range(size))
        written = tuple(at for at in range(size) if canvas[at] is not None)
        question = replace(question, doubted=written[-3:])
        torch.testing.assert_close(denoiser.predict([question])[0], reference.doubting(question), **CLOSE)
        partial += len(reference.chosen[0]) < len(prompt) + size
        canvas[(place * 3) % size] = 11 + place
    assert partial >= 4


def test_between_it_approximates():
    layout = NETWORKS["llada"]
    denoiser = denoiser_of(layout)
    row = denoiser.admit((5, 9), 6)
    denoiser.predict([ask(row, [None] * 6, range(6))])
    canvas = [1, 2, 3, None, None, None]
    (found,) = denoiser.predict([ask(row, canvas, range(6))])
    assert float((found - plain_logits(layout, (5, 9), canvas)[3:]).abs().nan_to_num().max()) > 0.1


def test_eager_attention_is_masked_alike():
    layout = NETWORKS["dream"]
    for canvas in ([None] * 4, [3, None, None, 8]):
        one, other = (FeatureDenoiser(network, layout.conventions) for network in (layout.network, layout.plain))
        question = ask(one.admit((1, 2), 4), canvas, range(4))
        assert other.admit((1, 2), 4) == question.row
        torch.testing.assert_close(one.predict([question]), other.predict([question]), **CLOSE)


@given(places=st.integers(1, 12), share=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_the_most_changed_are_those_that_point_elsewhere(places, share, seed):
    generator = torch.Generator().manual_seed(seed)
    now, then = torch.randn(2, places, 5, generator=generator)
    chosen = most_changed(now, then, share).tolist()
    alike = torch.nn.functional.cosine_similarity(now, then, dim=-1)
    near = 1e-5  # Nearer ones count as equal.
    assert len(chosen) == max(int(places * share), 1)
    assert chosen == sorted(set(chosen))
    assert all(alike[one] <= alike[other] + near for one in chosen for other in set(range(places)) - set(chosen))


def test_it_is_a_denoiser():
    assert isinstance(denoiser_of(NETWORKS["llada"]), Denoiser)


def test_of_places_that_have_not_changed_the_leftmost_are_taken():
    then = torch.eye(6)
    now = then.clone()
    now[4] = then[3]
    assert most_changed(now, then, 0.5).tolist() == [0, 1, 4]


def test_layers_of_another_kind_are_refused():
    network = GPTNeoXForCausalLM(
        GPTNeoXConfig(vocab_size=64, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    )
    with pytest.raises(RunError, match="it is computed as gpt_neox"):
        FeatureDenoiser(network, MASK)
