"""The whole demo, from nothing to figures, and where its time goes by rule, from the workflow's `benchmark:` files.

It runs in a clone of the checkout, on two cores. The seconds of a rule are those of its jobs, with their start-up. There are no
CPU seconds by rule: Snakemake does not see those of jobs in the warm process (growbench.runtime.warm). Figures and pages have
no benchmark file, because Snakemake itself draws them.

    python bench/demo.py --out docs/BENCHMARKS.md
"""

import csv
import ctypes
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import _table
from _table import ROOT

BAR = 200.0  # seconds
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER


def run(config: str, folder: Path) -> tuple[float, float]:
    """Run a study in a clone; return the wall seconds and the CPU seconds of all its processes."""
    clone = ["git", "clone", "--quiet", str(ROOT), str(folder)]
    subprocess.run(clone, check=True)
    ctypes.CDLL(None).prctl(SUBREAPER, 1)  # the warm process outlives the job that started it; its seconds count, too
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", config, "--quiet", "all"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(f"bench: {' '.join(command)} failed")
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_rule(folder: Path) -> dict[str, list[float]]:
    """Return the wall seconds of every job by rule (pre-training by method), sorted by their sum, longest first."""
    found: dict[str, list[float]] = {}
    for path in sorted(folder.glob("benchmarks/*/**/*.tsv")):
        parts = path.relative_to(folder / "benchmarks").with_suffix("").parts
        method = re.sub(r"-s\d+$", "", parts[-1])
        name = f"pretrain {method}" if parts[1] == "pretrain" else parts[1]
        with open(path, encoding="utf-8", newline="") as handle:
            found.setdefault(name, []).append(float(next(csv.DictReader(handle, delimiter="\t"))["s"]))
    return dict(sorted(found.items(), key=lambda item: -sum(item[1])))


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1)
    parser.add_argument("--config", default="config/demo.yaml", help="the study (config/demo.yaml)")
    args = parser.parse_args(words)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        wall, cpu = run(args.config, folder)
        jobs = by_rule(folder)
    rows = [[rule, str(len(times)), f"{sum(times):.0f}"] for rule, times in jobs.items()]
    verdict = _table.verdict(wall, BAR, True)
    body = f"Wall {wall:.0f} s on two cores ({verdict}), {cpu:.0f} CPU seconds of all processes.\n\n"
    body += _table.markdown(("jobs of", "count", "wall, s"), rows)
    _table.publish("demo", "The demo", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
