"""Does the pipeline work on a GPU, and how fast do small models train there? Prints one JSON object.

First the steps of the demo, on the device, in bf16 and in a temporary folder, one check each: corpus, the source, scratch and
three methods that grow, the finished point evaluated by the stock class, a run stopped by SIGTERM and resumed to the same bytes,
fine-tuning, attention, `growbench grow`, and a decoder with its zero-shot evaluation. Then the training rate of small GPT-2 models
with 1, 2, 4 and 8 processes on the one device (see _rates.py): plain, with one CUDA graph per step, and with compiled layers.

`--out` gets gpu_pipeline.json, written after each check, and log.txt. After `--budget` seconds the script stops where it is
and prints what it has. The exit status is 1 if a check failed. Besides torch and transformers it needs pydantic, ruamel.yaml,
zstandard, scipy and scikit-learn, but neither Snakemake nor datasets. Without a GPU it runs on the CPU, with small sizes:

    PYTHONPATH=src python bench/gpu_pipeline.py --out /tmp/check
    PYTHONPATH=src python bench/gpu_pipeline.py --out /tmp/check --steps 20 --tokens 20000 --shapes 1x64 --processes 1 2 \
        --modes eager --seconds 0.1 --vocab 100 --length 16 --batch 2
"""

import argparse
import json
import logging
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch's deterministic algorithms ask for it
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true")

import _machine
import _pipeline
import _rates
import torch
import transformers

NAME = "gpu_pipeline"


class TimeUp(BaseException):
    """The budget is spent. Not an Exception, so that no handler on the way takes it for a failure."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the main thread after this many seconds."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Report:
    """The JSON object, which is written to a file after every addition."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path, self.began, self.device = path, time.monotonic(), device
        cuda = device.type == "cuda"
        self.values: dict[str, Any] = {
            "device": torch.cuda.get_device_name() if cuda else f"CPU, {os.cpu_count()} cores",
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__},
            "passed": True, "complete": False, "seconds": 0.0, "checks": {}, "rates": [],
        }  # fmt: skip

    def check(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Run a check; add whether it passed, its seconds, the peak memory of the device, and what it measured or its error."""
        began = time.monotonic()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            found = {"passed": True, **work()}
        except Exception as error:
            found = {"passed": False, "error": f"{type(error).__name__}: {error}"}
            self.values["passed"] = False
            _pipeline.log(traceback.format_exc())
        found["wall_seconds"] = round(time.monotonic() - began, 2)
        if self.device.type == "cuda":
            found["peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        print(f"{name}: {found}", file=sys.stderr)
        self.values["checks"][name] = found
        self.write()

    def rate(self, row: dict[str, Any]) -> None:
        """Add a row of the training rates."""
        print(row, file=sys.stderr)
        self.values["rates"].append(row)
        self.write()

    def write(self) -> None:
        """Write the report as it is now."""
        self.values["seconds"] = round(time.monotonic() - self.began, 1)
        self.path.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")


def matmul(device: torch.device) -> dict[str, Any]:
    """The device's rate of bf16 matmuls."""
    cuda = device.type == "cuda"
    rate = _machine.matmul_rate(device, torch.bfloat16, 2e14 if cuda else 1e7, (4096, 8192) if cuda else (64,))
    return {"flops_per_second": rate}


def rates(report: Report, args: argparse.Namespace) -> None:
    """Measure every shape in every mode with every number of processes, mode after mode."""
    with _rates.Pool(max(args.processes)) as pool:
        for mode in args.modes:
            for layers, hidden in (map(int, name.split("x")) for name in args.shapes):
                case = _rates.Case(layers, hidden, args.vocab, args.length, args.batch, mode)
                for row in _rates.measured(pool, case, args.processes, args.seconds):
                    report.rate(row)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu_pipeline.json and log.txt")
    parser.add_argument("--budget", type=float, default=360.0, help="seconds after which the script stops (360)")
    parser.add_argument("--steps", type=int, default=200, help="steps of a run of the demo (200)")
    parser.add_argument("--tokens", type=int, default=400_000, help="training tokens of the demo (400000)")
    parser.add_argument(
        "--shapes",
        nargs="*",
        default=["4x128", "4x256", "6x384"],
        metavar="LxH",
        help="models of the rates; none: no rates",
    )
    parser.add_argument(
        "--processes", nargs="+", type=int, default=[1, 2, 4, 8], metavar="N", help="of the rates (1 2 4 8)"
    )
    parser.add_argument(
        "--modes", nargs="+", default=list(_rates.MODES), choices=_rates.MODES, help="of the rates (all)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of one measurement (1)")
    for name, usual in (("vocab", 8192), ("length", 128), ("batch", 16)):
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"of the rates ({usual})")
    return parser.parse_args(words)


def work(report: Report, args: argparse.Namespace) -> None:
    """Run all checks in the working folder, then measure the rates."""
    pipeline = _pipeline.Pipeline(args.steps, args.tokens, "gpu" if report.device.type == "cuda" else "cpu")
    for name, check in pipeline.checks():
        report.check(name, check)
    report.check("matmul", lambda: matmul(report.device))
    if args.shapes:
        rates(report, args)
    report.values["complete"] = True


def main(words: Sequence[str] | None = None) -> int:
    """Run in a temporary folder within the budget, and print the report."""
    args, here = arguments(words), Path.cwd()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ.pop("GROWBENCH_DATA", None)
    transformers.utils.logging.disable_progress_bar()
    report = Report(out / f"{NAME}.json", _machine.device())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with limited(args.budget):
                work(report, args)
        except TimeUp:
            print(f"{NAME}: stopped after {args.budget:g} s", file=sys.stderr)
        finally:
            os.chdir(here)
            logging.shutdown()
            if (log := Path(folder) / _pipeline.LOG).exists():
                shutil.copy(log, out)
    report.write()
    print(json.dumps(report.values))
    return int(not report.values["passed"])


if __name__ == "__main__":
    sys.exit(main())
