"""Reading a GGUF file into an ordinary fp32 network and tokenizer, with nothing in the file passed over."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer, pre_tokenizers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.models.progress import Progress
from ptgflow.errors import RunError

GGUF_FAMILIES: Final = frozenset({"llama", "qwen2", "qwen3", "gemma2", "gemma3"})
"""`general.architecture` values whose tensors have a place in a transformers network; Mistral files say `llama`."""


class GGUFError(Exception):
    """The file is damaged, or no GGUF file at all. Its text is the reason."""


def read_gguf(card: ModelCard, path: Path, tell: Progress) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The network, de-quantised to fp32, and the tokenizer of a GGUF file.

    Raises:
        GGUFError: the file is damaged.
        RunError: UNSUPPORTED_MODEL, when the architecture is not known or the file has something in it (rescaled rotary
            frequencies, a tensor without a place) without which the model would silently be another one.
    """
    text = f"converting {path.name}"
    tell(text, 0)
    try:
        reader = GGUFReader(path)
        architecture = _field(reader, "general.architecture")
        _check_architecture(card, reader, architecture)
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
        tokenizer = _tokenizer(path, reader)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        weights = _weights(card, reader, architecture, network, lambda done, total: tell(text, done, total))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError) as error:
        raise GGUFError(f"the file is damaged or no GGUF file: {error}") from error
    _install(network, weights)
    network.generation_config = GenerationConfig.from_model_config(config)
    return network, tokenizer


def _field(reader: GGUFReader, name: str) -> str:
    field = reader.get_field(name)
    return "" if field is None else str(field.contents())


def _check_architecture(card: ModelCard, reader: GGUFReader, architecture: str) -> None:
    if not architecture:
        raise GGUFError("the file does not say which architecture it is of")
    if architecture not in GGUF_FAMILIES:
        raise _unsupported(card, f"its architecture is {architecture!r}")
    scaling = _field(reader, f"{architecture}.rope.scaling.type")
    if scaling not in ("", "none"):
        raise _unsupported(card, f"its rotary positions are scaled ({scaling}), which cannot be read from GGUF here")


def _weights(
    card: ModelCard, reader: GGUFReader, architecture: str, network: PreTrainedModel, tell: Any
) -> dict[str, Tensor]:
    """Every tensor of the file under the network's name for it, checked against the network's shapes."""
    config = network.config.to_dict()
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config)
    names = get_gguf_hf_weights_map(network, processor)
    places = network.state_dict()
    total = sum(int(tensor.n_bytes) for tensor in reader.tensors)
    weights: dict[str, Tensor] = {}
    done = 0
    for tensor in reader.tensors:
        name = names.get(tensor.name)
        if name is None:
            raise _unsupported(card, f"the tensor {tensor.name!r} has no place in a {architecture} network")
        values = processor.process(weights=dequantize(tensor.data, tensor.tensor_type), name=tensor.name).weights
        weight = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        if weight.shape != places[name].shape:
            raise _unsupported(card, f"{tensor.name} is {tuple(weight.shape)}, not {tuple(places[name].shape)}")
        weights[name] = weight
        done += int(tensor.n_bytes)
        tell(done, total)
    tied = set(network.all_tied_weights_keys)
    missing = sorted(name for name in places if name not in weights and name not in tied)
    if missing:
        raise GGUFError(f"{len(missing)} weights are missing, among them {missing[0]}")
    return weights


def _install(network: PreTrainedModel, weights: dict[str, Tensor]) -> None:
    """Put the weights in place of the shapes. What is computed and not stored (rotary tables) is not needed to save."""
    network.load_state_dict(weights, assign=True, strict=False)
    network.tie_weights()


def _tokenizer(path: Path, reader: GGUFReader) -> PreTrainedTokenizerFast:
    """The tokenizer of the file, with two things put right that transformers' reader of them does not do.

    It appends an `<|endoftext|>` of its own where the file has no such token: an id that the network has no row for.
    And it does not know `smollm`, which splits digits off before anything else: without that, the white space before a
    number is cut in another way than the model was trained with.
    """
    read = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    assert isinstance(read, PreTrainedTokenizerFast), "the reader of GGUF tokenizers makes fast ones"
    words = len(reader.fields["tokenizer.ggml.tokens"].data)
    state = json.loads(read.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["id"] < words]
    backend: Any = Tokenizer.from_str(json.dumps(state))
    if _field(reader, "tokenizer.ggml.pre") == "smollm":
        split = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    names = ("bos_token", "eos_token", "unk_token", "pad_token")
    special = {name: token for name, token in read.special_tokens_map.items() if name in names}
    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=read.chat_template, **special)


def _unsupported(card: ModelCard, reason: str) -> RunError:
    remedy = "use the safetensors version of the checkpoint"
    return RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help=remedy)])
