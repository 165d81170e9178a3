"""A corpus of 100 million tokens: `growbench corpus` as one command, its time, its CPU seconds and its memory.

The text is Wikipedia's, as many copies as are needed, in one file. Memory is what the command and the processes that it
starts hold together, read five times a second; a second table has the most of each tenth of the time. It is flat if the most
of the second half of the time is the most of the first half. The tokenizer is a byte-level BPE that the command trains itself.

    python bench/corpus.py --out docs/BENCHMARKS.md
    python bench/corpus.py --tokens 4000000
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import _table
import psutil
from _table import ROOT

from growbench.records.layout import Layout
from growbench.study import files

WHOLE = 100_000_000  # tokens at which the bars hold
SECONDS, FLAT = 900.0, 1.1
CHARACTERS = 6  # of text per token, with some to spare
PAUSE = 0.2
PARTS = 10
COLUMNS = (
    "tokens",
    "text, MB",
    "wall, s",
    "bar",
    "CPU, s",
    "k tokens / s",
    "M tokens / CPU s",
    "memory, MB",
    "2nd half / 1st",
    "bar",
)


@dataclass
class Watched:
    """What a command took: wall and CPU seconds of all its processes, and their memory (MB) over time."""

    wall: float
    cpu: float
    memory: list[float]

    def over_time(self, parts: int) -> list[float]:
        """Return the most memory in each of some equal parts of the time."""
        edges = [round(i * len(self.memory) / parts) for i in range(parts + 1)]
        return [max(self.memory[a:b], default=0.0) for a, b in pairwise(edges)]

    @property
    def growth(self) -> float:
        """The most memory of the second half of the time, divided by that of the first."""
        first, second = self.over_time(2)
        return second / first


def watched(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Watched:
    """Run a command in a folder and watch it. Raises SystemExit if it fails."""
    began, memory = time.perf_counter(), []
    child = subprocess.Popen(command, cwd=folder, env=environment)
    root = psutil.Process(child.pid)
    while (found := os.wait4(child.pid, os.WNOHANG))[0] == 0:
        total = 0
        with suppress(psutil.NoSuchProcess):
            for one in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    total += one.memory_info().rss
        memory.append(total / 1e6)
        time.sleep(PAUSE)
    if found[1]:
        raise SystemExit("bench: growbench corpus failed")
    return Watched(time.perf_counter() - began, found[2].ru_utime + found[2].ru_stime, memory)


def copied(source: Path, text: Path, characters: int) -> None:
    """Write copies of a text until there are this many characters."""
    once = source.read_text(encoding="utf-8").strip() + "\n\n"
    with open(text, "w", encoding="utf-8") as handle:
        for _ in range(-(-characters // len(once))):
            handle.write(once)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1, data="wikipedia")
    parser.add_argument("--file", default="valid.txt", help="text file below wikipedia/ (valid.txt)")
    parser.add_argument("--tokens", type=int, default=WHOLE, help=f"of the corpus ({WHOLE})")
    parser.add_argument("--vocab", type=int, default=16384)
    args = parser.parse_args(words)
    load, source = os.getloadavg()[0], _table.data(parser, args) / "wikipedia" / args.file
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(source, folder / "text.txt", args.tokens * CHARACTERS)
        size = (folder / "text.txt").stat().st_size / 1e6
        values = files.read(ROOT / "config/mini.yaml")
        values["study"], values["data"] = "bench", {"dir": name, "repeat": True}
        values["corpus"] |= {
            "source": "local",
            "train": "text.txt",
            "valid": None,
            "test": None,
            "tokenizer": "bpe",
            "vocab": args.vocab,
        }
        values["corpus"] |= {"max_tokens": args.tokens, "valid_fraction": 0.1, "tokenizer_name": None}
        values["tasks"]["names"] = []
        (folder / "bench.yaml").write_text(json.dumps(values), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if k != "GROWBENCH_DATA"} | {"PYTHONPATH": str(ROOT / "src")}
        command = (sys.executable, "-m", "growbench", "corpus", "--config", "bench.yaml", "--only", "text")
        found = watched(command, folder, environment)
        made = json.loads((folder / Layout("bench").corpus_manifest).read_text(encoding="utf-8"))
    tokens, whole = made["train"]["tokens"], args.tokens >= WHOLE
    row = [
        f"{tokens:,}",
        f"{size:,.0f}",
        f"{found.wall:.0f}",
        _table.verdict(found.wall, SECONDS, most=True) if whole else "none",
        f"{found.cpu:.0f}",
        f"{tokens / found.wall / 1e3:.0f}",
        f"{tokens / found.cpu / 1e6:.2f}",
        f"{max(found.memory):,.0f}",
        f"{found.growth:.2f}",
        _table.verdict(found.growth, FLAT, most=True) if whole else "none",
    ]
    body = f"Byte-level BPE, vocabulary {args.vocab}; {os.cpu_count()} cores.\n\n" + _table.markdown(COLUMNS, [row])
    over_time = [f"{value:,.0f}" for value in found.over_time(PARTS)]
    body += "\n" + _table.markdown(("tenth of the time", *map(str, range(1, PARTS + 1))), [["memory, MB", *over_time]])
    _table.publish("corpus", "A corpus at scale", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
