"""Ladders: which studies a file lists, that every fault is one line with the file, and what the verbs make of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.configs import ROOT

from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.study import config, ladder

DEMO = str(ROOT / "config/demo.yaml")


def write(path: Path, **values: Any) -> Path:
    """Write a file of these values; JSON is YAML."""
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.fixture
def rungs(tmp_path: Path) -> Path:
    """A ladder of two studies in a folder below its own."""
    folder = tmp_path / "rungs"
    folder.mkdir()
    for name, seed in (("short", 1), ("long", 2)):
        methods = {"scratch": None, "direct_copy": None}
        write(folder / f"{name}.yaml", extends=DEMO, study=name, seeds=[seed], methods=methods)
    return write(tmp_path / "both.yaml", ladder="both", studies=["rungs/short.yaml", "rungs/long.yaml"])


def refusal(path: Path, *changes: str) -> str:
    with pytest.raises(GrowBenchError) as caught:
        ladder.load(path, changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_studies_are_found_from_the_folder_of_the_file_and_keep_their_order(rungs: Path) -> None:
    loaded = ladder.load(rungs)
    assert loaded.name == "both" and list(loaded.files) == ["short", "long"]
    assert [config.load(path).seeds for path in loaded.files.values()] == [(1,), (2,)]
    assert ladder.given([rungs]) and not ladder.given([DEMO]) and not ladder.given([rungs, DEMO])


def test_the_committed_ladder_lists_the_rungs() -> None:
    loaded = ladder.load(ROOT / "config/ladder.yaml")
    assert loaded.name == "ladder" and "ladder-a" in loaded.files


@pytest.mark.parametrize(
    "values, said",
    [
        ({"studies": 3}, "studies: 3 is not allowed; list the config file of each study"),
        ({"studies": []}, "studies: [] is not allowed"),
        ({"studies": [1]}, "studies: [1] is not allowed"),
        ({"ladder": "../up"}, "ladder: '../up' is not allowed; use small letters"),
        ({"ladder": None}, "ladder: None is not allowed"),
        ({"study": "both"}, "study: unknown key of a list of studies; did you mean 'studies'?"),
        ({"ladder": "long"}, "ladder: long is also the study of "),
        ({"studies": ["rungs/short.yaml", "rungs/../rungs/short.yaml"]}, "are both study short; rename or remove one"),
        ({"studies": ["missing.yaml"]}, "missing.yaml: No such file or directory; give the path of a config file"),
        ({"studies": ["both.yaml"]}, "both.yaml: a list of studies; give one of them: "),
    ],
)
def test_a_fault_of_the_list_is_one_line_with_its_file(rungs: Path, values: dict[str, Any], said: str) -> None:
    old = {"ladder": "both", "studies": ["rungs/short.yaml", "rungs/long.yaml"]}
    line = refusal(write(rungs, **{**old, **values}))
    assert line.startswith(f"{rungs}: ") and said in line


def test_a_fault_of_a_study_is_one_line_with_both_files(rungs: Path) -> None:
    study = rungs.with_name("rungs") / "long.yaml"
    write(study, extends=DEMO, study="long", seeds=[])
    assert refusal(rungs).startswith(f"{rungs}: studies: {study}: seeds: ")
    base = study.with_name("base.yaml")
    base.write_text("seeds: [", encoding="utf-8")
    write(study, extends="base.yaml", study="long")
    assert f"studies: {study}: extends: {base}: line 1:" in refusal(rungs)


def test_changes_are_made_to_every_study(rungs: Path) -> None:
    assert "both study same" in refusal(rungs, "study=same")
    assert f"{rungs.with_name('rungs') / 'short.yaml'} + command line: optimizer.lrr: unknown key" in refusal(
        rungs, "optimizer.lrr=1"
    )


def test_check_does_every_study_under_a_heading(rungs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--config", str(rungs)]) == 0
    out = capsys.readouterr().out
    found = re.findall(r"^(\w+) \((.*)\)\n=+\n", out, re.MULTILINE)
    assert found == list(ladder.load(rungs).files.items())
    assert out.count("no problems found") == 2
    assert cli.main(["check", "--print", "--config", str(rungs), "--set", "optimizer.batch=7"]) == 0
    assert len(re.findall("  batch: 7 .*# --set", capsys.readouterr().out)) == 2


def test_check_names_the_study_whose_data_is_missing(rungs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = rungs.with_name("rungs") / "long.yaml"
    corpus = {"source": "local", "train": "a.txt", "tokenizer": "bpe"}
    folder, tasks = {"dir": str(rungs.parent / "none")}, {"source": "local", "names": []}
    write(study, extends=DEMO, study="long", data=folder, corpus=corpus, tasks=tasks)
    assert cli.main(["check", "--config", str(rungs)]) == 2
    said = capsys.readouterr()
    assert "short.yaml: no problems found" in said.out
    assert said.err.startswith(f"growbench: {study}: data.dir: ") and said.err.count("\n") == 1


def test_plan_ends_with_the_sum_of_all_studies(rungs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--config", str(rungs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    each = [float(line.split()[-1]) for line in lines if line.startswith("Core-hours on this machine")]
    assert len(each) == 2 and lines[-1].startswith("Core-hours of all 2 studies on this machine")
    assert float(lines[-1].split()[-1]) == pytest.approx(sum(each), rel=0.02)
    assert cli.main(["plan", "--config", str(rungs), "--no-timing", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    flops = sum(row["flops"] * len(row["seeds"]) + row["search_flops"] for of in rows.values() for row in of)
    assert list(rows) == ["short", "long"] and lines[-2].startswith(f"All 2 studies: {flops:.4g} FLOPs, ")


@pytest.mark.parametrize("verb", [["show"], ["aggregate"], ["pretrain", "--method", "scratch", "--seed", "1"]])
def test_every_other_verb_asks_for_one_of_the_studies(
    rungs: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*verb, "--config", str(rungs)]) == 2
    one = rungs.parent / "rungs/short.yaml"
    assert capsys.readouterr().err.startswith(f"growbench: {rungs}: a list of studies; give one of them: {one}, ")
