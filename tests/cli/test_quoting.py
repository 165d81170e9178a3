"""What comes from outside (names, values, tensors) reaches the terminal as one line without control characters."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import FPI, saved

from growbench.cli import main as cli
from growbench.cli import messages
from growbench.cli.tables import table
from growbench.errors import shown
from growbench.pipeline.grow import files

ROOT = Path(__file__).resolve().parents[2]
DEMO = str(ROOT / "config/demo.yaml")
EVIL = "a\x1b[31m\nb\x9b\u202e\x7f\udc80"
QUOTED = r"a\x1b[31m\nb\x9b\u202e\x7f\udc80"
AUTHORS = ("new-method", "try")  # verbs that take the name of a method and no study
STUDIES = [name for name in cli.VERBS if name not in ("grow", "methods", *AUTHORS)]
NEEDED = {
    "search": ["--method", "scratch"],
    "pretrain": ["--method", "scratch", "--seed", "0"],
    "finetune": ["--method", "scratch", "--seed", "0", "--points", "p100"],
    "zeroshot": ["--method", "scratch", "--seed", "0", "--points", "p100"],
    "attention": ["--seed", "0"],
    "compare": ["--methods", "scratch"],
}


def printed(capsys: pytest.CaptureFixture[str], words: list[str]) -> tuple[int, str, str]:
    """Run a verb; none of its lines may have a control character. Return its status, and its output."""
    capsys.readouterr()
    try:
        status = cli.main(words)
    except SystemExit as error:
        status = int(error.code or 0)
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in (out + err).split("\n")), out + err
    return status, out, err


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    status, _, err = printed(capsys, words)
    assert status == 2 and err.count("\n") == 1 and err.startswith("growbench: ")
    return err


@pytest.mark.parametrize("verb", STUDIES)
def test_the_name_of_a_config_file_and_a_change_are_quoted(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [verb, *NEEDED.get(verb, [])]
    assert f"{QUOTED}.yaml" in refused(capsys, [*words, "--config", f"{EVIL}.yaml"])
    for change in (EVIL, f"{EVIL}=1", f"corpus.{EVIL}=1", f"study={json.dumps(EVIL)}"):
        refused(capsys, [*words, "--config", DEMO, "--set", change])


@pytest.mark.parametrize("verb", AUTHORS)
def test_the_name_of_a_method_is_quoted(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert QUOTED in refused(capsys, [verb, EVIL])
    assert QUOTED in refused(capsys, ["compare", "--config", DEMO, "--methods", EVIL])


@pytest.mark.parametrize("key", ["--method", "--seed", "--points", EVIL])
@pytest.mark.parametrize("verb", ["pretrain", "finetune", "zeroshot"])
def test_the_values_of_options_are_quoted(verb: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"--method": "scratch", "--seed": "0", **({} if verb == "pretrain" else {"--points": "p100"}), key: EVIL}
    refused(capsys, [verb, "--config", DEMO, *(word for pair in given.items() for word in pair)])


def test_an_unknown_verb_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [EVIL])


def test_a_config_file_that_is_right_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{EVIL.removesuffix(chr(0xDC80))}.yaml"
    path.write_text(f"extends: {json.dumps(DEMO)}\nstudy: made\n")
    for words in ([], ["--print"]):
        assert printed(capsys, ["check", "--config", str(path), *words])[0] == 0


def test_names_in_a_checkpoint_are_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "source")
    words = ["--method", FPI, "--layers", "4"]
    for odd in (["--method", EVIL], ["--set", f"map={EVIL}"], ["--set", EVIL], ["--dtype", EVIL], ["--text", EVIL]):
        refused(capsys, ["grow", str(source), str(tmp_path / "out"), *words, *odd])
    refused(capsys, ["grow", str(tmp_path / EVIL), str(tmp_path / "out"), *words])
    refused(capsys, ["grow", str(source), str(source / EVIL), *words])
    weights = source / files.WEIGHTS
    save_file({**load_file(weights), "a\x1b[31m\nb": torch.ones(2)}, weights)
    status, out, _ = printed(capsys, ["grow", str(source), str(tmp_path / "o\x1b[31m\nut"), *words])
    assert status == 0 and r"left out   a\x1b[31m\nb: " in out and r"o\x1b[31m\nut (" in out
    assert printed(capsys, ["grow", str(source), str(tmp_path / "json"), *words, "--json"])[0] == 0
    for key in ("model_type", "hidden_act", "architectures", "num_attention_heads"):
        config = json.loads((source / "config.json").read_text())
        value = [EVIL] if key == "architectures" else EVIL
        (source / "config.json").write_text(json.dumps({**config, key: value}))
        printed(capsys, ["grow", str(source), str(tmp_path / f"of {key}"), *words])
        (source / "config.json").write_text(json.dumps(config))


def test_log_lines_are_quoted_and_a_traceback_keeps_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages.set_up(tmp_path / "a.log")
    log = logging.getLogger("growbench.x")
    log.warning("text of %s", EVIL)
    try:
        raise ValueError(EVIL)
    except ValueError:
        log.exception("failed")
    written = (tmp_path / "a.log").read_text(encoding="utf-8")
    lines = written.splitlines()
    assert lines[0].endswith(f" text of {QUOTED}") and lines[1].endswith(" failed")
    assert lines[2] == "Traceback (most recent call last):" and len(lines) > 4
    assert all(line.isprintable() for line in [*lines, *capsys.readouterr().err.split("\n")])


def test_cells_of_tables_are_quoted() -> None:
    text = table(("method",), {EVIL: [[EVIL]]})
    assert all(line.isprintable() for line in text.split("\n")) and r"\x1b" in text


def test_shown_leaves_text_alone() -> None:
    assert shown("Größe 5 × 3, 'quoted' \\n 語") == "Größe 5 × 3, 'quoted' \\n 語"
    assert shown(EVIL) == QUOTED
