"""One place decides where every verb computes and in which numbers."""

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


@pytest.mark.parametrize(("hardware", "precision"), [(True, "bf16"), (False, "float32")])
def test_auto_takes_bf16_on_a_processor_that_is_faster_at_it(
    monkeypatch: pytest.MonkeyPatch, hardware: bool, precision: str
) -> None:
    monkeypatch.setattr(device, "fast_bf16", lambda: hardware)
    assert device.resolve("cpu", "auto").precision == precision


def test_a_processor_without_bf16_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    device.fast_bf16.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert device.fast_bf16() is False
    device.fast_bf16.cache_clear()


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
