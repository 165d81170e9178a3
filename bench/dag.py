"""A dry run of the workflow against bare Snakemake with the same number of empty jobs, in turns.

The studies are the demo and config/base.yaml. Nothing has been built, so every job is in the dry run. Bare: one rule that
makes the same number of files, and `all`. The table shows CPU (user and system) and wall seconds of whole processes, with
Snakemake's own start.

    python bench/dag.py --out docs/BENCHMARKS.md
"""

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _table
from _table import ROOT, Sample

CONFIGS = {"the demo": "config/demo.yaml", "base": "config/base.yaml"}
BARE = """
rule all:
    input: expand("out/{i}", i=range(COUNT))
rule one:
    output: "out/{i}"
    shell: "touch {output}"
"""
BAR = 1.3


def dry_run(snakefile: Path, folder: Path, words: Sequence[str] = ()) -> Sample:
    """Run a workflow dry in a folder; the value of the sample is the number of jobs."""
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--snakefile", str(snakefile), *words]
    sample = _table.process(command, folder)
    total = re.search(r"^total\s+(\d+)$", sample.value, re.MULTILINE)
    if total is None:
        raise SystemExit(f"bench: {shlex.join(command)} has no job in its dry run")
    return replace(sample, value=int(total[1]))


def row(name: str, config: str, rounds: int, folder: Path) -> list[str]:
    """Return the table row of one config against bare Snakemake."""
    words = ["--configfile", str(ROOT / config)]
    jobs = dry_run(ROOT / "Snakefile", folder, words).value
    bare = folder / "Bare"
    bare.write_text(BARE.replace("COUNT", str(jobs - 1)), encoding="utf-8")
    sides = {
        "ours": lambda number: dry_run(ROOT / "Snakefile", folder, words),
        "bare": lambda number: dry_run(bare, folder),
    }
    found = _table.turns(sides, rounds, _table.own)
    seconds = [f"{_table.median(found[side], key):.2f}" for side in sides for key in ("cpu", "wall")]
    times = _table.ratio(found["ours"], found["bare"], "cpu")
    return [name, str(jobs), *seconds, f"{times:.2f}", _table.verdict(times, BAR, True)]


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    args = _table.parser(__doc__, 5).parse_args(words)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        rows = [row(title, config, args.rounds, Path(name)) for title, config in CONFIGS.items()]
    columns = ("study", "jobs", "ours: CPU, s", "wall, s", "bare: CPU, s", "wall, s", "CPU / bare", "bar")
    body = f"Medians of {args.rounds} rounds in turns; a first dry run of ours is not counted.\n\n"
    body += _table.markdown(columns, rows)
    _table.publish("dag", "A dry run of the workflow", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
