"""The command line: its verbs reach their steps, and bad input is one line and exit status 2."""

import importlib
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.logging import RichHandler

from growbench import methods
from growbench.cli import main as cli
from growbench.cli import messages
from growbench.errors import GrowBenchError

ROOT = Path(__file__).resolve().parents[2]
DEMO = str(ROOT / "config/demo.yaml")
GPT, NAMED = str(ROOT / "config/demo-gpt.yaml"), ["--set", "zeroshot.names=[PTB]"]


def step(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    """Replace the module of a pipeline step by one with these functions."""
    module = ModuleType(f"growbench.{name}")
    for key, value in functions.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, f"growbench.{name}", module)
    package, _, last = f"growbench.{name}".rpartition(".")
    monkeypatch.setattr(importlib.import_module(package), last, module, raising=False)


def one_line(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run a verb that must refuse its input and return its line."""
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("growbench: ") and captured.err.count("\n") == 1
    return captured.err


def test_methods_lists_every_discovered_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "--json"]) == 0
    assert [row["method"] for row in json.loads(capsys.readouterr().out)] == methods.names()
    assert cli.main(["methods"]) == 0
    table, _, options = capsys.readouterr().out.partition("\nOptions")
    assert [line.split()[0] for line in table.splitlines() if line[0] != " "] == ["method", *methods.names()]
    assert all(len(line) <= 100 for line in (table + options).splitlines())
    assert "fanout=comp" in options


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["check", "--config", "none.yaml"], "none.yaml: No such file"),
        (["check", "--config", DEMO, "--set", "corpus.vocb=3"], "did you mean 'vocab'"),
        (["check", "--config", DEMO, "--set", "corpus"], "KEY=VALUE"),
        (["pretrain", "--config", DEMO, "--method", "scrach", "--seed", "0"], "did you mean 'scratch'"),
        (
            ["pretrain", "--config", DEMO, "--method", "stack", "--seed", "0"],
            "--method stack: cannot make the target of study demo: target.hidden: stack grows layers",
        ),
        (["pretrain", "--config", DEMO, "--method", "scratch", "--seed", "77"], "--seed 77: not a seed of study demo"),
        (
            ["finetune", "--config", DEMO, "--method", "scratch", "--seed", "0", "--points", "p1"],
            "--points p1: not in finetune.points",
        ),
        (
            ["zeroshot", "--config", DEMO, "--method", "scratch", "--seed", "0", "--points", "p100"],
            "zeroshot.names: empty in study demo",
        ),
        (
            ["zeroshot", "--config", GPT, *NAMED, "--method", "scratch", "--seed", "0", "--points", "p56"],
            "--points p56: not in zeroshot.points",
        ),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], wanted: str) -> None:
    assert wanted in one_line(capsys, words)


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_check_refuses_a_missing_data_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    if folder:
        monkeypatch.setenv("GROWBENCH_DATA", folder)
    line = one_line(capsys, ["check", "--config", str(ROOT / "config/mini.yaml")])
    assert "data.dir" in line and "GROWBENCH_DATA" in line


def test_check_of_the_demo_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--config", DEMO]) == 0
    assert "no problems found" in capsys.readouterr().out


def test_steps_get_study_method_seed_and_points(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    step(
        monkeypatch,
        "pipeline.pretrain.run",
        run=lambda study, method, seed, lr: calls.append((study.study, method, seed)),
    )
    step(monkeypatch, "pipeline.finetune.run", run=lambda study, *rest: calls.append((study.study, *rest)))
    step(monkeypatch, "pipeline.aggregate.run", run=lambda study: calls.append(study.optimizer.lr))
    step(monkeypatch, "pipeline.corpus.run", run=lambda study: calls.append("corpus"))
    which = ["--config", DEMO, "--set", "seeds=[5]", "--method", "scratch", "--seed", "5"]
    assert cli.main(["pretrain", *which]) == 0
    assert cli.main(["finetune", *which, "--points", "p100"]) == 0
    assert cli.main(["aggregate", "--config", DEMO, "--set", "optimizer.lr=1e-4"]) == 0
    assert cli.main(["corpus", "--config", DEMO]) == 0
    assert calls == [("demo", "scratch", 5), ("demo", "scratch", [5], ["p100"]), 1e-4, "corpus"]


def test_the_log_holds_every_message_and_the_screen_one_in_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(study: Any) -> None:
        for i in range(5):
            logging.getLogger("growbench.pipeline.aggregate.run").info("step %d", i)
        logging.getLogger("growbench.pipeline.aggregate.run").warning("look here")
        raise GrowBenchError("seeds: at fault")

    step(monkeypatch, "pipeline.aggregate.run", run=run)
    log = tmp_path / "a.log"
    assert cli.main(["aggregate", "--config", DEMO, "--log", str(log)]) == 2
    written = log.read_text(encoding="utf-8")
    assert [f"step {i}" in written for i in range(5)] == [True] * 5
    assert written.endswith("growbench: seeds: at fault\n")
    shown = capsys.readouterr().err
    assert "step 0" in shown and "step 1" not in shown and "look here" in shown
    assert shown.endswith("growbench: seeds: at fault\n")


def test_the_folder_of_a_log_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = one_line(capsys, ["check", "--config", DEMO, "--log", str(tmp_path / "missing/dir/x.log")])
    assert "missing/dir; make it, or name another file" in line and not (tmp_path / "missing").exists()


def test_a_crash_leaves_its_traceback_in_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(study: Any) -> None:
        raise ZeroDivisionError("somewhere")

    step(monkeypatch, "pipeline.aggregate.run", run=run)
    assert cli.main(["aggregate", "--config", DEMO, "--log", str(tmp_path / "a.log")]) == 1
    assert "Traceback" in (tmp_path / "a.log").read_text(encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        cli.main(["aggregate", "--config", DEMO])


def test_an_interruption_is_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(study: Any) -> None:
        raise KeyboardInterrupt

    step(monkeypatch, "pipeline.aggregate.run", run=run)
    assert cli.main(["aggregate", "--config", DEMO]) == 130
    assert "stopped by SIGINT; run the same command to resume" in capsys.readouterr().err


def test_it_runs_as_a_module_from_the_source_tree() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "growbench", "--version"], cwd=ROOT / "src", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == __import__("growbench").__version__


@pytest.mark.parametrize("value", ["-1", "fast", "inf"])
def test_a_speed_that_is_not_positive_is_refused(capsys: pytest.CaptureFixture[str], value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["plan", "--config", DEMO, "--speed", value])
    assert stopped.value.code == 2
    line = f"growbench: argument --speed: '{value}' is not a positive number; see `growbench plan --help`\n"
    assert capsys.readouterr().err == line


def test_a_reader_that_leaves_is_no_error() -> None:
    words = [sys.executable, "-m", "growbench", "methods"]
    with subprocess.Popen(
        words, cwd=ROOT / "src", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_messages_have_style_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    messages.set_up(tmp_path / "a.log")
    assert not any(isinstance(handler, RichHandler) for handler in logging.getLogger().handlers)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    messages.set_up(tmp_path / "b.log")
    assert [isinstance(handler, RichHandler) for handler in logging.getLogger().handlers] == [True, False]
    logging.getLogger("growbench").info("step 1 of [bold]2")
    assert (tmp_path / "b.log").read_text(encoding="utf-8").endswith(" step 1 of [bold]2\n")
