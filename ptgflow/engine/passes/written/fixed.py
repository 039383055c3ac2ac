"""The pass of a written-out model in a few fixed shapes, so that a device can replay it without the host's help.

On an accelerator a pass over few tokens is bound by the time that the host takes to launch its hundreds of kernels.
Here all rows of the one bucket take part, padded to a power of two of new tokens; what differs from pass to pass is a
tensor of numbers, copied to where the recorded kernels read it. On a CUDA device a shape that comes back is recorded
as a CUDA graph; elsewhere the same steps run one by one, and give the same.
"""

from collections.abc import Callable, Sequence
from typing import Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.engine.passes.attention import SLIDING
from ptgflow.engine.passes.interface import Tapped
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.passes.written.network import Attending, Network
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.engine.slots import Bucket, FixedPlacement, RowInput, SlotCache

WIDEST: Final = 64
"""Rows of more new tokens read a prompt; that pass is bound by its products, and is not padded."""

Step = Callable[[], tuple[Tensor, Tensor]]
"""A pass over what lies in its input tensors now: for all tokens, padding included, what leaves the last layer and the
hidden states at the taps."""
Record = Callable[[Step], Step]
"""From a step what does the same again, faster."""


@final
class FixedPass:
    """Runs a written-out model over the slots of a cache, narrow passes in fixed shapes."""

    def __init__(self, model: WrittenModel, *, budget: int | None, record: Record | None = None) -> None:
        """Prepare.

        Args:
            model: what is run.
            budget: most bytes of keys and values; None: no bound.
            record: how a step is recorded when its shape comes back; None: by CUDA graphs on a CUDA device, and not at
                all elsewhere.
        """
        self._network = Network(model)
        self._cache = SlotCache(model.shape, budget=budget, layout="fixed")
        self._ragged = WrittenPass(model, budget=budget, cache=self._cache)
        self._record = record or (CudaGraphs().record if model.shape.device.type == "cuda" else None)
        self._shapes: dict[tuple[tuple[int, int, int], tuple[int, ...]], _Shape] = {}
        self._storage: tuple[Bucket, int] | None = None

    @property
    def cache(self) -> SlotCache:
        return self._cache

    def __call__(self, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        return self.tapped(inputs, ()).logits

    def tapped(self, inputs: Sequence[RowInput], taps: Sequence[int]) -> Tapped:
        width = max(len(one.tokens) + len(one.tree) for one in inputs)
        # Where most rows of the bucket would take part for nothing, the pass over the others alone is shorter. What a
        # pass before has written has no place in a fixed shape.
        if width > WIDEST or 2 * len(inputs) < len(self._cache) or any(one.again for one in inputs):
            return self._ragged.tapped(inputs, taps)
        width = max(width, self._network.fewest_columns)
        place = self._cache.begin_fixed(inputs, 1 << (width - 1).bit_length())
        with torch.inference_mode():
            hidden, states = self._shape(place, tuple(taps)).run(place, self._record)
            logits = self._network.logits(hidden[place.wanted_tokens()])
            return Tapped(logits=logits, states=states[place.listed_tokens()])

    def _shape(self, place: FixedPlacement, taps: tuple[int, ...]) -> "_Shape":
        storage = place.bucket, place.bucket.moves
        if storage != self._storage:
            # What was recorded reads and writes memory that is no longer the rows'.
            self._shapes.clear()
            self._storage = storage
        key = place.shape, taps
        if key not in self._shapes:
            self._shapes[key] = _Shape(self._network, place, taps)
        return self._shapes[key]


@final
class _Shape:
    """The passes of one shape: their input tensors, and the step over them."""

    def __init__(self, network: Network, place: FixedPlacement, taps: tuple[int, ...]) -> None:
        rows, width, _ = place.shape
        device = place.bucket.shape.device
        self._network, self._bucket, self._width, self._taps = network, place.bucket, width, taps
        self._numbers: Int[Tensor, "rows numbers"] = torch.zeros(rows, 1 + 2 * width, dtype=torch.long, device=device)
        self._sees: Bool[Tensor, "rows width width"] = torch.zeros(rows, width, width, dtype=torch.bool, device=device)
        self._step: Step = self._compute
        self._runs = 0

    def run(self, place: FixedPlacement, record: Record | None) -> tuple[Tensor, Tensor]:
        """Run a pass; the result is good until the next one of this shape."""
        self._numbers.copy_(place.numbers())
        self._sees.copy_(place.sees())
        self._runs += 1
        if self._runs == 2 and record is not None:
            # The second run has shown that the shape comes back. To record is to run, too, but over the same input.
            self._step = record(self._compute)
        return self._step()

    def _compute(self) -> tuple[Float[Tensor, "tokens hidden"], Float[Tensor, "tokens features"]]:
        width, bucket = self._width, self._bucket
        numbers = self._numbers
        lengths, tokens, steps = numbers[:, :1], numbers[:, 1 : 1 + width], numbers[:, 1 + width :]
        rows, device = len(lengths), lengths.device
        first = torch.arange(rows, device=device)[:, None] * bucket.capacity + lengths
        attending = Attending(
            bucket=bucket,
            first=0,
            last=rows,
            begin=0,
            end=rows * width,
            slots=(first + torch.arange(width, device=device)).flatten(),
            columns=width,
            padded=None,
            masks=self._network.masks(self._visible(lengths, steps)),
        )
        return self._network.decode(tokens.flatten(), (lengths + steps).flatten(), [attending], self._taps)

    def _visible(
        self, lengths: Int[Tensor, "rows 1"], steps: Int[Tensor, "rows width"]
    ) -> dict[str, Bool[Tensor, "rows width capacity"]]:
        """For each kind of layer which slots each new token may see."""
        pattern = self._network.model.pattern
        slot = torch.arange(self._bucket.capacity, device=lengths.device).expand(len(lengths), -1)
        # Which new token a slot holds; slots of the text before, and behind the new tokens, are told apart below.
        order = slot - lengths
        new = order.clamp(0, self._width - 1)
        among = self._sees.gather(2, new[:, None].expand(-1, self._width, -1))
        before, inside = (order < 0)[:, None], ((order >= 0) & (order < self._width))[:, None]
        seen = before | (inside & among)
        found = dict.fromkeys(dict.fromkeys(pattern.kinds), seen)
        if SLIDING in found:
            assert pattern.window is not None, "sliding layers have a window"
            distance = torch.where(order < 0, order, steps.gather(1, new))
            found[SLIDING] = seen & (distance[:, None] > (steps - pattern.window)[:, :, None])
        return found


@final
class CudaGraphs:
    """Records steps as CUDA graphs, which share one pool of memory, as no two run at the same time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, step: Step) -> Step:
        """Run a step once for whatever it prepares, and record it."""
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            out = step()

        def replay() -> tuple[Tensor, Tensor]:
            graph.replay()
            return out

        return replay
