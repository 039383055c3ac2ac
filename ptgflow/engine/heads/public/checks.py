"""Whether published heads fit the target, as far as their files tell, and have the shapes that they declare.

The published formats name a model, and not the fingerprint of its tokenizer: what is left to compare are sizes. That
heads of another model with the same sizes foresee nothing is noticed while they draft.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH
from ptgflow.engine.heads import target
from ptgflow.engine.heads.config import Base
from ptgflow.engine.heads.public.files import unreadable
from ptgflow.engine.heads.shapes import check_shapes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

Shapes = Mapping[str, tuple[int, ...]]

_IGNORED = ("rotary_emb.inv_freq", "verifier_lm_head.weight", "verifier_norm.weight", "t2d")
"""Ends of names of tensors that are no weights of a head: tables that can be computed, copies of the target's."""


def base_of(model: LoadedModel, named: Any) -> Base:
    """The target as the base of heads whose folder says no more of theirs than a name."""
    return target.base_of(
        model, named if isinstance(named, str) and named else "a model that their folder does not name"
    )


def fits(folder: Path, model: LoadedModel, base: Base, *, hidden_size: int, vocab_size: int) -> None:
    """Compare the sizes of the model that heads were trained for with the target's.

    Raises:
        RunError: HEADS_MISMATCH, with both sides.
    """
    facts = (("hidden size", hidden_size, model.hidden_size), ("vocabulary", vocab_size, model.vocab_size))
    findings = [
        HEADS_MISMATCH(path=str(folder), what=what, want=f"{here} ({model.name})", have=f"{there} ({base.name})")
        for what, there, here in facts
        if there != here
    ]
    if findings:
        raise RunError(findings)


def check(folder: Path, tensors: Mapping[str, Tensor], needed: Shapes, optional: Shapes | None = None) -> None:
    """Whether all tensors are there, have the declared shapes, and no tensor is there that would be left unused.

    Raises:
        RunError: HEADS_UNREADABLE, for the first that is not.
    """
    check_shapes(str(folder), tensors, needed, optional)
    known = {*needed, *(optional or {})}
    unknown = sorted(name for name in tensors if name not in known and not name.endswith(_IGNORED))
    if unknown:
        raise unreadable(folder, f"it has a tensor {unknown[0]!r}, which no head of this format has")
