"""The benchmarks of pre-training run at a tiny size and measure what they say."""

from pathlib import Path

import pytest
import torch
from support.page import cells, number

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


def test_masked_pretraining(bench, data: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.md"
    assert bench("pretrain").main(["--data", str(data), "--matmul", "1e7", "--out", str(page), *SIZES]) == 0
    row = cells(page, "(1, 64), 1")
    assert number(row[1]) > 0 and number(row[3]) == pytest.approx(number(row[1]) / number(row[2]), rel=0.02, abs=0.02)
    assert 3 < number(row[6]) < 7 and abs(number(row[6]) - number(row[7])) < 0.5
    assert 0 < number(row[9]) < 100


def test_both_sides_of_masked_pretraining_start_from_the_same_weights(bench, data: Path) -> None:
    pretrain, machine, text = bench("pretrain"), bench("_machine"), bench("_text")
    tokenizer = text.vocabulary(data / "wikipedia/valid.txt", 300)
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


def test_steps_that_train_a_part_of_the_layers(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    stages, page = bench("stages"), tmp_path / "page.md"
    for name, value in {"HIDDEN": 64, "VOCAB": 100, "LENGTH": 16, "BATCH": 2}.items():
        monkeypatch.setattr(stages, name, value)
    assert stages.main(["--rounds", "1", "--out", str(page)]) == 0
    assert [number(cell) for cell in cells(page, "full")[1:4]] == [1, 1, 1]
    assert 0 < number(cells(page, "top 3 of 6")[1]) < number(cells(page, "top 3 of 12")[1]) < 1
