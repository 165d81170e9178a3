"""Snakemake's SLURM plugin with stand-ins for SLURM's programs; tests/workflow/test_slurm.py has the real ones."""

import asyncio
import contextlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor

from growbench.runtime import unanswered

AWAY = "exit 1"
HERE = {"scontrol": "echo 'MinJobAge = 300 sec'", "squeue": "echo '7|RUNNING'; echo '8|COMPLETED'", "sacct": AWAY}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask the plugin about jobs 7 and 8 while SLURM's programs do this: which are kept, which are done, what is said."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def ask(executor: Any, programs: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
        for name, does in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
            (tmp_path / name).chmod(0o755)
        done: list[str] = []
        said: list[str] = []
        settings = SimpleNamespace(
            init_seconds_before_status_checks=1, status_attempts=2, keep_successful_logs=True, requeue=True
        )
        logger = SimpleNamespace(debug=lambda text: None, info=lambda text: None, warning=said.append)
        own = SimpleNamespace(
            workflow=SimpleNamespace(executor_settings=settings), logger=logger, run_uuid="run",
            get_status_command=lambda: "squeue", status_rate_limiter=contextlib.nullcontext(),
            report_job_success=lambda job: done.append(job.external_jobid), next_seconds_between_status_checks=1,
            _status_query_calls=0, _status_query_failures=0, _status_query_total_seconds=0.0,
            _status_query_min_seconds=None, _status_query_max_seconds=0.0, _status_query_cycle_rows=[],
        )  # fmt: skip
        jobs = [SimpleNamespace(external_jobid=number, aux={}) for number in ("7", "8")]

        async def kept() -> list[str]:
            return [job.external_jobid async for job in executor.check_active_jobs(own, jobs)]

        return asyncio.run(kept()), done, said

    return ask


def test_jobs_stay_while_slurm_does_not_answer(asked: Any) -> None:
    class Kept(Executor):  # type: ignore[misc]
        pass

    unanswered.keep_jobs(Kept)
    away = dict.fromkeys(HERE, AWAY)
    assert asked(Executor, away) == ([], [], [])  # the plugin alone forgets them
    assert asked(Kept, away) == (["7", "8"], [], [unanswered.TOLD.format(2)])
    assert asked(Kept, HERE) == asked(Executor, HERE) == (["7"], ["8"], [])
