"""Every benchmark runs at a tiny size, measures what it says and keeps its section of the page."""

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from growbench import synthetic

BENCH = Path(__file__).resolve().parents[1] / "bench"
SIZES = [
    "--threads",
    "1",
    "--shapes",
    "1x64",
    "--vocab",
    "300",
    "--length",
    "16",
    "--batch",
    "2",
    "--steps",
    "3",
    "--rounds",
    "1",
]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Import a benchmark by name; its modules are forgotten again."""
    monkeypatch.syspath_prepend(str(BENCH))
    before, threads, silent = set(sys.modules), torch.get_num_threads(), logging.root.manager.disable

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    torch.set_num_threads(threads)
    logging.disable(silent)
    for name in {path.stem for path in BENCH.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a little text and two tasks, in the layout of the real ones."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "wikipedia").mkdir()
    documents = synthetic.documents(0)
    for name in ("valid", "test"):
        (folder / f"wikipedia/{name}.txt").write_text(
            "\n\n".join(next(documents) for _ in range(250)) + "\n", encoding="utf-8"
        )
    words = [f"{next(documents).split('.')[0][:40]}" for _ in range(60)]
    for name, lines in (
        ("CoLA", [f"gj04\t{i % 2}\t\t{text}\n" for i, text in enumerate(words)]),
        ("SST-2", ["sentence\tlabel\n", *(f"{text}\t{i % 2}\n" for i, text in enumerate(words))]),
    ):
        task = folder / "glue" / name
        task.mkdir(parents=True)
        for split in ("train", "dev"):
            (task / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def cells(page: Path, first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {first}")]
    assert len(lines) == 1
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def number(cell: str) -> float:
    return float(cell.replace(",", "").rstrip("%"))


def test_a_section_replaces_its_own_and_leaves_the_others(bench) -> None:
    table = bench("_table")
    page = table.placed(table.placed("# Benchmarks\n", "a", "old \\1"), "b", "other")
    new = table.placed(page, "a", "new \\2")
    assert new == page.replace("old \\1", "new \\2") and "other" in new and new.startswith("# Benchmarks\n")
    assert table.placed(new, "a", "new \\2") == new


def test_bars_are_judged_from_both_sides(bench) -> None:
    table = bench("_table")
    assert table.verdict(2.0, 2.0).endswith("kept") and table.verdict(2.0, 2.0, True).endswith("kept")
    assert table.verdict(1.8, 2.0) == "at least 2: missed by 10.0%"
    assert table.verdict(3.0, 2.0, True) == "at most 2: missed by 50.0%"


def test_sides_run_in_turns_and_ratios_are_of_rounds(bench) -> None:
    table, seen = bench("_table"), []

    def side(name: str, seconds: float):
        def work(number: int):
            seen.append((number, name))
            return table.Sample(seconds * (number + 1), seconds * (number + 1))

        return work

    found = table.turns({"a": side("a", 1.0), "b": side("b", 3.0)}, 3, table.own)
    assert seen == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    assert table.ratio(found["b"], found["a"], "cpu") == 3.0 and table.median(found["a"], "wall") == 2.0


def test_masked_pretraining(bench, data: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("pretrain").main(["--data", str(data), "--matmul", "1e7", "--out", str(page), *SIZES]) == 0
    row = cells(page, "(1, 64), 1")
    assert number(row[1]) > 0 and number(row[3]) == pytest.approx(number(row[1]) / number(row[2]), rel=0.02, abs=0.02)
    assert 3 < number(row[6]) < 7 and abs(number(row[6]) - number(row[7])) < 0.5
    assert 0 < number(row[9]) < 100


def test_both_sides_of_masked_pretraining_start_from_the_same_weights(bench, data: Path) -> None:
    pretrain, machine = bench("pretrain"), bench("_machine")
    tokenizer = machine.vocabulary(data / "wikipedia/valid.txt", 300)
    spec = machine.shape("bert", 1, 64, tokenizer.get_vocab_size(), 16)
    case = pretrain.Case.__new__(pretrain.Case)
    case.spec = spec
    ours, theirs = case.model(3, 0.0), case.model(3, 0.1)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert theirs.config.hidden_dropout_prob == 0.1


def test_causal_pretraining(bench, data: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("causal").main(["--data", str(data), "--out", str(page), *SIZES]) == 0
    row = cells(page, "(1, 64)")
    assert number(row[3]) == pytest.approx(number(row[1]) / number(row[2]), rel=0.02, abs=0.02)
    assert 4 < number(row[6]) < 7 and 4 < number(row[7]) < 7


def test_the_reference_decoder_sees_no_later_token(bench) -> None:
    causal, machine = bench("causal"), bench("_machine")
    model = causal.Gpt(machine.shape("gpt2", 2, 64, 50, 8))
    ids = torch.arange(8)[None]
    changed = ids.clone()
    changed[0, -1] = 40
    states: list[torch.Tensor] = []
    model.norm.register_forward_hook(lambda module, args, out: states.append(out))
    assert not torch.equal(model(ids, ids), model(changed, ids))
    torch.testing.assert_close(states[0][:, :-1], states[1][:, :-1])


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
    assert number(cells(page, "ours")[4]) == 1 and number(cells(page, "Trainer, padded to 128")[4]) > 0


def test_tokenizing(bench, data: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    words = ["--copies", "1", "--rounds", "1", "--vocab", "300", "--kinds", "wordpiece"]
    assert bench("tokenize_text").main(["--data", str(data), "--out", str(page), *words]) == 0
    text = (data / "wikipedia/valid.txt").read_text(encoding="utf-8")
    assert len(text.split()) < number(cells(page, "wordpiece")[-1]) < len(text)


def test_startup(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("startup").main(["--rounds", "1", "--cold", "--out", str(page)]) == 0
    assert number(cells(page, "`import torch`")[3]) == 1
    assert number(cells(page, "`pretrain --help`")[1]) < number(cells(page, "`first step`")[1])


def test_growth(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    words = [
        "--layers",
        "1",
        "--hidden",
        "192",
        "--folder",
        str(tmp_path / "work"),
        "--rounds",
        "1",
        "--out",
        str(page),
    ]
    assert bench("grow").main(words) == 0
    assert number(cells(page, "target, MB")[1]) > 0


def test_gpu_rows_on_a_cpu(bench, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    words = ["--layers", "1", "--hidden", "64", "--vocab", "100", "--lengths", "8", "--steps", "1", "--largest", "2"]
    assert bench("gpu").main([*words, "--matmul", "1e6", "--backend", "eager", "--out", str(page)]) == 0
    for name in ("pre-training |", "pre-training, compiled", "fine-tuning"):
        assert number(cells(page, name)[5]) > 0
    assert cells(page, "pre-training |")[2] == cells(page, "pre-training, compiled")[2]


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
        path.write_text(f"s\tcpu_time\n{wall}\t{wall / 2 if wall > 1 else 'NA'}\n", encoding="utf-8")
    found = bench("demo").by_rule(tmp_path)
    assert found == {"pretrain msg": [(3, 1.5), (4, 2)], "finetune": [(5, 2.5)], "corpus": [(1, 0)]}
    assert list(found) == ["pretrain msg", "finetune", "corpus"]
