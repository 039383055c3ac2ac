"""A tagger in ONNX form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from ptgflow.diagnostics.codes.editing import BAD_TAGGER
from ptgflow.engine.edit.tagger.network import Found
from ptgflow.engine.edit.tagger.tags import KEEP
from ptgflow.errors import RunError


@final
class OnnxTagger:
    """A graph with inputs `input_ids` and `attention_mask` and the output `logits`.

    A window is read alone: products of 8-bit integers take their scale from all that is in them, so in a batch what is
    said of one text would depend on the others.
    """

    def __init__(self, folder: Path) -> None:
        """Load `tagger.onnx`, `tokenizer.json` and `tag_vocab.json`.

        Raises:
            RunError: BAD_TAGGER.
        """
        try:
            said = json.loads((folder / "tag_vocab.json").read_text(encoding="utf-8"))
            self.tags: Final = tuple(said["tags"] if isinstance(said, dict) else said)
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / "tagger.onnx"), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise RunError([BAD_TAGGER(path=str(folder), reason=str(error).strip().splitlines()[0])]) from error
        if KEEP not in self.tags:
            raise RunError([BAD_TAGGER(path=str(folder), reason=f"its tags have no {KEEP}")])
        limit = (self._tokenizer.truncation or {}).get("max_length", 512)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id("[UNK]")
        # Two are for the marks at both ends.
        self.budget: Final = int(limit) - 2
        self.starts: Final = False

    def pieces(self, words: Sequence[str]) -> list[int]:
        encoded = [self._tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False) for word in words]
        return [0 if not one.ids or self._unknown in one.ids else len(one.ids) for one in encoded]

    def read(self, words: Sequence[str]) -> Found:
        encoded = self._tokenizer.encode(list(words), is_pretokenized=True)
        ids, owners = encoded.ids[: self.budget + 2], encoded.word_ids[: self.budget + 2]
        feed = {
            "input_ids": np.asarray([ids], dtype=np.int64),
            "attention_mask": np.ones((1, len(ids)), dtype=np.int64),
        }
        (logits,) = self._session.run(["logits"], feed)
        first = [owners.index(word) for word in range(len(words))]
        rows = np.asarray(logits[0][first], dtype=np.float64)
        exp = np.exp(rows - rows.max(axis=1, keepdims=True))
        probabilities = exp / exp.sum(axis=1, keepdims=True)
        # Without a head of its own that detects errors, what is not kept is wrong.
        return probabilities, 1.0 - probabilities[:, self.tags.index(KEEP)]
