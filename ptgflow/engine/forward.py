"""One model pass over rows of different lengths, each with its own number of new tokens."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.attention_masks import AttentionPattern
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import SlotCache


@final
class ModelPass:
    """Runs a model as transformers wrote it over the slots of a cache."""

    def __init__(self, model: LoadedModel) -> None:
        """Prepare.

        Raises:
            RunError: UNSUPPORTED_MODEL.
        """
        self._model = model
        self._pattern = AttentionPattern.of(model.network, model.name)
        self.cache = SlotCache(model.network.config.num_hidden_layers)

    def __call__(self, first: int, tokens: Sequence[Sequence[int]], keep: int) -> Float[Tensor, "rows keep vocab"]:
        """Feed `tokens[i]` to row `first + i`; the logits of the last `keep` tokens of each row.

        Rows with fewer tokens are padded on the left, so that the last tokens of all rows stand in the last columns
        and the vocabulary is computed for those alone. What a row with fewer than `keep` tokens has before them is
        padding, without meaning. The caller commits what stays.
        """
        device = self._model.device
        width = max(map(len, tokens))
        place = self.cache.begin(first, [len(row) for row in tokens], device)
        ids = torch.tensor([[row[0]] * (width - len(row)) + list(row) for row in tokens], device=device)
        with torch.no_grad():
            output = self._model.network(
                input_ids=ids,
                position_ids=place.positions,
                attention_mask=self._pattern.masks(place.positions, place.reach, self._model.dtype),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=keep,
            )
        logits: Tensor = output.logits
        return logits
