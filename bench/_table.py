"""What all benchmarks share: sides that run in turns, medians of ratios, and a section of a Markdown page.

Each script prints its section. With `--out docs/BENCHMARKS.md` the section also replaces the old one on that page.
"""

import argparse
import datetime
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from growbench.records import provenance
from growbench.runtime.durable import write_text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 120  # characters of a line


@dataclass(frozen=True)
class Sample:
    """One run of one side.

    cpu: CPU seconds of all threads.
    wall: wall seconds.
    value: what the side returned.
    """

    cpu: float
    wall: float
    value: Any = None


def timed(work: Callable[[], Any]) -> Sample:
    """Run one side and time it."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = work()
    return Sample(time.process_time() - cpu, time.perf_counter() - wall, value)


def process(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Sample:
    """Run a command in a folder; return its CPU (user and system) and wall seconds, and what it printed.

    Raises SystemExit if the command fails.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        out.seek(0)
        said = out.read()
    if status:
        raise SystemExit(f"bench: {shlex.join(command)} failed: {said[-500:]}")
    return Sample(usage.ru_utime + usage.ru_stime, wall, said)


def turns(
    sides: Mapping[str, Callable[[int], Any]], rounds: int, clock: Callable[..., Sample] = timed
) -> dict[str, list[Sample]]:
    """Run all sides in every round, in reversed order every other round; a side is called with the number of the round.

    clock: how a side is timed; `own` if the side returns a Sample itself.
    """
    found: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            sample = clock(partial(sides[name], number))
            found[name].append(sample)
            print(f"{number + 1}/{rounds} {name}: CPU {sample.cpu:.2f} s, wall {sample.wall:.2f} s", file=sys.stderr)
    return found


def own(work: Callable[[], Sample]) -> Sample:
    """Return the sample of a side that times itself."""
    return work()


def median(samples: Sequence[Sample], key: str) -> float:
    """Return the median of `cpu` or `wall`."""
    return statistics.median(getattr(sample, key) for sample in samples)


def ratio(over: Sequence[Sample], under: Sequence[Sample], key: str) -> float:
    """Return the median over rounds of one side's seconds divided by the other's."""
    return statistics.median(getattr(a, key) / getattr(b, key) for a, b in zip(over, under, strict=True))


def verdict(value: float, bar: float, most: bool = False) -> str:
    """Return the bar in words, and whether the value meets it. most: the bar is an upper bound."""
    words = f"{'at most' if most else 'at least'} {bar:g}: "
    if value <= bar if most else value >= bar:
        return words + "met"
    return words + f"missed by {abs(value / bar - 1):.1%}"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose other columns are numbers."""
    marks = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, marks, *rows)) + "\n"


def parser(doc: str | None, rounds: int, data: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all benchmarks share. data: what the folder of real data must hold."""
    words = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=rounds, help=f"runs of every side ({rounds})")
    words.add_argument("--out", type=Path, help="also put the section into this Markdown page")
    if data is not None:
        words.add_argument("--data", type=Path, default=os.environ.get("GROWBENCH_DATA"), help=f"folder with {data}/")
    return words


def data(words: argparse.ArgumentParser, args: argparse.Namespace) -> Path:
    """Return the folder of real data: `--data`, else GROWBENCH_DATA."""
    if args.data is None:
        words.error("--data: missing; name a folder, or set GROWBENCH_DATA")
    return Path(args.data).resolve()


def changed(page: Path | None) -> bool:
    """Return whether the checkout differs from its commit in anything except the page of the sections."""
    own = [f":(exclude){page.resolve().relative_to(ROOT)}"] if page and page.resolve().is_relative_to(ROOT) else []
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--", ".", *own]
    return bool(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def machine(load: float, page: Path | None) -> str:
    """Return the line under a section's heading: machine, versions, commit, date. load: load average when the script began."""
    known = provenance.of(1)
    version = {name: known["versions"].get(name, "absent") for name in ("torch", "transformers")}
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    commit = known["commit"] + (" with changes" if known["dirty"] and changed(page) else "")
    return (
        f"{known['hardware']}; torch {version['torch']}, transformers {version['transformers']}; commit {commit}; {when}; "
        f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )


def publish(name: str, title: str, body: str, load: float, out: Path | None, words: Sequence[str]) -> str:
    """Print a section, put it into the page if there is one, and return it. The page is replaced atomically."""
    command = shlex.join(["python", f"bench/{name}.py", *words])
    section = wrapped(f"## {title}\n\n`{command}`\n\n{machine(load, out)}\n\n{body.strip()}\n")
    sys.stdout.write(section)
    if out is not None:
        page = out.read_text(encoding="utf-8") if out.exists() else "# Benchmarks\n"
        write_text(out, placed(page, name, section))
    return section


def wrapped(text: str) -> str:
    """Return text with its lines of words broken at 120 characters. Rows of tables, headings and code stay."""
    lines = text.split("\n")
    return "\n".join(line if line[:1] in ("|", "#", "`", " ") else textwrap.fill(line, WIDTH) for line in lines)


def placed(page: str, name: str, section: str) -> str:
    """Return the page with the section between its marker lines: in place of the old one, or at the end."""
    first, last = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
    block = f"{first}\n\n{section.strip()}\n\n{last}"
    known = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
    if known.search(page):
        return known.sub(lambda _: block, page)
    return f"{page.rstrip()}\n\n{block}\n"
