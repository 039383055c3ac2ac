"""What the target makes of prompts, kept on disk: it does not change while adapters learn, and is most of a step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from ptgflow.train.objectives.gating import GatedTarget, ReadText
from ptgflow.train.objectives.kept_file import KeptFile

Pair = tuple[Tensor, Tensor]
"""Keys and values of one layer."""


@final
class KeptPrompts:
    """Reads prompts, each of them once."""

    def __init__(self, target: GatedTarget, folder: Path) -> None:
        """Open a file in a folder.

        Raises:
            RunError: FILE_PROBLEM, when the folder cannot be written.
        """
        self._target = target
        self._file = KeptFile(folder, "kept prompts")
        self._known: dict[tuple[int, ...], tuple[int, Float[Tensor, " hidden"]]] = {}
        """Prompt -> where its keys and values are, and the state of its last token."""

    def read(self, tokens: Int[Tensor, "batch positions"], lengths: Int[Tensor, " batch"]) -> ReadText:
        """The target over prompts, as `GatedTarget.read`; of the states those of the last tokens alone are there.

        Args:
            tokens: padded on the right.
            lengths: of the prompts.

        Raises:
            RunError: FILE_PROBLEM, when the disk is full.
        """
        prompts = [tuple(row[:length]) for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
        missing = [at for at, prompt in enumerate(prompts) if prompt not in self._known]
        if missing:
            self._keep([prompts[at] for at in missing], self._target.read(tokens[missing]))
        rows = [self._layers(prompt) for prompt in prompts]
        cache, (batch, longest) = DynamicCache(), tokens.shape
        for number, shape in enumerate(self._shapes):
            keys, values = (rows[0][0][0].new_zeros(batch, heads, longest, size) for heads, size in shape)
            for at, row in enumerate(rows):
                keys[at, :, : len(prompts[at])], values[at, :, : len(prompts[at])] = row[number]
            cache.update(keys.to(tokens.device), values.to(tokens.device), number)
        last = torch.stack([self._known[prompt][1] for prompt in prompts]).to(tokens.device)
        states = last.new_zeros(batch, longest, last.shape[1])
        states[torch.arange(batch, device=tokens.device), lengths - 1] = last
        return ReadText(states=states, cache=cache)

    def _keep(self, prompts: Sequence[tuple[int, ...]], text: ReadText) -> None:
        """Write what was read."""
        # Layers of other models have states that are no keys and values; those have no windows, either.
        layers: list[Any] = list(text.cache.layers)
        pairs: list[Pair] = [(layer.keys, layer.values) for layer in layers]
        self._shapes = [tuple((one.shape[1], one.shape[3]) for one in pair) for pair in pairs]
        kind = text.states.device.type
        # Where products are computed in half precision, attention rounds keys and values to that in any case.
        self._type = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else pairs[0][0].dtype
        for row, prompt in enumerate(prompts):
            flat = torch.cat([one[row, :, : len(prompt)].flatten() for pair in pairs for one in pair])
            data = flat.detach().to("cpu", self._type).view(torch.uint8).numpy().tobytes()
            self._known[prompt] = self._file.append(data), text.states[row, len(prompt) - 1].detach().cpu()

    def _layers(self, prompt: tuple[int, ...]) -> list[Pair]:
        """Keys and values of a prompt in all layers."""
        sizes = [heads * len(prompt) * size for shape in self._shapes for heads, size in shape]
        data = self._file.read(self._known[prompt][0], sum(sizes) * self._type.itemsize)
        parts = iter(torch.split(torch.frombuffer(data, dtype=self._type), sizes))
        return [
            (next(parts).view(keys[0], len(prompt), keys[1]), next(parts).view(values[0], len(prompt), values[1]))
            for keys, values in self._shapes
        ]
