"""`growbench grow`: where the comparison contradicts the claim, the report says so first and the exit status is not 0."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import FPI, grow, refusal, request, saved

from growbench.cli import main as cli
from growbench.growth import preservation
from growbench.pipeline.grow import files
from growbench.pipeline.grow import run as verb
from growbench.pipeline.grow.check import check
from growbench.pipeline.grow.report import report_of


def changed(source: Path, name: str, value: torch.Tensor | float) -> None:
    """Fill the tensors whose name contains `name` with a value."""
    tensors = load_file(source / files.WEIGHTS)
    save_file({k: torch.full_like(t, value) if name in k else t for k, t in tensors.items()}, source / files.WEIGHTS)


def grown(capsys: pytest.CaptureFixture[str], source: Path, out: Path, *words: str) -> tuple[int, str, str]:
    """Run the verb and return its status and what it printed."""
    capsys.readouterr()
    status = cli.main(["grow", str(source), str(out), "--method", FPI, "--hidden", "64", *words])
    return status, *capsys.readouterr()


def test_a_difference_where_exactness_is_claimed_is_reported_first(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = verb.transfer

    def noisy(*given: Any) -> Any:
        for name, tensor in honest(*given):
            yield name, tensor + 0.1 * torch.randn_like(tensor)

    monkeypatch.setattr(verb, "transfer", noisy)
    status, out, err = grown(capsys, source, tmp_path / "out")
    assert status == 2 and "out: claimed exact, but the outputs differ by" in err and err.count("\n") == 1
    assert out.startswith("problem    claimed exact, but")
    assert json.loads((tmp_path / "out" / files.REPORT).read_text())["problem"]
    status, out, err = grown(capsys, source, tmp_path / "json", "--json")
    assert status == 2 and next(iter(json.loads(out))) == "problem"
    assert grown(capsys, source, tmp_path / "blind", "--no-measure")[0] == 0


@pytest.mark.parametrize("name", ["embeddings", "weight"])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e19, 1e38])
def test_constant_and_huge_weights_are_exact_or_a_problem(
    name: str, value: float, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(source, name, value)
    status, out, _ = grown(capsys, source, tmp_path / "out", "--json")
    report = json.loads(out)
    measured = report["measured"]
    right = isinstance(measured, dict) and measured["relative_delta"] is not None and measured["relative_delta"] < 1e-3
    assert (status, bool(report["problem"])) == ((0, False) if right else (2, True))


def test_outputs_that_are_not_finite_are_not_measured(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(source, "query.weight", 1e38)
    status, out, err = grown(capsys, source, tmp_path / "out")
    assert status == 2 and "claimed exact, but not measured (the outputs of a model are infinite" in err
    assert out.startswith("problem")


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "vit"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("output_attentions", True), ("output_hidden_states", True), ("return_dict", False), ("use_cache", True)],
)
def test_what_a_config_says_of_outputs_does_not_disturb_the_comparison(
    key: str, value: bool, name: str, tmp_path: Path
) -> None:
    source, out = saved(tmp_path / "source", name), tmp_path / "out"
    config = json.loads((source / "config.json").read_text())
    if key == "output_attentions":
        config["attn_implementation"] = "eager"
    (source / "config.json").write_text(json.dumps({**config, key: value}))
    report = grow(source, out, method="lemon", layers=4)
    assert report["measured"]["relative_delta"] < 1e-5 and report["problem"] is None
    assert json.loads((out / "config.json").read_text()).get(key, value) == value


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_layers_beyond_the_config_are_an_error(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "source", name)
    config = json.loads((source / "config.json").read_text())
    key = next(key for key in ("num_hidden_layers", "n_layer") if key in config)
    kept = {k: v[: config[key] - 1] if k == "layer_types" else v for k, v in config.items()} | {key: config[key] - 1}
    (source / "config.json").write_text(json.dumps(kept))
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4", method="lemon")
    count = kept[key]
    assert (
        f"belongs to layer {count}, but the " in line
        and f" of config.json ({count} layers) has no place for it" in line
    )


def test_biases_that_the_config_denies_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "source", "llama", attention_bias=True)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "attention_bias": False}))
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4", method="lemon")
    assert "self_attn.k_proj.bias belongs to layer 0" in line


def test_a_source_of_zeros_that_became_something_has_no_relative_difference() -> None:
    assert preservation.Preservation(1.0, 0.0).relative_delta == float("inf")


def test_buffers_of_old_checkpoints_may_be_left_out(tmp_path: Path) -> None:
    """Released GPT-2 files hold each layer's causal mask."""
    source = saved(tmp_path / "source", "gpt2")
    masks = {f"transformer.h.{layer}.attn.bias": torch.ones(1, 1, 4, 4).tril() for layer in range(2)}
    save_file({**load_file(source / files.WEIGHTS), **masks}, source / files.WEIGHTS)
    report = grow(source, tmp_path / "out", method="lemon", layers=4)
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5


@pytest.mark.parametrize(("name", "largest"), [("gpt2", 1e-6), ("llama", 1e-5)])
def test_float64_has_the_tolerance_of_what_the_stock_norms_compute_in(
    name: str, largest: float, tmp_path: Path
) -> None:
    source = saved(tmp_path / "source", name, torch.float64)
    asked = request(source, tmp_path / "out", method="stackbert", layers=4, options=("added=identity",))
    job = check(asked)
    for factor, right in ((0.9, True), (1.1, False)):
        assert (report_of(asked, job, {"relative_delta": factor * largest})["problem"] is None) == right
