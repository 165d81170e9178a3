"""`growbench grow`: the report, for programs and for people."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from support.checkpoints import FPI, grow
from support.helpers import SOURCE

from growbench.cli import main as cli
from growbench.pipeline.grow import files


def test_the_report_says_what_was_done(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["grow", str(source), str(out), "--method", FPI, "--hidden", "48", "--set", "map=random", "--json"]
    assert cli.main([*words, "--seed", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "growth.json").read_text())
    assert report["method"] == FPI and report["options"]["map"] == "random" and report["seed"] == 3
    assert report["source"] == {"directory": str(source), **SOURCE.to_dict()}
    assert report["target"] == SOURCE.resized(hidden=48, heads=3, ffn=96).to_dict()
    for key, folder in (("parameters_before", source), ("parameters_after", out)):
        assert report[key] == transformers.BertForMaskedLM.from_pretrained(folder).num_parameters()
    measured = report["measured"]
    assert measured["relative_delta"] == measured["max_abs_delta"] / measured["logit_scale"] > 1e-3
    assert report["flops"] == 0 and report["bytes"] == (out / files.WEIGHTS).stat().st_size
    assert not report["claimed"]["exact"] and set(report["seconds"]) == {"checking", "growing", "measuring"}
    assert "torch" in report["versions"] and "commit" in report
    words[2], words[-1] = str(tmp_path / "plain"), "--no-measure"
    assert cli.main(words) == 0
    assert "not measured" in capsys.readouterr().out
    assert "no-measure" in json.loads((tmp_path / "plain/growth.json").read_text())["measured"]


def test_tensors_that_the_class_does_not_have_are_left_out_and_named(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in bert-base-uncased, whose masked LM directory holds a pooler and a next-sentence head."""
    weights, out = source / files.WEIGHTS, tmp_path / "out"
    save_file({**load_file(weights), "cls.seq_relationship.weight": torch.ones(2, 32)}, weights)
    assert cli.main(["grow", str(source), str(out), "--method", FPI, "--layers", "4"]) == 0
    assert "left out   cls.seq_relationship.weight: BertForMaskedLM has no place" in capsys.readouterr().out
    assert json.loads((out / files.REPORT).read_text())["left_out"] == ["cls.seq_relationship.weight"]
    assert not any("seq_relationship" in key for key in load_file(out / files.WEIGHTS))


def test_half_precision_is_not_called_exact(tmp_path: Path, source: Path) -> None:
    report = grow(source, tmp_path / "half", hidden=64, dtype="float16")
    assert report["claimed"]["exact"] is False and report["claimed"]["rounding"] == "float16"
    assert grow(source, tmp_path / "whole", hidden=64)["claimed"]["exact"] is True
