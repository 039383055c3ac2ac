"""Measures what passes of a loaded model cost on its device, once, and keeps the curve in the cache."""

import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Final, final

import torch

from ptgflow.contracts.cost_curve import CostCurve, CurveKey
from ptgflow.engine.costs.measure import QUICK, Shape, fitting, measure
from ptgflow.engine.costs.store import device_name, load_curve, save_curve
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError

_CHUNK: Final = 256


def curve_key(model: LoadedModel) -> CurveKey:
    """What a curve of this model on this machine is true of."""
    return CurveKey(
        device=device_name(model.device),
        threads=torch.get_num_threads(),
        dtype=model.dtype,
        forward=model.forward if model.shapes == "ragged" else f"{model.forward} fixed-shape",
        model=model.name,
        fingerprint=f"{model.parameters} weights, {model.vocab_size} tokens, {model.kv_bytes_per_token} bytes a slot",
        ptgflow=version("ptgflow"),
        torch=torch.__version__,
    )


def curve_of(model: LoadedModel, progress: Progress | None = None) -> CostCurve:
    """The stored curve of a model, or a quickly measured one, which is then stored if that is possible."""
    tell = progress or silent
    stored = load_curve(curve_key(model), tell)
    if stored is not None:
        return stored
    curve = measured(model, QUICK, repeats=3, progress=tell)
    with suppress(RunError):  # A cache that cannot be written is no reason not to run; the next run measures again.
        save_curve(curve)
    return curve


def calibrate(
    model: LoadedModel, grid: tuple[Shape, ...], *, repeats: int, progress: Progress | None = None
) -> CostCurve:
    """Measure a grid of passes, and store the curve in place of any older one of the same key.

    Raises:
        RunError: FILE_PROBLEM, when the cache folder cannot be written.
    """
    curve = measured(model, grid, repeats=repeats, progress=progress or silent)
    save_curve(curve)
    return curve


def measured(model: LoadedModel, grid: tuple[Shape, ...], *, repeats: int, progress: Progress) -> CostCurve:
    """The curve through a grid of passes, with contexts no longer than the model reads."""
    shapes = fitting(grid, context_length=model.context_length)
    return CostCurve(key=curve_key(model), points=measure(PassTimer(model), shapes, repeats, progress))


@final
class PassTimer:
    """Times passes of any shape; rows and their contexts are made once and stay as they are."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._wait: Callable[[], None] = torch.cuda.synchronize if model.device.type == "cuda" else lambda: None
        self._prepared: dict[int, _Prepared] = {}
        """Ragged passes share a cache (key 0); fixed ones run over a whole bucket, so each row count has its own."""

    def __call__(self, rows: int, width: int, context: int) -> float:
        """Seconds of one pass over `rows` rows with `width` new tokens each behind `context` slots."""
        key = 0 if self._model.shapes == "ragged" else rows << 32 | context
        if key not in self._prepared:
            self._prepared[key] = _Prepared(self._model)
        prepared = self._prepared[key]
        tokens = [prepared.token(at) for at in range(width)]
        tree = TokenTree.chain(tokens[1:])
        inputs = [RowInput(row=row, tokens=(tokens[0],), tree=tree) for row in prepared.with_context(rows, context)]
        self._wait()
        started = time.perf_counter()
        prepared.run(inputs)
        self._wait()
        return time.perf_counter() - started


@final
class _Prepared:
    """A pass whose cache has rows of some contexts."""

    def __init__(self, model: LoadedModel) -> None:
        self.run = model.open_pass()
        self._vocab = model.vocab_size
        self._rows: dict[int, list[int]] = {}
        """Context -> rows that have it."""

    def with_context(self, count: int, context: int) -> list[int]:
        """So many rows behind so many slots."""
        cache, rows = self.run.cache, self._rows.setdefault(context, [])
        if not rows:
            rows.append(cache.admit())
            for start in range(0, context, _CHUNK):
                tokens = tuple(self.token(at) for at in range(start, min(start + _CHUNK, context)))
                self.run([RowInput(row=rows[0], tokens=tokens, wanted=False)])
                cache.commit({rows[0]: range(len(tokens))})
        while len(rows) < count:
            rows.append(cache.fork(rows[0]))
        return rows[:count]

    def token(self, at: int) -> int:
        """Any tokens do: the time of a pass does not depend on them."""
        return at * 7919 % self._vocab
