"""Which devices there are, and how many batches each works on."""

import os
from typing import TYPE_CHECKING

from tagger.errors import RunError

if TYPE_CHECKING:
    import torch


def count_lanes(device: str) -> int:
    """How many batches to work on at once: one for each device named, and one for 8 processors.

    One of the latter at least: the last photos of a batch are looked at for local features when
    other threads have no more of it to do, which the next batch keeps busy.
    """
    return len(device.split(",")) + max(1, (os.cpu_count() or 1) // 8)


def pick_devices(names: str) -> "list[torch.device]":
    """The devices of ``--device``: one, or several separated by commas."""
    return [pick_device(name) for name in names.split(",")]


def pick_device(name: str) -> "torch.device":
    """``auto`` is the GPU where there is one; ``cpu``, ``cuda`` or ``cuda:1`` are taken as said.

    Raises:
        RunError: there is no such GPU.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RunError(
            f"--device {name}: this CUDA GPU is not available, "
            f"{torch.cuda.device_count()} can; leave --device out"
        )
    return device


def fast_dtype(device: "torch.device") -> "torch.dtype":
    """Half precision on a GPU, bfloat16 on a CPU that computes it, else float32.

    A CPU without the instructions emulates bfloat16, slower than float32.
    """
    import torch

    if device.type == "cuda":
        return torch.float16
    # Private to torch, and not in all versions of it; without it, float32 is right everywhere.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.bfloat16 if avx512 and native() else torch.float32
