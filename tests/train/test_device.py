"""One place decides where every verb computes and in which numbers."""

import time

import pytest
import torch
from support.hardware import pretend_gpu

from growbench.errors import GrowBenchError
from growbench.train import device


def test_precision_follows_the_device_unless_the_study_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch)
    gpu, cpu, bf16 = torch.device("cuda", 0), torch.device("cpu"), torch.bfloat16
    cases = {
        ("auto", "auto"): (gpu, torch.float32, bf16),
        ("gpu", "float32"): (gpu, torch.float32, None),
        ("gpu", "float64"): (gpu, torch.float64, None),
        ("cpu", "bf16"): (cpu, torch.float32, bf16),
        ("cpu", "float64"): (cpu, torch.float64, None),
    }
    for (where, precision), (place, dtype, autocast) in cases.items():
        assert device.resolve(where, precision) == device.Compute(place, dtype, autocast), (where, precision)


@pytest.mark.parametrize(
    ("instructions", "library", "precision"),
    [
        ({"avx512_bf16": True}, True, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, True, "bf16"),
        ({"neon": True, "bf16": True}, True, "bf16"),
        ({"avx512_bf16": True}, False, "float32"),
        ({"avx512_f": True, "avx512_bf16": False}, True, "float32"),
        ({}, True, "float32"),
    ],
)
def test_auto_takes_bf16_where_the_processor_and_its_library_multiply_it(
    monkeypatch: pytest.MonkeyPatch, instructions: dict[str, bool], library: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: library)
    assert device.resolve("cpu", "auto").precision == precision


def test_auto_does_not_depend_on_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timed choice has made runs of one study differ on a busy machine."""
    first = device.resolve("cpu", "auto")
    for name in ("process_time", "perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, name, iter(range(1, 1000)).__next__)
    assert device.resolve("cpu", "auto") == first


def test_a_forward_pass_is_cast_only_if_the_precision_says_so() -> None:
    model, rows = torch.nn.Linear(2, 2), torch.ones(1, 2)
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        with device.resolve("cpu", precision).cast():
            assert model(rows).dtype == dtype
    assert device.resolve("cpu", "float64").place(model).weight.dtype == torch.float64


def test_a_study_that_asks_for_a_gpu_needs_one_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, 0)
    assert device.resolve("auto", "float32") == device.resolve("cpu", "float32") == device.CPU
    with pytest.raises(GrowBenchError, match=r"train\.device: gpu, but no GPU"):
        device.resolve("gpu", "auto")
    pretend_gpu(monkeypatch, 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(GrowBenchError, match=r"train\.processes: 4 on a machine with 2 GPU"):
        device.resolve("auto", "auto")
