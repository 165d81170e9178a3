"""Resume after snakemake itself was killed (kill -9, a lost connection, a crashed machine), with the options of its command:

    python workflow/resume.py --cores all --profile slurm [--configfile ...]

Run it from the repository root. It stops the jobs that the dead snakemake left running, on SLURM and on this machine, and
waits for them, so that no two jobs write the same files. Training saves a checkpoint when it is stopped. Then it removes
the lock and starts snakemake. It refuses if a snakemake is still running in this folder.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

PROCESSES = Path("/proc")
RUNS = Path(".snakemake/runs")  # one file HOST-PID per running snakemake, made by the Snakefile
ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
PATIENCE = 600.0  # seconds that jobs get to end: SLURM waits KillWait, then for its nodes


def stop(line: str) -> NoReturn:
    sys.exit(f"resume: {line}")


def check_dead() -> None:
    """Refuse if a snakemake is running here, or may be running on another machine."""
    machine = os.uname().nodename
    for note in sorted(RUNS.glob("[!.]*")):  # a network file system leaves hidden files
        host, _, pid = note.name.rpartition("-")
        if not (host and pid.isdecimal()):
            stop(f"{note}: not made by snakemake; remove the file")
        if host != machine:
            stop(f"{note}: snakemake ran on {host}, process {pid}; run this there, or remove the file if it has ended")
        if alive(int(pid)):
            stop(f"snakemake is still running here, process {pid}; let it finish, or stop it first: kill -INT {pid}")
        note.unlink()


def words(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return (PROCESSES / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process exists, and is a snakemake in this folder (checked only if there is /proc)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not PROCESSES.exists() or ("snakemake" in words(pid) and here(PROCESSES / str(pid)))


def here(place: Path) -> bool:
    """Whether a process, by its folder in /proc, works in this folder; not if it has ended or belongs to another user."""
    try:
        return (place / "cwd").resolve(strict=True) == Path.cwd().resolve()
    except OSError:
        return False


def submitted(needed: bool) -> list[str]:
    """Return the ids of the SLURM jobs that Snakemake submitted from this folder and that have not ended.

    needed: whether it is an error if SLURM does not answer; otherwise that means that there are no jobs.
    """
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%k|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        done = subprocess.CompletedProcess(command, 127, "", "not installed here")
    if done.returncode and needed:
        stop(f"squeue: {done.stderr.strip()}; jobs may still be running; run this where SLURM answers")
    jobs = [line.split("|", 3) for line in done.stdout.splitlines()]  # a folder's name may hold anything
    place = Path.cwd().resolve()
    return [
        job
        for job, state, comment, folder in jobs
        if state not in ENDED and comment.startswith("rule_") and Path(folder).resolve() == place
    ]


def left() -> list[int]:
    """Return the processes of this folder's jobs on this machine, as far as there is /proc."""
    return [int(place.name) for place in PROCESSES.glob("[0-9]*") if ours(place)]


def ours(place: Path) -> bool:
    command = words(int(place.name)) if here(place) else ""
    return ("-m growbench" in command and "--log" in command) or "/.snakemake/scripts/" in command


def end_jobs(slurm: bool) -> None:
    """Stop the jobs and processes that are left, and wait for them. slurm: whether SLURM must answer."""
    told, until = "", time.monotonic() + PATIENCE
    while (jobs := submitted(slurm)) or (processes := left()):
        what = f"jobs {' '.join(jobs)}" if jobs else f"processes {' '.join(map(str, processes))}"
        if what != told:
            print(f"resume: stopping {what} of a snakemake that was killed", file=sys.stderr, flush=True)
            told = what
        if time.monotonic() > until:
            stop(f"{what} are still running after {PATIENCE:.0f} s; stop them by hand, then run this again")
        if jobs:
            subprocess.run(["scancel", *jobs], check=False)
        else:
            for pid in processes:
                end(pid)
        time.sleep(2)


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def on_slurm(given: list[str]) -> bool:
    """Whether a snakemake with these arguments submits its jobs to SLURM: by its profile, or by its executor."""
    split = [part for word in given for part in (word.split("=", 1) if word.startswith("--") else [word])]
    named = [
        value for flag, value in pairwise(split) if flag in ("--profile", "--workflow-profile", "--executor", "-e")
    ]
    return any("slurm" in value for value in named)


def main(given: list[str]) -> None:
    if not given or given[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if not Path("Snakefile").exists():
        stop("no Snakefile here; run this from the repository root")
    check_dead()
    end_jobs(on_slurm(given))
    check_dead()
    snakemake = [sys.executable, "-m", "snakemake"]
    done = subprocess.run([*snakemake, "--unlock", *given])
    if done.returncode:
        sys.exit(done.returncode)
    os.execv(sys.executable, [*snakemake, "--rerun-incomplete", *given])


if __name__ == "__main__":
    main(sys.argv[1:])
