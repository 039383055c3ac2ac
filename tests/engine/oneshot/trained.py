"""Random one-shot weights for the tiny model, and what they say by definition."""

import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.oneshot.loop import OneShotLoop
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.oneshot.windows import Windows
from tests.engine.heads_of_tiny import config_of, modules, net_of, window_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
OUTPUT = MODEL.output_rows(torch.arange(MODEL.vocab_size))
END = MODEL.codec.end_id
ENDS = MODEL.codec.eos_ids
PLACES = 6


def heads_for(decoder):
    config = config_of("oneshot", MODEL, decoder=decoder, block_length=PLACES)
    tensors = {name: one.detach() for name, one in net_of(config).state_dict().items()}
    return Heads(config, tensors, torch.arange(MODEL.vocab_size))


def windows_for(decoder):
    return Windows(heads_for(decoder), MODEL)


def prompt_of(seed, length=7):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(3, 200, (length,), generator=generator).tolist())


def states_of(windows, heads, prompt, told=None):
    """What predicts each place of a window, in one sequence of transformers' modules: and the logits."""
    window = [None if told is None or place < told else END for place in range(PLACES - 1)]
    states = window_states(heads, prompt, window)[len(prompt) - 1 :]
    return states, states @ OUTPUT.T


def own_scores(prompt, text, endings=()):
    """What the model itself says of a text behind a prompt: log-probabilities of its tokens, and then of any ending."""
    from tests.engine.heads_of_tiny import _gate

    decoder = modules()
    _gate(decoder, heads_for("argmax"), len(prompt) + len(text))
    with torch.no_grad():
        states = decoder(input_ids=torch.tensor([[*prompt, *text]]), use_cache=False).last_hidden_state[0]
    law = (states @ OUTPUT.T).log_softmax(dim=-1)
    scores = [float(law[len(prompt) - 1 + at, token]) for at, token in enumerate(text)]
    return [*scores, float(law[-1, sorted(endings)].logsumexp(0))] if endings else scores


def written(windows, reader, prompts, **more):
    """What a loop makes of prompts, all at once."""
    loop = OneShotLoop(MODEL, windows, max_rows=8)
    requests = [
        OneShotRequest(prompt_ids=one, windows=windows, reader=reader, size=PLACES, **{"max_new_tokens": 99, **more})
        for one in prompts
    ]
    rows = [loop.admit(request) for request in requests]
    found = {}
    while not loop.idle:
        found.update(loop.round().finished)
    return [found[row] for row in rows]


def cut_at_end(tokens):
    tokens = list(tokens)
    ends = next((at for at, token in enumerate(tokens) if token in ENDS), None)
    return tuple(tokens[:ends])
