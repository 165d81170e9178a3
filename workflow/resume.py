"""Go on after snakemake itself was killed (kill -9, a lost connection, a machine that went down), with the words of its command:

    python workflow/resume.py --cores all --profile slurm [--configfile ...]

Ends what the dead snakemake left at work, on SLURM and on this machine, and waits until it has ended, so that no two jobs
write the same files; takes the lock away; starts snakemake. Training keeps a checkpoint when it is ended. Refuses where a
snakemake is still at work in this folder. Run it from the repository's root.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

PROCESSES = Path("/proc")
RUNS = Path(".snakemake/runs")  # HOST-PID of every snakemake at work here: the Snakefile keeps them
ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
PATIENCE = 600.0  # seconds that jobs get to end in: SLURM waits KillWait, then for its nodes


def stop(line: str) -> NoReturn:
    sys.exit(f"resume: {line}")


def check_dead() -> None:
    """Refuse where a snakemake is at work here, or may be on another machine."""
    here = os.uname().nodename
    for note in sorted(RUNS.glob("*")):
        host, _, pid = note.name.rpartition("-")
        if host != here:
            stop(f"{note}: snakemake ran on {host}, process {pid}; run this there, or remove the file if it has ended")
        if alive(int(pid)):
            stop(f"snakemake is at work here, process {pid}; it needs no help, or end it first: kill -INT {pid}")
        note.unlink()


def words(pid: int) -> str:
    """Return the command line of a process; empty when it has ended."""
    try:
        return (PROCESSES / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process is there, and is snakemake where /proc tells."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not PROCESSES.exists() or "snakemake" in words(pid)


def submitted(needed: bool) -> list[str]:
    """Return the numbers of the SLURM jobs that Snakemake submitted from this folder and that have not ended.

    needed: stop where SLURM does not tell; else there is none on this machine.
    """
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%Z|%k"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        done = subprocess.CompletedProcess(command, 127, "", "not installed here")
    if done.returncode and needed:
        stop(f"squeue: {done.stderr.strip()}; jobs may be at work here, so run this where and when SLURM answers")
    jobs = [line.split("|", 3) for line in done.stdout.splitlines()]
    here = Path.cwd().resolve()
    return [
        job
        for job, state, folder, comment in jobs
        if state not in ENDED and Path(folder).resolve() == here and comment.startswith("rule_")
    ]


def left() -> list[int]:
    """Return the processes of this folder's rules on this machine, where /proc tells."""
    return [int(place.name) for place in PROCESSES.glob("[0-9]*") if ours(place)]


def ours(place: Path) -> bool:
    try:
        if (place / "cwd").resolve(strict=True) != Path.cwd().resolve():
            return False
    except OSError:
        return False  # it has ended, or is another user's
    command = words(int(place.name))
    return ("-m growbench" in command and "--log" in command) or "/.snakemake/scripts/" in command


def end_jobs(slurm: bool) -> None:
    """End jobs and processes that are left, and wait until none is. slurm: whether SLURM has to be asked."""
    told, until = "", time.monotonic() + PATIENCE
    while (jobs := submitted(slurm)) or (processes := left()):
        what = f"jobs {' '.join(jobs)}" if jobs else f"processes {' '.join(map(str, processes))}"
        if what != told:
            print(f"resume: ending {what} of a snakemake that was killed", file=sys.stderr, flush=True)
            told = what
        if time.monotonic() > until:
            stop(f"{what} have not ended in {PATIENCE:.0f} s; end them by hand, then run this again")
        if jobs:
            subprocess.run(["scancel", *jobs], check=False)
        else:
            for pid in processes:
                end(pid)
        time.sleep(2)


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def main(given: list[str]) -> None:
    if not given or given[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if not Path("Snakefile").exists():
        stop("no Snakefile here; run this from the repository's root")
    check_dead()
    end_jobs(slurm="slurm" in " ".join(given))
    check_dead()
    snakemake = [sys.executable, "-m", "snakemake"]
    done = subprocess.run([*snakemake, "--unlock", *given])
    if done.returncode:
        sys.exit(done.returncode)
    os.execv(sys.executable, [*snakemake, "--rerun-incomplete", *given])


if __name__ == "__main__":
    main(sys.argv[1:])
