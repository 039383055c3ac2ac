"""Answers in batches, in an order that the seed decides and a resumed run repeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.train.features import Example


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Texts of one length, padded on the right."""

    tokens: Int[Tensor, "batch positions"]
    states: Float[Tensor, "batch positions features"]
    answers: Bool[Tensor, "batch positions"]
    """Where the token is one of an answer: what heads learn to foresee. Neither prompts nor padding."""
    step: int = 0
    """Its number in the run: what is drawn at random follows from it, so that a resumed run draws the same."""

    def ahead(self, steps: int) -> Int[Tensor, "batch positions"]:
        """At each position the token so many steps further on; at the end, whatever."""
        return self.tokens.roll(-steps, dims=1)

    def learnt(self, steps: int) -> Bool[Tensor, "batch positions"]:
        """At which positions the token so many steps further on is one of the answer, and so is the next one.

        A position is only ever drafted from when the target has written the token after it.
        """
        found = torch.zeros_like(self.answers)
        end = self.answers.shape[1]
        if steps < end:
            found[:, : end - steps] = self.answers[:, 1 : end - steps + 1] & self.answers[:, steps:]
        return found


def collated(examples: Sequence[Example], device: torch.device, *, step: int = 0) -> Batch:
    """One batch, that of a step."""
    most = max(len(one.tokens) for one in examples)
    tokens = torch.zeros(len(examples), most, dtype=torch.long)
    states = torch.zeros(len(examples), most, examples[0].states.shape[1])
    answers = torch.zeros(len(examples), most, dtype=torch.bool)
    for row, one in enumerate(examples):
        tokens[row, : len(one.tokens)] = one.tokens
        states[row, : len(one.tokens)] = one.states
        answers[row, one.start : len(one.tokens)] = True
    return Batch(tokens=tokens.to(device), states=states.to(device), answers=answers.to(device), step=step)


@final
class Order:
    """Which examples are in which step: all of them once an epoch, those of like length together."""

    def __init__(self, lengths: Sequence[tuple[int, int]], *, batch_size: int, epochs: int, seed: int) -> None:
        """Plan all steps."""
        self.steps: list[tuple[int, ...]] = []
        for epoch in range(epochs):
            generator = torch.Generator().manual_seed(seed * 1000 + epoch)
            order = torch.randperm(len(lengths), generator=generator).tolist()
            # Sorted within stretches of many batches: little padding, and yet another neighbourhood in each epoch.
            stretch = batch_size * 16
            batches: list[tuple[int, ...]] = []
            for begin in range(0, len(order), stretch):
                near = sorted(order[begin : begin + stretch], key=lambda at: lengths[at])
                batches += [tuple(near[at : at + batch_size]) for at in range(0, len(near), batch_size)]
            self.steps += [batches[at] for at in torch.randperm(len(batches), generator=generator).tolist()]

    def __len__(self) -> int:
        return len(self.steps)
