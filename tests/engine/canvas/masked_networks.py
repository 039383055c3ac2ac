"""Small random masked models of each layout, and how one row is asked in the plainest way."""

from dataclasses import dataclass, field

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.full_denoiser import FullDenoiser
from ptgflow.engine.canvas.rules import CanvasAsk

VOCAB = 64
"""Tokens that can be written are 0 to 62; 63 is the mask, and with MDLM's layout 64."""
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_SHAPES = {
    "llama": (LlamaForCausalLM, LlamaConfig),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config),
}


def random_network(shape, vocab=VOCAB, attention="sdpa"):
    build, configure = _SHAPES[shape]
    torch.manual_seed(5)
    network = build(configure(vocab_size=vocab, attn_implementation=attention, **_SIZES)).eval().requires_grad_(False)
    for weight in network.parameters():
        if weight.ndim == 1:
            weight += 0.1 * torch.randn_like(weight)
    return network


@dataclass
class Layout:
    """A family of public models in small."""

    shape: str
    conventions: MaskedConventions
    rows: int = VOCAB
    vocab: int | None = None
    network: object = field(init=False)
    plain: object = field(init=False)
    """The same weights with attention that is written out, for the reference."""

    def __post_init__(self):
        self.network = random_network(self.shape, self.rows)
        self.plain = random_network(self.shape, self.rows, "eager")

    def denoiser(self, cache="none"):
        return FullDenoiser(self.network, self.conventions, cache, vocab=self.vocab)


def _blocks(prompt_blocks):
    return {"attention": "block_causal", "block_length": 4, "prompt_blocks": prompt_blocks}


LAYOUTS = {
    "llada": Layout("llama", MaskedConventions(mask_id=63)),
    "dream": Layout("qwen2", MaskedConventions(mask_id=63, shifted=True)),
    "sdar": Layout("qwen3", MaskedConventions(mask_id=63, **_blocks("joined"))),
    "fast_dllm_v2": Layout("qwen2", MaskedConventions(mask_id=63, shifted=True, **_blocks("joined"))),
    "mdlm": Layout("llama", MaskedConventions(mask_id=64), rows=65, vocab=64),
    "one prompt block": Layout("llama", MaskedConventions(mask_id=63, **_blocks("one"))),
    "causal prompt": Layout("llama", MaskedConventions(mask_id=63, shifted=True, **_blocks("causal"))),
}
BIDIRECTIONAL = [name for name, layout in LAYOUTS.items() if layout.conventions.attention == "bidirectional"]
BLOCK_CAUSAL = [name for name in LAYOUTS if name not in BIDIRECTIONAL]


def sees(conventions, prompt, asking, seen):
    """Whether one place of a text sees another, said case by case."""
    if conventions.attention == "bidirectional":
        return True
    length = conventions.block_length
    if conventions.prompt_blocks == "joined":
        return seen // length <= asking // length
    if asking >= prompt and seen >= prompt:
        return (seen - prompt) // length <= (asking - prompt) // length
    if asking < prompt and seen < prompt:
        return conventions.prompt_blocks == "one" or seen <= asking
    return seen < prompt


def plain_logits(layout, prompt, canvas):
    """Of every place of one canvas, from one unpadded pass over the whole text; `None` in the canvas is a hole."""
    conventions, begin = layout.conventions, len(prompt)
    text = [*prompt, *(conventions.mask_id if token is None else token for token in canvas)]
    added = [
        [0.0 if sees(conventions, begin, asking, seen) else -1e30 for seen in range(len(text))]
        for asking in range(len(text))
    ]
    logits = layout.plain(torch.tensor([text]), attention_mask=torch.tensor(added)[None, None]).logits
    if conventions.shifted:
        logits = torch.cat([logits[:, :1], logits[:, :-1]], dim=1)
    logits[..., conventions.mask_id] = -torch.inf
    return logits[0, begin:, : layout.vocab]


def ask(row, canvas, block):
    """About all holes of a block."""
    holes = frozenset(place for place, token in enumerate(canvas) if token is None)
    return CanvasAsk(
        row=row,
        tokens=tuple(0 if token is None else token for token in canvas),
        holes=holes,
        block=block,
        wanted=tuple(sorted(holes & set(block))),
    )


def blocks_of(size, length):
    return [range(begin, min(begin + length, size)) for begin in range(0, size, length)]


def commit_surest(logits, wanted, canvas):
    """Write the likeliest token at the place where it is likeliest."""
    best, token = logits.log_softmax(dim=-1).max(dim=-1)
    at = int(best.argmax())
    canvas[wanted[at]] = int(token[at])
