"""Go on after snakemake itself was killed (kill -9, a lost connection, a machine that went down), with the words of its command:

    python workflow/resume.py --cores all --profile slurm [--configfile ...]

Ends what the dead snakemake left at work, on SLURM and on this machine, and waits until it has ended, so that no two jobs
write the same files; takes the lock away; starts snakemake. Training keeps a checkpoint when it is ended. Refuses where a
snakemake is still at work in this folder. Run it from the repository's root.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

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
        if "snakemake" in command(int(pid)):
            stop(f"snakemake is at work here, process {pid}; it needs no help, or end it first: kill -INT {pid}")
        note.unlink()


def command(pid: int) -> str:
    """Return the command line of a process; empty when it has ended."""
    done = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()


def submitted() -> list[str]:
    """Return the numbers of the SLURM jobs that Snakemake submitted from this folder and that have not ended."""
    if shutil.which("squeue") is None:
        return []
    done = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--format=%i|%T|%k|%Z"], capture_output=True, text=True
    )
    if done.returncode:
        stop(f"squeue does not answer, so that jobs may be at work here: {done.stderr.strip()}; try again later")
    jobs = [line.split("|", 3) for line in done.stdout.splitlines()]
    here = Path.cwd().resolve()
    return [
        job
        for job, state, comment, folder in jobs
        if state not in ENDED and comment.startswith("rule_") and Path(folder).resolve() == here
    ]


def orphans() -> list[int]:
    """Return the processes of this folder's rules on this machine (where /proc tells)."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            folder = (place / "cwd").resolve(strict=True)
        except OSError:
            continue  # it has ended, or is not ours
        if folder == Path.cwd().resolve() and (
            "-m growbench" in words and "--log" in words or "/.snakemake/scripts/" in words
        ):
            found.append(int(place.name))
    return found


def end_jobs() -> None:
    """End jobs and processes that are left, and wait until none is."""
    told, until = "", time.monotonic() + PATIENCE
    while (jobs := submitted()) or (processes := orphans()):
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
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


def main(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if not Path("Snakefile").exists():
        stop("no Snakefile here; run this from the repository's root")
    check_dead()
    end_jobs()
    snakemake = [sys.executable, "-m", "snakemake", *words]
    done = subprocess.run([*snakemake, "--unlock"])
    if done.returncode:
        sys.exit(done.returncode)
    os.execv(sys.executable, [*snakemake, "--rerun-incomplete"])


if __name__ == "__main__":
    main(sys.argv[1:])
