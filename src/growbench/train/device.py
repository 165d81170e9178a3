"""Where a model computes and in which numbers: the only place that decides it, for every verb that runs a model."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from growbench.errors import GrowBenchError

BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # instructions that multiply bfloat16, as torch names them (x86, x86, ARM)


@dataclass(frozen=True, slots=True)
class Compute:
    """Where a model computes and in which numbers.

    device: of weights and batches.
    dtype: of weights, float32 or float64.
    autocast: of matrix products, bfloat16; None computes them in the weights' dtype.
    """

    device: torch.device
    dtype: torch.dtype
    autocast: torch.dtype | None

    @property
    def precision(self) -> str:
        """Name of what it computes in, as `train.precision` spells it: float32, bf16 or float64."""
        return "bf16" if self.autocast is not None else str(self.dtype).removeprefix("torch.")

    def cast(self) -> AbstractContextManager[Any]:
        """Return the context in which a forward pass runs."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def place(self, model: Any) -> Any:
        """Move a model to the device and into the weights' dtype, and return it."""
        return model.to(self.device, self.dtype)


CPU = Compute(torch.device("cpu"), torch.float32, None)


def resolve(device: str, precision: str) -> Compute:
    """Return what `train.device` and `train.precision` of a study mean for this process.

    device: auto (a GPU if there is one), cpu or gpu. precision: auto (bf16 on a GPU, and on a CPU with
    instructions for it), float32, bf16 or float64. Raises GrowBenchError if a GPU is asked for and there is none, or
    fewer than processes on this machine.
    """
    place = _device(device)
    dtype = torch.float64 if precision == "float64" else torch.float32
    bf16 = precision == "bf16" or (precision == "auto" and (place.type == "cuda" or multiplies_bf16()))
    return Compute(place, dtype, torch.bfloat16 if bf16 else None)


def multiplies_bf16() -> bool:
    """Return whether this processor has instructions for bf16 products, which are about twice as fast as float32's.

    Not timed: on a busy machine a timing may differ from one run of a study to the next.
    """
    found = torch.cpu.get_capabilities()
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and any(found.get(name) for name in BF16)


def _device(wanted: str) -> torch.device:
    count = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "gpu" and not count:
        raise GrowBenchError(
            "train.device: gpu, but no GPU was found on this machine; use a machine with one, or set auto"
        )
    if not count:
        return torch.device("cpu")
    local, processes = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes > count:
        raise GrowBenchError(
            f"train.processes: {processes} on a machine with {count} GPU(s), but each process needs one; "
            f"use at most {count}"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)
