"""A study on 1 to 1,024 GPUs, simulated: how long it takes, and where more GPUs stop paying. Nothing is trained.

A step takes its FLOPs at a measured rate, but no less than the launches of its kernels; then gradients are averaged, and from
time to time a checkpoint is written. Runs are jobs: the sources first, then what grows from them, as many at a time as there
are GPUs. For each number of GPUs the fastest number of GPUs per run is taken. What is assumed is in `Cluster`.

    python bench/scale.py --out docs/BENCHMARKS.md
    python bench/scale.py --config config/small.yaml --most 64
"""

import heapq
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import _table
from _table import ROOT

from growbench.pipeline import forecast
from growbench.spec import SOURCE
from growbench.study import config
from growbench.study.study import Study

DAY = 86400.0
GAIN = 1.25  # twice the GPUs pay if the study then ends at least this many times as fast
COLUMNS = ("GPUs", "per run", "runs at a time", "days", "GPU-days", "efficiency", "averaging")


@dataclass(frozen=True)
class Cluster:
    """What is assumed of the machines.

    rate: FLOP/s of a GPU on big batches (bench/gpu.py: BERT-base, bf16, compiled, on an H200). launch: seconds per layer and
    step below which a step does not fall (bench/gpu_pipeline.py: six compiled layers). node: GPUs of a machine. inside, between:
    bytes/s at which a GPU exchanges gradients within a machine and between machines. latency: seconds of one hop. disk: bytes/s
    of a checkpoint. start: seconds from a job's start to its first step.
    """

    rate: float = 3.8e14
    launch: float = 3.8e-3
    node: int = 8
    inside: float = 3e11
    between: float = 4e10
    latency: float = 1e-5
    disk: float = 1e9
    start: float = 60.0

    def averaging(self, size: float, gpus: int) -> float:
        """Return the seconds of averaging gradients of this many bytes: a ring's volume, a tree's hops."""
        speed = self.inside if gpus <= self.node else self.between
        return 2 * size * (gpus - 1) / gpus / speed + 2 * math.ceil(math.log2(gpus)) * self.latency

    def run(self, row: Mapping[str, Any], gpus: int, checkpoint_seconds: float) -> tuple[float, float]:
        """Return the seconds of a run on this many GPUs, and how many of them are spent on averaging. row: of the forecast."""
        step, averaging = 0.0, 0.0
        for stage, planned in zip(row["stages"], row["plan"], strict=True):
            if stage["steps"]:
                computed = max(
                    stage["flops"] / stage["steps"] / gpus / self.rate, self.launch * planned["spec"]["layers"]
                )
                step += stage["steps"] * computed
                averaging += stage["steps"] * self.averaging(4.0 * stage["parameters"], gpus)
        saving = 12.0 * row["stages"][-1]["parameters"] / self.disk / checkpoint_seconds
        return self.start + (step + averaging) * (1 + saving), averaging


def makespan(jobs: Sequence[tuple[float, float]], slots: int) -> float:
    """Return when the last job ends if the longest that may start goes first. jobs: seconds, and from when it may start."""
    free, end = [0.0] * slots, 0.0
    for seconds, ready in sorted(jobs, key=lambda job: (job[1], -job[0])):
        ended = max(heapq.heappop(free), ready) + seconds
        heapq.heappush(free, ended)
        end = max(end, ended)
    return end


def study_seconds(study: Study, rows: Sequence[Mapping[str, Any]], gpus: int, per_run: int, cluster: Cluster) -> float:
    """Return the seconds of all runs of a study on this many GPUs, this many of them for each run."""
    seconds = {row["method"]: cluster.run(row, per_run, study.train.checkpoint_seconds)[0] for row in rows}
    slots, seeds = gpus // per_run, len(study.seeds)
    sources = [(seconds[SOURCE], 0.0)] * seeds if SOURCE in seconds else []
    first = makespan(sources, slots)
    grown = [
        (seconds[row["method"]], first if study.reads_source(row["method"]) else 0.0)
        for row in rows
        if row["method"] != SOURCE
    ]
    return makespan([*sources, *[job for job in grown for _ in range(seeds)]], slots)


def table(study: Study, rows: Sequence[Mapping[str, Any]], most: int, cluster: Cluster) -> tuple[list[list[str]], int]:
    """Return the table's rows, and the number of GPUs from which twice as many no longer pay."""
    found: list[list[str]] = []
    alone, before, stops = study_seconds(study, rows, 1, 1, cluster), 0.0, 0
    for power in range(int(math.log2(most)) + 1):
        gpus = 2**power
        able = [2**p for p in range(power + 1) if study.optimizer.batch % 2**p == 0]
        taken, per_run = min((study_seconds(study, rows, gpus, count, cluster), count) for count in able)
        if before and not stops and before / taken < GAIN:
            stops = gpus // 2
        whole, averaging = map(
            sum, zip(*(cluster.run(row, per_run, study.train.checkpoint_seconds) for row in rows), strict=True)
        )
        found.append([
            str(gpus), str(per_run), str(gpus // per_run), f"{taken / DAY:.3g}", f"{gpus * taken / DAY:.4g}",
            f"{alone / gpus / taken:.0%}", f"{averaging / whole:.0%}",
        ])  # fmt: skip
        before = taken
    return found, stops or most


def main(words: Sequence[str] | None = None) -> int:
    """Run the simulation and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1)
    parser.add_argument("--config", default=str(ROOT / "config/base.yaml"))
    parser.add_argument("--most", type=int, default=1024, help="GPUs up to which the study is simulated (1024)")
    args = parser.parse_args(words)
    load, study, cluster = os.getloadavg()[0], config.gather([args.config]), Cluster()
    rows, stops = table(study, forecast.run(study, timing=False), args.most, cluster)
    assumed = ", ".join(f"{key} {value:g}" for key, value in asdict(cluster).items())
    body = (
        f"Study {study.study}, {len(study.seeds)} seeds, pre-training only. Assumed (see `Cluster` in the script; SI units): {assumed}. "
        f"Efficiency: GPU-days of one GPU by those of all. Averaging counts in full, although it "
        "overlaps with the backward pass.\n\n"
        f"{_table.markdown(COLUMNS, rows)}\n"
        f"Beyond {stops} GPUs twice as many make the study less than {GAIN} times as fast.\n"
    )
    _table.publish("scale", "A study on many GPUs, simulated", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
