"""The `tiny` model: a few thousand random weights and a real byte-level tokenizer, made in memory, the same everywhere.

It is for tests and documentation. Its words mean nothing, but it has everything that the engine meets in a real model:
grouped-query attention, a chat template, merges, several end tokens.
"""

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL_TOKENS: Final = ("<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>")
_MERGES: Final = ("t h", "h e", "i n", "a n", "th e", "in g", "an d", "\u0120 the", "\u0120 and", "\u0120 a", "o n")
CONTEXT_LENGTH: Final = 2048
_SEED: Final = 20250
_CHAT_TEMPLATE: Final = (
    "{{ '<|bos|>' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|eos|>' }}"
    "{% else %}{{ '<|user|>' + message['content'] + '<|eos|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: four special tokens, all 256 bytes, a dozen merges.

    Any text becomes ids and back without loss. A user's turn ends with `<|eos|>` like an assistant's.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=ord)
    pairs = [(left, right) for left, right in (merge.split() for merge in _MERGES)]
    words = [*SPECIAL_TOKENS, *alphabet, *(left + right for left, right in pairs)]
    backend = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|bos|>",
        eos_token="<|eos|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=_CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def tiny_network(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama model of two layers over that vocabulary, with weights from a counter-based generator.

    The generator's raw integers are turned into uniform numbers here, because neither torch nor numpy promises the same
    normal deviates from one version to the next.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):  # Its own first weights come from the global generator; nobody reads them.
        network = LlamaForCausalLM(config)
    source = np.random.Philox(_SEED)
    with torch.no_grad():
        for name, weight in sorted(network.named_parameters()):
            if weight.ndim == 2:
                weight.copy_(_uniform(source, weight.shape[0], weight.shape[1]) * _scale(name, weight.shape[1]))
            else:
                weight.fill_(1.0)
        network.lm_head.weight.mul_(_loudness(tokenizer)[:, None])
    network.generation_config.bos_token_id = 0
    network.generation_config.eos_token_id = [1, 2]  # A second end token, as many chat models have: a new user's turn.
    return network


def _uniform(source: np.random.Philox, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    """Uniform numbers of mean 0 and variance 1."""
    raw = np.asarray(source.random_raw(rows * columns), dtype=np.uint64) >> np.uint64(40)
    unit = raw.astype(np.float64) / 2**24 - 0.5
    return torch.from_numpy((unit * math.sqrt(12.0)).astype(np.float32).reshape(rows, columns))


def _scale(name: str, fan_in: int) -> float:
    """Chosen, and held by tests, so that greedy answers loop and end now and then, and are hardly ever in doubt."""
    if name == "lm_head.weight":
        return 1.4
    if "embed" in name:
        return 1.0
    return (1.0 if "self_attn" in name else 0.7) / math.sqrt(fan_in)


def _loudness(tokenizer: PreTrainedTokenizerFast) -> Float[Tensor, " vocab"]:
    """How strongly each token may speak: readable characters fully, other bytes hardly, end tokens a little more."""
    ids = range(len(tokenizer))
    words = [str(tokenizer.decode([index], skip_special_tokens=True)) for index in ids]
    loudness = [1.0 if word.isascii() and (word.isprintable() or word == "\n") else 0.1 for word in words]
    loudness[: len(SPECIAL_TOKENS)] = [0.1, 1.15, 0.8, 0.1]
    return torch.tensor(loudness)
