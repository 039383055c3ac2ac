"""Tokens that are ruled out: the distribution is that of the logits without them, and the loop writes within them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest
from ptgflow.engine.sampling import History, Place, predict
from ptgflow.engine.trees import EMPTY

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PLAIN = load_model(CARD, Accelerate(forward="transformers"))
VOCAB = 300
CPU = torch.device("cpu")

samplings = st.builds(
    Sampling,
    temperature=st.one_of(st.just(0.0), st.floats(0.1, 3.0)),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 1.0)),
    top_k=st.one_of(st.none(), st.integers(1, 400)),
    min_p=st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
)


def place(sampling, allowed):
    history = History(sampling, (1, 2, 3), VOCAB, CPU)
    return Place(sampling=sampling, seed=5, history=history, tree=EMPTY, start=4, draws=True, allowed=allowed)


@settings(deadline=None)
@given(st.lists(st.tuples(samplings, st.none() | st.integers(1, VOCAB)), min_size=1, max_size=4), st.integers(0, 10**6))
def test_what_is_ruled_out_is_as_if_its_logit_were_minus_infinity(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(len(rows), VOCAB, generator=generator)
    masks = [
        None if count is None else torch.zeros(VOCAB, dtype=torch.bool).scatter(
            0, torch.randperm(VOCAB, generator=generator)[:count], value=True
        )
        for _, count in rows
    ]  # fmt: skip
    kept = logits.clone()
    found = predict(logits, [place(sampling, mask) for (sampling, _), mask in zip(rows, masks, strict=True)])
    assert torch.equal(logits, kept)
    for at, ((sampling, _), mask) in enumerate(zip(rows, masks, strict=True)):
        bare = logits[at] if mask is None else logits[at].masked_fill(~mask, -torch.inf)
        alone = predict(bare[None], [place(sampling, None)])
        assert found.tokens[at] == alone.tokens[0]
        assert mask is None or mask[found.tokens[at]]
        if sampling.temperature > 0:
            assert torch.equal(found.law(at), alone.law(0))
            assert found.scores([at], [found.tokens[at]]) == alone.scores([0], [alone.tokens[0]])
        else:
            # At temperature 0 a score is the target's own, as with a bias.
            plain = logits[at].double().log_softmax(-1)[found.tokens[at]]
            assert abs(found.scores([at], [found.tokens[at]])[0] - float(plain)) < 1e-9


class Counting:
    """Lets through one class of tokens after the other, and ends after some."""

    def __init__(self, classes, length):
        self.classes, self.length, self.asked = classes, length, []

    def allowed(self, written):
        self.asked.append(tuple(written))
        mask = torch.zeros(MODEL.vocab_size, dtype=torch.bool)
        if len(written) == self.length:
            mask[min(MODEL.codec.eos_ids)] = True
        else:
            mask[10 + len(written) % self.classes :: self.classes] = True
        return mask


def decoded(requests, *, max_rows):
    loop = DecodeLoop(MODEL, max_rows=max_rows)
    rows = [loop.admit(request) for request in requests]
    found = {}
    while not loop.idle:
        found |= loop.round().finished
    return [found[row] for row in rows]


def request(prompt, constraint, temperature=0.0):
    return DecodeRequest(
        prompt_ids=prompt, max_new_tokens=12, seed=3, sampling=Sampling(temperature=temperature), constraint=constraint
    )


def test_the_loop_writes_the_likeliest_that_is_allowed_and_other_rows_do_not_notice():
    prompts = [MODEL.codec.encode(one) for one in ("the and", "x", "Why is it so?")]
    limits = [Counting(5, 7), None, Counting(3, 20)]
    together = decoded([request(*pair) for pair in zip(prompts, limits, strict=True)], max_rows=3)
    for prompt, limit, one in zip(prompts, limits, together, strict=True):
        fresh = None if limit is None else Counting(limit.classes, limit.length)
        (alone,) = decoded([request(prompt, fresh)], max_rows=1)
        assert (one.token_ids, one.text) == (alone.token_ids, alone.text)
        if limit is None:
            continue
        assert limit.asked == [one.token_ids[:end] for end in range(len(limit.asked))]
        assert len(one.token_ids) == min(limit.length, 12)
        assert one.own is None
        assert one.finish_reason == ("stop" if limit.length < 12 else "length")
        logits = PLAIN.network(torch.tensor([[*prompt, *one.token_ids]])).logits[0, len(prompt) - 1 :]
        for at, token in enumerate(one.token_ids):
            allowed = fresh.allowed(one.token_ids[:at])
            assert allowed[token]
            assert float(logits[at][allowed].max() - logits[at][token]) < 1e-3


def test_what_is_drawn_is_allowed():
    for temperature in (0.5, 2.0):
        limit = Counting(4, 9)
        (found,) = decoded([request(MODEL.codec.encode("x"), limit, temperature)], max_rows=1)
        assert len(found.token_ids) == 9
        assert all(limit.allowed(found.token_ids[:at])[token] for at, token in enumerate(found.token_ids))
