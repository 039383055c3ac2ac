"""Curves in the cache folder, one file each, so that a device is measured once."""

import hashlib
import os
import platform
from pathlib import Path

import torch

from ptgflow.contracts.cost_curve import CostCurve, CurveKey
from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.progress import Progress
from ptgflow.errors import RunError


def curve_path(key: CurveKey) -> Path:
    """The file of a curve. Everything in the key decides its name, so a new version measures anew."""
    digest = hashlib.sha256(key.model_dump_json().encode()).hexdigest()
    return cache_folder() / "curves" / f"{digest[:32]}.json"


def load_curve(key: CurveKey, tell: Progress) -> CostCurve | None:
    """The stored curve; None where there is none that can be used, and `tell` is told why if a file is there."""
    path = curve_path(key)
    try:
        curve = CostCurve.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "it is damaged or of another version"
        tell(f"ignoring {path}: {reason}")
        return None
    if curve.key != key:
        tell(f"ignoring {path}: it is of another model or device")
        return None
    return curve


def save_curve(curve: CostCurve) -> None:
    """Store a curve in place of an older one of its key, whole or not at all.

    Raises:
        RunError: FILE_PROBLEM, when the file cannot be written.
    """
    path = curve_path(curve.key)
    # Named after the process, so that two that measure at once do not write into one file.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(curve.model_dump_json(indent=1) + "\n", encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        remedy = "free some space, or let the environment variable PTGFLOW_CACHE name a folder elsewhere"
        reason = error.strerror or str(error)
        raise RunError([FILE_PROBLEM(action="write", file=str(path), reason=reason, help=remedy)]) from error


def device_name(device: torch.device) -> str:
    """The name of a GPU; of a CPU its model and how many cores this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return f"{device.type} of {platform.machine()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    """The processor's model: from the kernel where it says so, else what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine() or "unknown processor"
