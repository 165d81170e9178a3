"""Interrupt a small study at random moments until it is complete, and compare its bytes with those of an undisturbed run.

    python tests/stress_interrupt.py --kills 50 --folder /tmp/stress

Not part of the test suite. Each interruption sends SIGKILL, SIGTERM or SIGINT, in turn, to snakemake's whole process group.
Then the same command runs again. If the study is complete before all interruptions have happened, a new round begins in a
new folder, with the corpus of the undisturbed run. To resume the script after an interruption, run the same command.
The exit status is 1 if any byte differs, except in the fields that tests/support/same_bytes.py names.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.same_bytes import differences

from growbench.records.layout import Layout
from growbench.study import files

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NAME, MARK = "stress", "GROWBENCH_STRESS"
LAYOUT = Layout(NAME)
TARGET = LAYOUT.tables / "savings.md"
CHANGES = {
    "study": NAME,
    "seeds": [0],
    "attention": False,
    "methods": {"scratch": None, "stackbert": None, "bert2bert": None},
    "corpus": {"max_tokens": 500_000},
    "source": {"steps": 300},
    "budget": {"steps": 500, "points": [0.6, 1.0], "total": False},
    "train": {"checkpoint_seconds": 0.3},
    "tasks": {"names": ["topic"]},
    "finetune": {"max_train": 600},
}
WINDOW = (0.5, 9.0)  # seconds from the first sign of work to the signal
LONGER = 2.0  # factor on WINDOW after the interruption of a job that saves nothing before its end
ANYWHERE = 6  # every sixth interruption may come at any time after the start of snakemake
PATIENCE = 300.0  # seconds for a process group to end after SIGTERM or SIGINT


def tree(folder: Path, whole: Path | None = None) -> Path:
    """Copy what the workflow needs into a folder, unless it is there already, and write the study's config.

    whole: a folder with a complete study, whose corpus and tasks are copied.
    """
    if (folder / "config.yaml").exists():
        return folder
    for path in (LAYOUT.corpus, LAYOUT.tasks) if whole else ():
        shutil.copytree(whole / path, folder / path)
    for name in ("workflow", "src", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    values = files.read(ROOT / "config/demo.yaml")
    for key, value in CHANGES.items():
        merge = isinstance(value, dict) and key != "methods"
        values[key] = {**values[key], **value} if merge else value
    (folder / "config.yaml").write_text(json.dumps(values), encoding="utf-8")
    return folder


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start snakemake as the leader of its own process group; its messages go to snakemake.log."""
    command = [sys.executable, "-m", "snakemake", "--nocolor", "--configfile", "config.yaml"]
    dropped = ("SNAKEMAKE", "GROWBENCH", "SLURM", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | {MARK: str(folder)}
    with open(folder / "snakemake.log", "ab") as handle:
        return subprocess.Popen(
            [*command, *(words or ("--cores", "1", "--rerun-incomplete", str(TARGET)))],
            cwd=folder, stdout=handle, stderr=handle, env=environment, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip


def alive(folder: Path) -> list[int]:
    """Return the living processes that were started for a folder, whatever their group."""
    mark, found = f"{MARK}={folder}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            zombie = (place / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            if not zombie and mark in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def locks(folder: Path) -> list[Path]:
    """Return the locks whose holders are alive."""
    found, living = [], set(alive(folder))
    for lock in sorted((folder / "results").rglob("*.lock")):
        with suppress(OSError, ValueError):
            if json.loads(lock.read_text(encoding="utf-8"))["pid"] in living:
                found.append(lock)
    return found


def places(folder: Path) -> list[str]:
    """Return the jobs at work, which are those that hold a lock, and their progress."""
    results, found = folder / LAYOUT.root, []
    for lock in locks(folder):
        where = lock.relative_to(results).parts
        if where[0] == "runs":
            found.append(f"pretrain {where[1]} {_progress(folder, where[1])}")
        else:
            found.append(" ".join(where[1:-1]) or where[0].strip(".").removesuffix(".lock"))
    return found or ["between jobs"]


def _progress(folder: Path, run: str) -> str:
    """Return the stage of a run and whether it is cooling down, from its last checkpoint."""
    method, _, seed = run.rpartition("-s")
    state = folder / LAYOUT.run(method, seed).state
    try:
        stage = json.loads((state / "state.json").read_text(encoding="utf-8"))["at"]["stage"]
        with open(state / "tensors.safetensors", "rb") as handle:
            cooling = b'"trunk/' in handle.read(1 << 20)
    except (OSError, ValueError):
        return "at its start"
    return f"stage {stage}" + (" (cool-down)" if cooling else "")


def interrupt(folder: Path, number: signal.Signals, delay: float, anywhere: bool) -> list[str] | None:
    """Start the study and send a signal after `delay` seconds of work.

    Return the jobs that were at work, or None if the study was complete before. Raises SystemExit if snakemake fails.
    anywhere: count the delay from the start of snakemake.
    """
    process, began = start(folder), time.monotonic()
    while process.poll() is None and not anywhere and not locks(folder):
        time.sleep(0.2)
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"{folder}: no job has started after {PATIENCE:.0f} s; see its snakemake.log")
    time.sleep(delay)
    if process.poll() is not None:
        if process.returncode:
            raise SystemExit(f"{folder}: snakemake failed without a signal; see its snakemake.log")
        return None
    where = places(folder)
    os.killpg(process.pid, number)
    sent = time.monotonic()
    process.wait(PATIENCE)
    while alive(folder):
        time.sleep(0.05)
        if time.monotonic() - sent > PATIENCE:
            raise SystemExit(f"{folder}: processes {alive(folder)} are still alive after {number.name}")
    print(f"  {number.name} after {sent - began:.0f} s, ended in {time.monotonic() - sent:.1f} s: {'; '.join(where)}")
    return where


def finish(folder: Path) -> None:
    """Let the study run to its end without interruptions."""
    unlock(folder)
    if start(folder).wait():
        raise SystemExit(f"{folder}: the same command did not resume the study; see its snakemake.log")


def unlock(folder: Path) -> None:
    """Remove the lock of a snakemake that was killed, as the README says."""
    if any((folder / ".snakemake/locks").glob("*")):
        start(folder, "--unlock").wait()


def disturbed(folder: Path, kills: int, enough: float, rng: random.Random, log: Path) -> None:
    """Run a study to its end with interruptions, until the log has `kills` lines or the clock reads `enough`."""
    window = 1.0
    while (past := len(interruptions(log))) < kills and time.monotonic() < enough:
        unlock(folder)
        number = SIGNALS[past % len(SIGNALS)]
        delay = rng.uniform(*WINDOW) * window
        where = interrupt(folder, number, delay, past % ANYWHERE == ANYWHERE - 1)
        if where is None:
            return
        window = 1.0 if all(place.startswith("pretrain") for place in where) else min(window * LONGER, 8.0)
        with open(log, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"round": folder.name, "signal": number.name, "where": where}) + "\n")
    finish(folder)


def interruptions(log: Path) -> list[dict[str, Any]]:
    """Return all interruptions so far."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def main() -> int:
    """Run the study undisturbed, then interrupted until all interruptions have happened; print what differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--minutes", type=float, default=1e9, help="stop interrupting after this many minutes")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path, default=Path("/tmp/growbench-stress"))
    args = options.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    log, wrong, began = args.folder / "interruptions.jsonl", 0, time.monotonic()
    rng = random.Random(f"{args.seed} {len(interruptions(log))}")
    whole = tree(args.folder / "whole")
    finish(whole)
    print(f"undisturbed: {time.monotonic() - began:.0f} s")
    for number in range(args.kills + 1):
        folder = tree(args.folder / f"round-{number}", whole if number else None)
        if not (folder / TARGET).exists():
            disturbed(folder, args.kills, began + 60 * args.minutes, rng, log)
        faults, past = differences(whole / "results", folder / "results"), interruptions(log)
        wrong += len(faults)
        own = sum(one["round"] == folder.name for one in past)
        print(f"{folder.name}: complete after {own} interruptions, {len(faults)} files differ", *faults, sep="\n  ")
        if len(past) >= args.kills or time.monotonic() > began + 60 * args.minutes:
            break
    print(
        json.dumps({"interruptions": len(past), "differing files": wrong, "seconds": round(time.monotonic() - began)})
    )
    places = Counter(f"{one['signal']}: {place}" for one in past for place in one["where"])
    print(*(f"{count:4d}  {place}" for place, count in sorted(places.items())), sep="\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
