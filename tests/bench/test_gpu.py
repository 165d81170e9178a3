"""The benchmarks of a GPU run on a CPU at a tiny size, with the libraries that they may count on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.page import cells, number

ROOT = Path(__file__).resolve().parents[2]
ABSENT = "snakemake,datasets,evaluate,pandas,matplotlib,markdown_it,rich,pyarrow"
MORE_ABSENT = f"{ABSENT},jsonschema,ruamel,pydantic,sklearn,scipy,zstandard"  # bench/gpu.py reads no config and no text
SMALL = [
    "--steps",
    "20",
    "--tokens",
    "20000",
    "--shapes",
    "1x64",
    "--processes",
    "1",
    "2",
    "--seconds",
    "0.1",
    "--vocab",
    "100",
    "--length",
    "16",
    "--batch",
    "2",
]
CHECKS = ["corpus", "pretrain source", "pretrain scratch", "pretrain stackbert", "pretrain bert2bert_fpi", "pretrain msg",
          "evaluate", "resume", "finetune", "attention", "grow", "zeroshot", "matmul"]  # fmt: skip


def run_without(absent: str, script: str, *words: str) -> str:
    """Run a benchmark as if some libraries were not installed; return what it prints."""
    command = [sys.executable, str(ROOT / "tests/support/without.py"), absent, str(ROOT / "bench" / script), *words]
    environment = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_gpu_rows_on_a_cpu_with_torch_and_transformers_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    words = [
        "--layers",
        "1",
        "--hidden",
        "64",
        "--vocab",
        "100",
        "--lengths",
        "8",
        "--steps",
        "1",
        "--largest",
        "2",
        "--matmul",
        "1e6",
        "--backend",
        "eager",
    ]
    run_without(MORE_ABSENT, "gpu.py", *words, "--out", str(page))
    for name in ("pre-training |", "pre-training, compiled", "fine-tuning"):
        assert number(cells(page, name)[5]) > 0
    assert cells(page, "pre-training |")[2] == cells(page, "pre-training, compiled")[2]


@pytest.mark.slow
def test_the_pipeline_and_the_rates_on_a_cpu(tmp_path: Path) -> None:
    printed = run_without(ABSENT, "gpu_pipeline.py", "--out", str(tmp_path), "--modes", "eager", "graph", *SMALL)
    report = json.loads(printed)
    assert report == json.loads((tmp_path / "gpu_pipeline.json").read_text())
    assert report["complete"] and report["passed"] and list(report["checks"]) == CHECKS
    assert report["checks"]["resume"]["repeatable"] and report["checks"]["resume"]["equal"]
    one, two, graph = report["rates"]
    assert (one["processes"], two["processes"]) == (1, 2)
    for row in (one, two):
        assert row["tokens_per_second"] == pytest.approx(row["steps_per_second"] * 32, rel=0.01)
        assert row["ms_per_step"] == pytest.approx(1000 * row["processes"] / row["steps_per_second"], rel=0.5)
        assert row["flops_per_second"] > 0 and row["launch_bound_share"] is None
    assert graph["mode"] == "graph" and "needs a GPU" in graph["error"]


@pytest.mark.slow
def test_the_pipeline_stops_when_its_budget_is_spent(bench, tmp_path: Path, capsys) -> None:
    here = Path.cwd()
    assert bench("gpu_pipeline").main(["--out", str(tmp_path), "--budget", "0.5", *SMALL]) == 0
    report = json.loads(capsys.readouterr().out)
    assert not report["complete"] and report["checks"] == {} and Path.cwd() == here


def test_a_failed_check_is_reported_and_the_rest_runs(bench, tmp_path: Path, capsys, monkeypatch) -> None:
    script, pipeline = bench("gpu_pipeline"), bench("_pipeline")

    def refused() -> None:
        pipeline.require(False, "not so")

    checks = (("bad", refused), ("good", lambda: {"value": 1}))
    monkeypatch.setattr(pipeline.Pipeline, "checks", lambda self: iter(checks))
    assert script.main(["--out", str(tmp_path), *SMALL, "--shapes"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["complete"] and not report["passed"]
    assert report["checks"]["bad"]["error"] == "RuntimeError: not so" and report["checks"]["good"]["value"] == 1


def test_the_batch_grows_until_it_does_not_pay(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = bench("gpu")
    seconds = {1: 1.0, 2: 1.1, 4: 1.5, 8: 3.0, 16: 9.0}
    monkeypatch.setattr(gpu, "speed", lambda step, batch, steps: gpu.Speed(batch, seconds[batch], 0.0, 0.0))
    assert gpu.chosen(lambda batch: None, 1, 64).batch == 4
    seconds[8] = 2.0

    def full(batch: int) -> None:
        if batch == 16:
            raise torch.OutOfMemoryError("full")

    assert gpu.chosen(full, 1, 64).batch == 8
