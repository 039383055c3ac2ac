"""Whether a checkpoint folder brings modules that predict several tokens ahead, told by the names of its tensors.

A configuration may count such modules (`num_nextn_predict_layers`) where a later copy of the weights has left them out,
so the files themselves are asked: their index, or the header that a safetensors file begins with.
"""

import json
import re
from pathlib import Path
from typing import Any, Final, cast

_INDEX: Final = "model.safetensors.index.json"
_LONGEST_HEADER: Final = 100_000_000
"""Bytes; the format allows no longer one."""
_MODULES: Final = (
    ("mimo", re.compile(r"model\.mtp_layers\.\d+\.input_proj\.weight")),
    ("qwen3_next", re.compile(r"mtp\.fc\.weight")),
    ("deepseek", re.compile(r"model\.layers\.\d+\.eh_proj\.weight")),
)
"""Whose names modules have, and the product with which each of them begins."""


def native_modules(folder: Path) -> tuple[str, int]:
    """Whose names the modules of a checkpoint have (`mimo`, `qwen3_next` or `deepseek`), and how many they are.

    The word is empty, and the number 0, where there are none. What cannot be read has none.
    """
    names = tensor_names(folder)
    for family, pattern in _MODULES:
        found = sum(pattern.fullmatch(name) is not None for name in names)
        if found:
            return family, found
    return "", 0


def tensor_names(folder: Path) -> frozenset[str]:
    """The names of all tensors of a folder's safetensors files; no tensor is read."""
    mapped = _object(_index(folder).get("weight_map"))
    if mapped:
        return frozenset(mapped)
    return frozenset(name for file in sorted(folder.glob("*.safetensors")) for name in _header(file))


def _index(folder: Path) -> dict[str, Any]:
    try:
        return _object(json.loads((folder / _INDEX).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _header(path: Path) -> frozenset[str]:
    """A safetensors file begins with the length of its header, eight bytes, little end first, and the header, JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = _object(json.loads(file.read(length))) if length <= _LONGEST_HEADER else {}
    except (OSError, ValueError):
        return frozenset()
    return frozenset(header) - {"__metadata__"}


def _object(found: Any) -> dict[str, Any]:
    """What was read, where it is a JSON object; else an empty one."""
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
