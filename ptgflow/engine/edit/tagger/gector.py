"""GECToR checkpoints in the form that transformers reads (`gotutiyan/gector`, after arXiv 2005.12592).

An encoder whose embedding has one row more, for `$START`, under `bert.`; `label_proj_layer` from its states to tags,
and `d_proj_layer` to right and wrong. Each word is told by its first piece.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from ptgflow.diagnostics.codes.editing import BAD_TAGGER
from ptgflow.engine.edit.tagger.network import Found
from ptgflow.engine.edit.tagger.tags import KEEP, START
from ptgflow.errors import RunError

_WRONG: Final = ("$INCORRECT", "INCORRECT")


@final
class GectorTagger:
    """An encoder, and two products over its states."""

    def __init__(self, folder: Path) -> None:
        """Load `config.json`, the weights and the tokenizer.

        Raises:
            RunError: BAD_TAGGER.
        """
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self.tags: Final = _names(config["label2id"])
            self._wrong = _wrong(config["d_label2id"])
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), add_prefix_space=True)
            self._tokenizer.model_max_length = 1 << 40
            self._tokenizer.add_tokens(START)
            encoder = AutoConfig.from_pretrained(config["model_id"])
            self._encoder: Any = AutoModel.from_config(encoder)
            self._load(_weights(folder), len(self._tokenizer))
        except RunError:
            raise
        except Exception as error:
            raise RunError([BAD_TAGGER(path=str(folder), reason=str(error).strip().splitlines()[0])]) from error
        if KEEP not in self.tags:
            raise RunError([BAD_TAGGER(path=str(folder), reason=f"its tags have no {KEEP}")])
        # Two are for the marks at both ends, and one for `$START`.
        self.budget: Final = int(encoder.max_position_embeddings) - 5
        self.starts: Final = True

    def pieces(self, words: Sequence[str]) -> list[int]:
        found = self._tokenizer([[word] for word in words], is_split_into_words=True, add_special_tokens=False)
        unknown = self._tokenizer.unk_token_id
        return [0 if not ids or unknown in ids else len(ids) for ids in found["input_ids"]]

    def read(self, words: Sequence[str]) -> Found:
        encoded = self._tokenizer([list(words)], is_split_into_words=True, return_tensors="pt")
        owners = encoded.word_ids(0)
        first = torch.tensor([owners.index(word) for word in range(len(words))])
        with torch.inference_mode():
            states = self._encoder(**encoded).last_hidden_state[0][first]
            tags = (states @ self._labels[0].T + self._labels[1]).double().softmax(dim=-1)
            errors = (states @ self._errors[0].T + self._errors[1]).double().softmax(dim=-1)
        return np.asarray(tags), np.asarray(errors[:, self._wrong])

    def _load(self, tensors: Mapping[str, Tensor], rows: int) -> None:
        self._encoder.resize_token_embeddings(rows)
        own = {name.removeprefix("bert."): one for name, one in tensors.items() if name.startswith("bert.")}
        known = self._encoder.state_dict()
        missing = [name for name in known if name not in own and "position_ids" not in name and "pooler" not in name]
        if missing:
            raise ValueError(f"its weights have no bert.{missing[0]}")
        self._encoder.load_state_dict({**known, **{name: one for name, one in own.items() if name in known}})
        self._encoder.eval().requires_grad_(False)
        self._labels, self._errors = (
            (tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float())
            for name in ("label_proj_layer", "d_proj_layer")
        )
        if len(self._labels[0]) != len(self.tags):
            raise ValueError(f"it has {len(self.tags)} tags, and weights for {len(self._labels[0])}")


def _names(ids: Mapping[str, int]) -> tuple[str, ...]:
    """Tags in the order of their rows; the one for padding has none where it is the last."""
    found = sorted(ids, key=lambda name: ids[name])
    return tuple(name for name in found if name != "<PAD>")


def _wrong(ids: Mapping[str, int]) -> int:
    return next(ids[name] for name in _WRONG if name in ids)


def _weights(folder: Path) -> dict[str, Tensor]:
    safe = folder / "model.safetensors"
    if safe.is_file():
        return load_file(safe)
    if (folder / "pytorch_model.bin").is_file():
        return dict(torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True))
    raise ValueError("there is neither model.safetensors nor pytorch_model.bin in it")
