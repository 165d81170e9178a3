"""The benchmarks of pre-training run at a tiny size and measure what they say."""

import argparse
from pathlib import Path

import pytest
import torch
from support.page import cells, number

from growbench.train import device

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


PRECISIONS = {"bf16": ["bf16", "float32"], "float32": ["float32"]}  # what `auto` means, and what is measured then


@pytest.fixture(params=PRECISIONS)
def automatic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `train.precision: auto` means, whatever this processor is."""
    monkeypatch.setattr(device, "multiplies_bf16", lambda: request.param == "bf16")
    return str(request.param)


def test_masked_pretraining(bench, data: Path, tmp_path: Path, automatic: str, capsys) -> None:
    page = tmp_path / "page.md"
    words = ["--data", str(data), "--matmul", "1e7", "--seeds", "2", "--loss-steps", "4", "--out", str(page), *SIZES]
    assert bench("pretrain").main(words) == 0
    assert f"`precision: auto` takes {automatic} here" in " ".join(page.read_text().split())
    for precision in PRECISIONS[automatic]:
        row = cells(page, f"(1, 64), 1, {precision}")
        ours, *trainers = map(number, row[1:4])
        assert [number(row[4]), number(row[6])] == pytest.approx([ours / each for each in trainers], rel=0.02, abs=0.02)
        assert 0 < number(row[9]) < 100
        values = cells(page, f"ours, {precision}")
        assert 3 < number(values[1].split()[0]) < 7
        assert abs(number(values[2].split()[0])) < 0.5 and values[4].startswith("within the deviation, both signs: ")


def test_both_sides_of_masked_pretraining_train_the_same_model(bench, data: Path, monkeypatch) -> None:
    pretrain, machine, text = bench("pretrain"), bench("_machine"), bench("_text")
    tokenizer = text.vocabulary(data / "wikipedia/valid.txt", 300)
    spec = machine.shape("bert", 1, 64, tokenizer.get_vocab_size(), 16)
    ids = text.text_ids(data / "wikipedia/valid.txt", tokenizer, 200)
    args = argparse.Namespace(dropout=0.1, length=16, batch=2)
    case, made = pretrain.Case(spec, tokenizer, ids, ids, args, 3), []
    honest = case.model
    monkeypatch.setattr(case, "model", lambda seed: made.append(honest(seed)) or made[-1])
    starts = [{name: value.clone() for name, value in honest(3).state_dict().items()} for _ in range(2)]
    sides = case.ours("float32", 3), case.theirs("float32", 3)
    assert all(torch.equal(value, starts[1][name]) for name, value in starts[0].items())
    assert [sample.value.model for sample in sides] == made
    assert {(m.config.hidden_dropout_prob, m.config.attention_probs_dropout_prob) for m in made} == {(0.1, 0.1)}
    moved = [(m.state_dict()["bert.embeddings.word_embeddings.weight"] - starts[0]["bert.embeddings.word_embeddings.weight"]) for m in made]  # fmt: skip
    assert all(change.abs().max() > 1e-4 for change in moved)


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([0.01, -0.02, 0.01], "met"),
        ([0.01, 0.02, 0.01], "missed (one sign)"),
        ([0.4, -0.02, 0.4], "missed (larger)"),
        ([-0.4, -0.4, -0.4], "missed (larger, one sign)"),
    ],
)
def test_losses_agree_if_they_differ_by_less_than_seeds_do_and_in_both_directions(bench, differences, words) -> None:
    _, above, verdict = bench("pretrain").compared(differences, 0.05)
    assert verdict == f"within the deviation, both signs: {words}"
    assert above == f"{sum(value > 0 for value in differences)} of 3"


def test_the_first_steps_are_not_timed(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bench("_machine")
    watch, times = machine.Stopwatch(5), iter([10.0, 13.0])
    monkeypatch.setattr(machine.time, "process_time", lambda: next(times))
    for done in range(1, 6):
        watch.passed(done)
    assert watch.sample("value").cpu == 3 and watch.sample("value").value == "value"


def test_causal_pretraining(bench, data: Path, tmp_path: Path, automatic: str, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("causal").main(["--data", str(data), "--out", str(page), *SIZES]) == 0
    for precision in PRECISIONS[automatic]:
        row = cells(page, f"(1, 64), 2 x 16, 1, {precision}")
        assert number(row[3]) == pytest.approx(number(row[1]) / number(row[2]), rel=0.02, abs=0.02)
        assert 4 < number(row[6]) < 7 and 4 < number(row[7]) < 7


def test_the_reference_decoder_attends_alike_in_both_precisions(bench) -> None:
    causal, machine = bench("causal"), bench("_machine")
    block = causal.Block(machine.shape("gpt2", 1, 64, 50, 8))
    states = [torch.randn(2, 1, 6, 64, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    exact, rounded = block.attended(*states), block.attended(*(x.bfloat16() for x in states))
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.05)


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


def test_steps_that_train_a_part_of_the_layers(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    stages, page = bench("stages"), tmp_path / "page.md"
    for name, value in {"HIDDEN": 64, "VOCAB": 100, "LENGTH": 16, "BATCH": 2}.items():
        monkeypatch.setattr(stages, name, value)
    assert stages.main(["--rounds", "1", "--out", str(page)]) == 0
    assert [number(cell) for cell in cells(page, "full")[1:4]] == [1, 1, 1]
    assert 0 < number(cells(page, "top 3 of 6")[1]) < number(cells(page, "top 3 of 12")[1]) < 1


def test_stacked_seeds_train_as_separate_ones(bench) -> None:
    seeds = bench("seeds")
    seeds.BATCH, seeds.LENGTH, seeds.LR = 2, 16, 0.02
    own = [seeds.trainer((2, 32), "float64", seed) for seed in range(3)]
    whole = seeds.Together(own)
    start = [value.clone() for value in whole.parameters]
    for step in range(4):
        apart = sum(one.step(step, seeds.LR) for one in own)
        assert whole.step(step).item() == pytest.approx(apart.item(), rel=1e-10)
    assert all(not torch.equal(a, b) for a, b in zip(start, whole.parameters, strict=True))
    for i, one in enumerate(own):
        for mine, theirs in zip(whole.parameters, one.parameters, strict=True):
            torch.testing.assert_close(mine[i], theirs, rtol=0, atol=1e-9)


def test_seeds_together(bench, tmp_path: Path, capsys) -> None:
    page, seeds = tmp_path / "page.md", bench("seeds")
    seeds.BATCH, seeds.LENGTH = 2, 16
    assert seeds.main(["--seeds", "2", "--shapes", "1x32", "--rounds", "1", "--out", str(page)]) == 0
    row = cells(page, "(1, 32), float32")
    assert number(row[4]) == pytest.approx(number(row[1]) / number(row[2]), rel=0.05)
