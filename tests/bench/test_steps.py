"""The benchmarks of the other steps and of the workflow run at a tiny size and measure what they say."""

from pathlib import Path

import pytest
from support.page import cells, number


def test_finetuning(bench, data: Path, tmp_path: Path, capsys) -> None:
    page, here = tmp_path / "page.md", Path.cwd()
    words = [
        "--tasks",
        "CoLA",
        "SST-2",
        "--rows",
        "20",
        "--rounds",
        "1",
        "--layers",
        "1",
        "--hidden",
        "64",
        "--vocab",
        "300",
    ]
    assert bench("finetune").main(["--data", str(data), "--out", str(page), *words]) == 0
    assert Path.cwd() == here
    assert number(cells(page, "ours")[4]) == 1
    for name, bar in (("Trainer, float32", "at least 3"), ("Trainer, bf16", "none")):
        row = cells(page, name)
        assert number(row[4]) > 0 and row[-1].startswith(bar)


def test_tokenizing(bench, data: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    words = ["--copies", "1", "--rounds", "1", "--vocab", "300", "--kinds", "wordpiece"]
    assert bench("tokenize_text").main(["--data", str(data), "--out", str(page), *words]) == 0
    text = (data / "wikipedia/valid.txt").read_text(encoding="utf-8")
    assert len(text.split()) < number(cells(page, "wordpiece")[-1]) < len(text)


@pytest.mark.slow
def test_startup(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("startup").main(["--rounds", "1", "--cold", "--out", str(page)]) == 0
    assert number(cells(page, "`import torch`")[3]) == 1
    assert number(cells(page, "`pretrain --help`")[1]) < number(cells(page, "`first step`")[1])


@pytest.mark.slow
def test_growth(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    words = [
        "--layers",
        "1",
        "--hidden",
        "192",
        "--rounds",
        "1",
        "--folder",
        str(tmp_path / "work"),
        "--out",
        str(page),
    ]
    assert bench("grow").main(words) == 0
    assert number(cells(page, "target, MB")[1]) > 0


@pytest.mark.slow
def test_learning(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    sizes = {"layers": 1, "hidden": 192, "vocab": 100, "length": 16, "micro": 2, "batches": 4, "precision": "float32"}
    words = [word for key, value in sizes.items() for word in (f"--{key}", str(value))]
    assert bench("learned").main([*words, "--out", str(page)]) == 0
    alone = number(cells(page, "4, target")[4])
    for side in ("ligo", "mango"):
        row = cells(page, f"4, {side}")
        assert number(row[4]) > alone and "at most 1.3" in row[3] and row[6] == "at most 24: met"


@pytest.mark.slow
def test_a_dry_run_is_compared_with_as_many_empty_jobs(bench, tmp_path: Path, monkeypatch, capsys) -> None:
    dag, page = bench("dag"), tmp_path / "page.md"
    monkeypatch.setattr(dag, "CONFIGS", {"the demo": "config/demo.yaml"})
    assert dag.main(["--rounds", "1", "--out", str(page)]) == 0
    row = cells(page, "the demo")
    assert number(row[1]) > 20 and number(row[6]) == pytest.approx(number(row[2]) / number(row[4]), rel=0.02, abs=0.02)


def test_the_demo_is_summed_by_rule_and_method(bench, tmp_path: Path) -> None:
    for name, wall in {"pretrain/msg-s0": 3, "pretrain/msg-s1": 4, "finetune/msg": 5, "corpus": 1}.items():
        path = tmp_path / f"benchmarks/demo/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tcpu_time\n{wall}\tNA\n", encoding="utf-8")
    found = bench("demo").by_rule(tmp_path)
    assert found == {"pretrain msg": [3, 4], "finetune": [5], "corpus": [1]}
    assert list(found) == ["pretrain msg", "finetune", "corpus"]
