"""Interrupt a small study at random moments until it is whole, and compare its bytes with an undisturbed run's.

    python tests/stress_interrupt.py --kills 50 --folder /tmp/stress

Not a test of the quick suite. Each blow falls on snakemake's whole process group, SIGKILL, SIGTERM and SIGINT in turn; the
same command is then given again. When the study is whole before all blows have fallen, it begins again in a new folder, with
the corpus of the undisturbed run. The script too may be interrupted: given again, it goes on with what is in its folder.
Exit status 1 where any byte differs, except the times that tests/support/same.py names.
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

from growbench.study import files

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NAME, MARK = "stress", "GROWBENCH_STRESS"
TARGET = f"results/{NAME}/tables/savings.md"
CHANGES = {
    "study": NAME,
    "seeds": [0],
    "attention": False,
    "methods": {"scratch": None, "stackbert": None, "bert2bert": None},
    "corpus": {"max_tokens": 500_000},
    "source": {"steps": 300},
    "budget": {"steps": 500, "points": [0.6, 1.0]},
    "train": {"checkpoint_seconds": 0.3},
    "tasks": {"names": ["topic"]},
    "finetune": {"max_train": 600},
}
WINDOW = (0.5, 9.0)  # seconds after the first sign of work in which a blow falls
LONGER = 2.0  # times that, after a blow on a job that keeps nothing before its end
ANYWHERE = 6  # every so many blows, one that falls from snakemake's own start on
PATIENCE = 300.0  # seconds for a group to end after SIGTERM or SIGINT


def tree(folder: Path, whole: Path | None = None) -> Path:
    """Copy what the workflow needs into a folder, with the study's config and the corpus of a `whole` one; one that is there
    already is gone on with.
    """
    if (folder / "config.yaml").exists():
        return folder
    for name in ("corpus", "tasks") if whole else ():
        shutil.copytree(whole / "results" / NAME / name, folder / "results" / NAME / name)
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
    """Start snakemake as the leader of a process group of its own; its messages go to snakemake.log."""
    command = [sys.executable, "-m", "snakemake", "--nocolor", "--configfile", "config.yaml"]
    dropped = ("SNAKEMAKE", "GROWBENCH", "SLURM", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | {MARK: str(folder)}
    with open(folder / "snakemake.log", "ab") as handle:
        return subprocess.Popen(
            [*command, *(words or ("--cores", "1", "--rerun-incomplete", TARGET))],
            cwd=folder, stdout=handle, stderr=handle, env=environment, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip


def alive(folder: Path) -> list[int]:
    """Return the processes that were started for a folder and live, whatever group they are in."""
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
    """Return the locks whose holders live."""
    found, living = [], set(alive(folder))
    for lock in sorted((folder / "results").rglob("*.lock")):
        with suppress(OSError, ValueError):
            if json.loads(lock.read_text(encoding="utf-8"))["pid"] in living:
                found.append(lock)
    return found


def places(folder: Path) -> list[str]:
    """Return which jobs are at work, and how far: those that hold a lock."""
    results, found = folder / "results" / NAME, []
    for lock in locks(folder):
        where = lock.relative_to(results).parts
        if where[0] == "runs":
            found.append(f"pretrain {where[1]} {_progress(folder, where[1])}")
        else:
            found.append(" ".join(where[1:-1]) or where[0].strip(".").removesuffix(".lock"))
    return found or ["between jobs"]


def _progress(folder: Path, run: str) -> str:
    """The stage of a pre-training run and whether it cools down, by its last checkpoint."""
    state = folder / "results" / NAME / "runs" / run / "state"
    try:
        stage = json.loads((state / "state.json").read_text(encoding="utf-8"))["at"]["stage"]
        with open(state / "tensors.safetensors", "rb") as handle:
            cooling = b'"trunk/' in handle.read(1 << 20)
    except (OSError, ValueError):
        return "at its start"
    return f"stage {stage}" + (" (cool-down)" if cooling else "")


def strike(folder: Path, number: signal.Signals, delay: float, anywhere: bool) -> list[str] | None:
    """Start the study and end it after `delay` seconds of work; return where it was, or None where it was whole before."""
    process, began = start(folder), time.monotonic()
    while process.poll() is None and not anywhere and not locks(folder):
        time.sleep(0.2)
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"{folder}: nothing has begun in {PATIENCE:.0f} s; see snakemake.log there")
    time.sleep(delay)
    if process.poll() is not None:
        if process.returncode:
            raise SystemExit(f"{folder}: snakemake failed by itself; see snakemake.log there")
        return None
    where = places(folder)
    os.killpg(process.pid, number)
    struck = time.monotonic()
    process.wait(PATIENCE)
    while alive(folder):
        time.sleep(0.05)
        if time.monotonic() - struck > PATIENCE:
            raise SystemExit(f"{folder}: processes {alive(folder)} outlived {number.name}")
    print(
        f"  {number.name} after {struck - began:.0f} s, over in {time.monotonic() - struck:.1f} s: {'; '.join(where)}"
    )
    return where


def finish(folder: Path) -> None:
    """Let the study run to its end undisturbed."""
    unlock(folder)
    if start(folder).wait():
        raise SystemExit(f"{folder}: the same command did not go on; see snakemake.log there")


def unlock(folder: Path) -> None:
    """Take away the lock of a snakemake that was killed, as the README says."""
    if any((folder / ".snakemake/locks").glob("*")):
        start(folder, "--unlock").wait()


def disturbed(folder: Path, kills: int, enough: float, rng: random.Random, log: Path) -> None:
    """Run a study in a folder to its end under blows, until `kills` lines are in the log or the clock says enough."""
    window = 1.0
    while (fell := len(blows(log))) < kills and time.monotonic() < enough:
        unlock(folder)
        number = SIGNALS[fell % len(SIGNALS)]
        delay = rng.uniform(*WINDOW) * window
        where = strike(folder, number, delay, fell % ANYWHERE == ANYWHERE - 1)
        if where is None:
            return
        window = 1.0 if all(place.startswith("pretrain") for place in where) else min(window * LONGER, 8.0)
        with open(log, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"round": folder.name, "signal": number.name, "where": where}) + "\n")
    finish(folder)


def blows(log: Path) -> list[dict[str, Any]]:
    """Return the blows that fell so far."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def main() -> int:
    """Run the study undisturbed, then interrupted until all blows have fallen; say what differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--minutes", type=float, default=1e9, help="strike no more after so many")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path, default=Path("/tmp/growbench-stress"))
    given = options.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    log, wrong, began = given.folder / "blows.jsonl", 0, time.monotonic()
    rng = random.Random(f"{given.seed} {len(blows(log))}")
    whole = tree(given.folder / "whole")
    finish(whole)
    print(f"undisturbed: {time.monotonic() - began:.0f} s")
    for number in range(given.kills + 1):
        folder = tree(given.folder / f"round-{number}", whole if number else None)
        if not (folder / TARGET).exists():
            disturbed(folder, given.kills, began + 60 * given.minutes, rng, log)
        faults, fell = differences(whole / "results", folder / "results"), blows(log)
        wrong += len(faults)
        own = sum(blow["round"] == folder.name for blow in fell)
        print(f"{folder.name}: whole after {own} blows, {len(faults)} files differ", *faults, sep="\n  ")
        if len(fell) >= given.kills or time.monotonic() > began + 60 * given.minutes:
            break
    print(json.dumps({"blows": len(fell), "differing files": wrong, "seconds": round(time.monotonic() - began)}))
    places = Counter(f"{blow['signal']}: {place}" for blow in fell for place in blow["where"])
    print(*(f"{count:4d}  {place}" for place, count in sorted(places.items())), sep="\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
