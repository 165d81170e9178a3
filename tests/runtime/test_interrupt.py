"""Signals: a run saves a checkpoint at the current step and stops; the same command then ends with the same bytes."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.interrupted import CURVE, curve, ending
from support.tiny import tiny, weights

from growbench.cli import main as cli
from growbench.pipeline.pretrain import run as pretrain
from growbench.runtime import interrupt
from growbench.study import config


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path)


@pytest.mark.parametrize(
    ("method", "at"),
    [("scratch", {1, 8, 9, 30}), ("stackbert", {11, 40, 60}), ("compoundgrow", {45, 55, 70}), ("msg", {3, 14, 40})],
)
def test_a_signal_loses_no_step_and_no_byte(study, method, at, monkeypatch) -> None:
    if study.method(method).needs_source:
        pretrain.run(study, "source", 0)
    whole = ending(monkeypatch, set(), lambda: None)
    pretrain.run(study, method, 0)
    wanted = weights(method), curve(method), list(whole)
    shutil.rmtree(study.layout.run(method, 0).path)
    taken = ending(monkeypatch, at, lambda: os.kill(os.getpid(), signal.SIGTERM))
    for number in sorted(at):
        with interrupt.handled(), pytest.raises(interrupt.Stopped):
            pretrain.run(study, method, 0)
        assert len(taken) == number
    with interrupt.handled():
        pretrain.run(study, method, 0)
    assert (weights(method), curve(method), taken) == wanted


def test_the_seeds_of_a_job_are_the_runs_of_their_own_jobs(study, tmp_path, monkeypatch) -> None:
    """A signal in the second seed ends the job; the same command then takes only the remaining steps."""
    study = replace(study, seeds=(0, 1))
    monkeypatch.setattr(config, "gather", lambda *words: study)
    whole = ending(monkeypatch, set(), lambda: None)
    for seed in study.seeds:
        pretrain.run(study, "scratch", seed)
    wanted = [(weights("scratch", seed), curve("scratch", seed)) for seed in study.seeds], list(whole)
    for seed in study.seeds:
        shutil.rmtree(study.layout.run("scratch", seed).path)
    taken = ending(monkeypatch, {len(whole) - 5}, lambda: os.kill(os.getpid(), signal.SIGTERM))
    words = ["pretrain", "--config", "x", "--method", "scratch", "--seed", "0", "1"]
    assert cli.main(words) == 143
    shutil.rmtree(CURVE)  # as a workflow does with what a job that failed has made
    assert cli.main(words) == 0
    assert ([(weights("scratch", seed), curve("scratch", seed)) for seed in study.seeds], taken) == wanted


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_verb_at_once_with_one_line(number, status, monkeypatch, capsys) -> None:
    def run(args: Any) -> None:
        os.kill(os.getpid(), number)
        raise AssertionError("still there")

    monkeypatch.setitem(cli.VERBS, "aggregate", (run, "x"))
    before = signal.default_int_handler  # a shell may have made us ignore one of them
    monkeypatch.setattr(interrupt, "SIGNALS", (number,))
    kept = signal.signal(number, before)
    assert cli.main(["aggregate", "--config", "x"]) == status
    assert capsys.readouterr().err == f"growbench: stopped by {number.name}; run the same command to resume\n"
    assert signal.getsignal(number) is before
    signal.signal(number, kept)


def test_what_defers_signals_ends_where_it_says() -> None:
    with interrupt.handled(), interrupt.deferred():
        assert not interrupt.wanted()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.wanted()
        with pytest.raises(interrupt.Stopped) as caught:
            interrupt.check()
    assert caught.value.signal == signal.SIGTERM


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt.handled():
            os.kill(os.getpid(), signal.SIGINT)
            assert not interrupt.wanted()
    finally:
        signal.signal(signal.SIGINT, before)
