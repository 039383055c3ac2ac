"""Heads from a folder, checked against the model that they are to draft for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Int
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH, HEADS_UNREADABLE
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.head_weights import OFFSETS, Heads
from ptgflow.engine.heads.public.formats import load_public
from ptgflow.engine.heads.shapes import check_shapes, expected_shapes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

WEIGHTS: Final = "heads.safetensors"
CONFIG: Final = "config.json"
_OURS: Final = {"kind", "base"}
"""What our own configuration has, and no published one."""


def load_heads(folder: Path, model: LoadedModel, *, kind: str) -> Heads:
    """Read heads and check that they are the model's.

    A folder is ptgflow's own, or in a published format (see `public`).

    Raises:
        RunError: HEADS_UNREADABLE, HEADS_MISMATCH, or UNSAFE_WEIGHTS.
    """
    said = _read_config(folder)
    found = _own(folder, said, model, kind) if said.keys() & _OURS else load_public(folder, said, model, kind=kind)
    return replace(found, source=str(folder))


def said_kind(folder: Path) -> str | None:
    """Which kind of our own heads a folder says it has; None: it does not, and whoever loads it is told why."""
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = said.get("kind") if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else None


def _read_config(folder: Path) -> dict[str, Any]:
    path = str(folder)
    if not (folder / CONFIG).is_file():
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"there is no {CONFIG} in it")])
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"{CONFIG}: {_reason(error)}")]) from error
    if not isinstance(said, dict):
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"{CONFIG} is no JSON object")])
    return said


def _own(folder: Path, said: dict[str, Any], model: LoadedModel, kind: str) -> Heads:
    """Heads as `ptgflow train` saves them."""
    path = str(folder)
    try:
        config = HeadConfig.model_validate(said)
        tensors = load_file(folder / WEIGHTS)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"{CONFIG}: {place}: {first['msg']}")]) from error
    except (OSError, SafetensorError) as error:
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"{WEIGHTS}: {_reason(error)}")]) from error
    if config.kind != kind:
        raise RunError([HEADS_MISMATCH(path=path, what="kind", want=kind, have=config.kind)])
    check_base(config, model, path)
    vocabulary = _vocabulary(config, tensors, path)
    check_shapes(path, tensors, expected_shapes(config))
    return Heads(config, {name: one.float() for name, one in tensors.items()}, vocabulary)


def _reason(error: BaseException) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def check_base(config: HeadConfig, model: LoadedModel, path: str) -> None:
    """Whether heads were trained for a model: its states are what they read, and its tokens what they write.

    Raises:
        RunError: HEADS_MISMATCH, with both sides.
    """
    base = config.base
    facts = (
        ("tokenizer", base.tokenizer, model.codec.fingerprint),
        ("hidden size", base.hidden_size, model.hidden_size),
        ("number of layers", base.layers, model.layers),
        ("vocabulary", base.vocab_size, model.vocab_size),
        ("number of weights", base.parameters, model.parameters),
    )
    findings = [
        HEADS_MISMATCH(path=path, what=what, want=f"{here} ({model.name})", have=f"{there} ({base.name})")
        for what, there, here in facts
        if there != here
    ]
    if findings:
        raise RunError(findings)


def _vocabulary(config: HeadConfig, tensors: dict[str, Tensor], path: str) -> Int[Tensor, " draft_vocab"]:
    if not config.is_reduced:
        return torch.arange(config.base.vocab_size)
    offsets = tensors.get(OFFSETS)
    if offsets is None or offsets.shape != (config.draft_vocab_size,):
        drafts, all_tokens = config.draft_vocab_size, config.base.vocab_size
        reason = f"it drafts {drafts} of {all_tokens} tokens, and {OFFSETS!r} does not say which"
        raise RunError([HEADS_UNREADABLE(path=path, reason=reason)])
    ids = offsets.long() + torch.arange(len(offsets))
    if int(ids.min()) < 0 or int(ids.max()) >= config.base.vocab_size:
        raise RunError([HEADS_UNREADABLE(path=path, reason=f"{OFFSETS!r} names tokens that the model does not have")])
    return ids
