"""Placement: the loops of a program on workers, what they need at most, and how many passes they can take at most.

Everything here follows from the cards and the options; nothing is measured. A bound is a bound: a run stays below it.
"""

from dataclasses import dataclass

from ptgflow.compiler.program import LOOPS, Loop, Program
from ptgflow.contracts import ModelCard, Paradigm

_WEIGHT_BYTES = {"auto": 4, "float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""At most: what `auto` means is known on the device."""
READ_AT_ONCE = 512
"""Tokens of prompts that a pass reads at most; a test holds it beside the engine's own number."""
_ACTIVATION_BYTES = 4
"""At most: on a processor keys and values are fp32 whatever the weights are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One loop on one worker."""

    loop: Loop
    worker: str
    device: str
    weight_bytes: int | None
    """None where the card does not say how many weights there are."""
    kv_bytes: int | None
    """Keys and values of a full batch of answers, prompts not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A program placed on workers."""

    placed: tuple[Placed, ...]
    batch_size: int
    max_tokens: int
    most_rounds: int | None
    """No request takes more passes on its longest path; None where a stage sets no bound."""

    @property
    def memory_bytes(self) -> int | None:
        """Weights of each model once, and keys and values of each decoding loop."""
        weights = {one.loop.model: one.weight_bytes for one in self.placed}
        parts = [*weights.values(), *(one.kv_bytes for one in self.placed)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def as_dict(self) -> dict[str, object]:
        """The placement as plain data."""
        return {
            "loops": [
                {
                    "family": one.loop.family,
                    "model": one.loop.model,
                    "slots": list(one.loop.slots),
                    "worker": one.worker,
                    "device": one.device,
                    "weight_bytes": one.weight_bytes,
                    "kv_bytes": one.kv_bytes,
                }
                for one in self.placed
            ],
            "batch_size": self.batch_size,
            "max_tokens": self.max_tokens,
            "most_rounds": self.most_rounds,
            "memory_bytes": self.memory_bytes,
        }


def place(program: Program, *, batch_size: int, max_tokens: int) -> Placement:
    """Put every loop of a program on the one local worker. Deterministic."""
    cards = {node.card.name: node.card for node in program.nodes if node.card is not None}
    return Placement(
        placed=tuple(
            Placed(
                loop=loop,
                worker="local",
                device=cards[loop.model].device,
                weight_bytes=_weights(cards[loop.model]),
                kv_bytes=_keys_and_values(cards[loop.model], batch_size * max_tokens) if loop.family == "decode" else 0,
            )
            for loop in program.loops
        ),
        batch_size=batch_size,
        max_tokens=max_tokens,
        most_rounds=_most_rounds(program, max_tokens),
    )


def _weights(card: ModelCard) -> int | None:
    return None if card.parameters is None else card.parameters * _WEIGHT_BYTES[card.dtype]


def _keys_and_values(card: ModelCard, tokens: int) -> int | None:
    """`kv_bytes_per_token` is declared for 4-byte numbers."""
    if card.kv_bytes_per_token is None:
        return None
    return card.kv_bytes_per_token * _ACTIVATION_BYTES // 4 * tokens


def _most_rounds(program: Program, max_tokens: int) -> int | None:
    """A pass of a decoding loop adds at least one token, and the last one that reads a prompt adds the first.

    A prompt is read in stretches, after those in which another row may read what both begin with.

    A split that asks the model for a plan adds the plan's own tokens; segments run side by side, so the longest counts,
    and none is longer than the whole answer may be.
    """
    total = 0
    for node in program.nodes:
        if node.paradigm is None or LOOPS.get(node.paradigm, "decode") != "decode":
            return None
        if node.paradigm is Paradigm.DECOMPOSE:
            fields = node.options.model_dump() if node.options else {}
            total += int(fields.get("plan_tokens", 0)) + (1 if fields.get("router") == "model" else 0)
        elif node.paradigm is not Paradigm.MERGE:
            total += max_tokens
        if node.paradigm is Paradigm.MERGE:
            continue
        if node.card is None or node.card.context_length is None:
            return None
        total += 2 * -(-node.card.context_length // READ_AT_ONCE)
    return total
