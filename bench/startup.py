"""Start-up of one job: `growbench pretrain --help`, and the first training step, against `import torch`, in turns.

Each is a process of its own. First step: `growbench pretrain` on the demo's source, from the start of the process to the end
of its first optimizer step. That includes imports, config, corpus, model and the validation loss before training. The table
shows CPU (user and system) and wall seconds.

    python bench/startup.py --out docs/BENCHMARKS.md
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _table
from _table import ROOT, Sample

TORCH, STOCK, HELP, STEP = "import torch", "from transformers import BertForMaskedLM", "pretrain --help", "first step"
FIRST = """
import os, sys
from growbench.cli import main as cli
from growbench.train import loop
step = loop.Trainer.step
def first(*words):
    float(step(*words))
    os._exit(0)
loop.Trainer.step = first
cli.main(sys.argv[1:])
raise SystemExit("bench: no step was taken")
"""
HELP_BAR, STEP_BAR = 1.2, 3.0


def child(words: Sequence[str], folder: Path) -> Sample:
    """Run Python with these arguments on one thread, from this checkout's sources."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return _table.process([sys.executable, *words], folder, environment)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 5)
    parser.add_argument("--cold", action="store_true", help="skip the warm-up round, which is not counted")
    args = parser.parse_args(words)
    load, config = os.getloadavg()[0], ["--config", str(ROOT / "config/demo.yaml"), "--set", "corpus.max_tokens=300000"]
    config += ["--set", "data.repeat=true"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child(["-m", "growbench", "corpus", *config], folder)
        job = ["pretrain", *config, "--method", "source", "--seed", "0"]
        sides = {
            TORCH: ["-c", "import torch"],
            STOCK: ["-c", STOCK],
            HELP: ["-m", "growbench", "pretrain", "--help"],
            STEP: ["-c", FIRST, *job],
        }
        for side in () if args.cold else sides.values():
            child(side, folder)
        found = _table.turns(
            {key: lambda number, side=side: child(side, folder) for key, side in sides.items()}, args.rounds, _table.own
        )
    rows = []
    for key, samples in found.items():
        times, more = (
            _table.ratio(samples, found[TORCH], "cpu"),
            _table.median(samples, "cpu") - _table.median(found[TORCH], "cpu"),
        )
        bar = {HELP: _table.verdict(times, HELP_BAR, True), STEP: _table.verdict(more, STEP_BAR, True)}.get(key, "none")
        seconds = [f"{_table.median(samples, key):.2f}" for key in ("cpu", "wall")]
        rows.append([f"`{key}`", *seconds, f"{times:.2f}", f"{more:+.2f}", bar])
    body = f"Medians of {args.rounds} rounds in turns{'' if args.cold else '; a warm-up round is not counted'}. Bars are of CPU seconds.\n\n"
    body += _table.markdown(("process", "CPU, s", "wall, s", "CPU / torch", "CPU - torch, s", "bar"), rows)
    _table.publish("startup", "Start-up of one job", body, load, args.out, words or sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
