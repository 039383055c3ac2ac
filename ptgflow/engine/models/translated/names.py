"""What translations share: the settings of a checkpoint, its weights, and what there is no translation of."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

Weights = dict[str, Tensor]
Said = Mapping[str, Any]
"""The contents of a config.json."""


class TranslationError(ValueError):
    """A checkpoint is of a variant that has no translation; says why."""
