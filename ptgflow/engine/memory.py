"""How much memory there is for keys and values, and what it looks like when there is none."""

import ctypes
from pathlib import Path

import torch

_SHARE = 0.8
"""Of the memory that is free, so much may be taken: the rest is for activations and for other programs."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error is for want of memory; on a CPU torch says so only in the words of a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free_memory(device: torch.device) -> int | None:
    """Bytes that keys and values may take; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * _SHARE)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if available is None else int(int(available) * 1024 * _SHARE)


def give_back() -> None:
    """Return freed memory to the system, where the C library would keep it for later: what is freed here is large."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
