"""How fast a GPU trains: a number that is assumed, or what the benchmarks measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of one GPU.

    rate: FLOP/s on big batches. launch: seconds per layer below which no step falls. device: that was measured; else assumed.
    """

    rate: float
    launch: float = 0.0
    device: str = ""

    def seconds(self, row: Mapping[str, Any], gpus: int) -> float:
        """Return the seconds of one run on this many GPUs. row: of pipeline/forecast.py."""
        computed = float(row["flops"] / self.rate / gpus)
        stages = zip(row["stages"], row["plan"], strict=True) if self.launch else ()
        for stage, planned in stages:
            floor = stage["steps"] * self.launch * planned["spec"]["layers"]
            computed += max(0.0, floor - stage["flops"] / self.rate / gpus)
        return computed

    def __str__(self) -> str:
        """Say it in words."""
        if not self.device:
            return f"an assumed {self.rate:.3g} FLOP/s (--speed)"
        floor = f"{1000 * self.launch:g} ms per layer and step"
        return f"{self.rate:.3g} FLOP/s, and at least {floor}, measured on an {self.device} (docs/BENCHMARKS.md)"


ASSUMED = Speed(1.5e14)  # about half of an A100's peak in bf16
# bench/gpu.py, BERT-base of 512 tokens in bf16, compiled; bench/gpu_pipeline.py, GPT-2 of six layers, compiled
MEASURED = {"h200": Speed(3.87e14, 3.8e-3, "H200")}
