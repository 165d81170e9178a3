"""What `growbench grow` costs beyond reading the source and writing the target: BERT-base to BERT-large, in turns.

Bare: a process copies every source tensor into memory, then writes as many bytes as the target has, and syncs them. Growing:
the command without its comparison of both models. Both are timed after their imports; the table also shows the time of the
whole command. The weights are random, since their values do not matter here. The bars: at most twice the time, and a peak
memory of at most the target's bytes plus 500 MB.

    python bench/grow.py --folder /tmp/bench --out docs/BENCHMARKS.md
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _table
from _table import Sample

BARE = """
import os, sys, time
from pathlib import Path
import torch
from safetensors import safe_open
source, out, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
buffer = bytes(torch.arange(1 << 22, dtype=torch.int32).view(torch.uint8).numpy())
started = time.monotonic()
with safe_open(source / "model.safetensors", "pt") as file:
    for key in file.keys():
        file.get_tensor(key).clone()
with open(out, "wb") as file:
    for begin in range(0, size, len(buffer)):
        file.write(buffer[: size - begin])
    file.flush()
    os.fsync(file.fileno())
print(time.monotonic() - started)
"""
MEGABYTE, BAR, ALLOWED = 1e6, 2.0, 500.0
LAYERS, HIDDEN = 12, 768
COLUMNS = ("", "value", "bar")


def child(words: list[str]) -> tuple[str, float, float]:
    """Run Python with these arguments; return its output, wall seconds and peak resident bytes."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"bench: {' '.join(words[:4])} failed")
    return text, time.monotonic() - started, usage.ru_maxrss * 1024.0


def make_source(folder: Path, layers: int, hidden: int) -> None:
    """Write a random BERT with heads of 64 coordinates."""
    code = (
        "import sys, transformers as t; layers, hidden = map(int, sys.argv[2:]); "
        "config = t.BertConfig(num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=hidden // 64, "
        "intermediate_size=4 * hidden); t.BertForMaskedLM(config).save_pretrained(sys.argv[1])"
    )
    child(["-c", code, str(folder), str(layers), str(hidden)])


def grow(source: Path, out: Path, sizes: Sequence[str], *words: str) -> tuple[dict, float, float]:
    """Run the command; return its report, wall seconds and peak resident bytes. The target is removed afterwards."""
    command = ["-m", "growbench", "grow", str(source), str(out), "--method", "bert2bert_fpi", *sizes, "--json", *words]
    text, wall, peak = child(command)
    shutil.rmtree(out)
    return json.loads(text), wall, peak


def table(folder: Path, layers: int, hidden: int, rounds: int) -> list[list[str]]:
    """Run both sides and return the table's rows."""
    source, out = folder / "source", folder / "target"
    sizes = ["--layers", str(2 * layers), "--hidden", str(hidden * 4 // 3 // 64 * 64)]
    make_source(source, layers, hidden)
    report, _, compared = grow(source, out, sizes)
    size = report["bytes"]

    def bare(number: int) -> Sample:
        seconds = float(child(["-c", BARE, str(source), str(folder / "bare"), str(size)])[0])
        (folder / "bare").unlink()
        return Sample(seconds, seconds)

    def growing(number: int) -> Sample:
        report, whole, peak = grow(source, out, sizes, "--no-measure")
        return Sample(report["seconds"]["growing"], report["seconds"]["growing"], (whole, peak))

    found = _table.turns({"bare": bare, "growing": growing}, rounds, _table.own)
    times, own = _table.ratio(found["growing"], found["bare"], "wall"), found["growing"]
    peaks = {"growing": max(sample.value[1] for sample in own), "with the comparison of both models": compared}
    rows = [
        ["bare read and write, s", f"{_table.median(found['bare'], 'wall'):.2f}", "none"],
        ["growing, s", f"{_table.median(own, 'wall'):.2f}", "none"],
        ["growing / bare", f"{times:.2f}", _table.verdict(times, BAR, most=True)],
        ["whole command with imports, s", f"{sorted(s.value[0] for s in own)[len(own) // 2]:.2f}", "none"],
        ["target, MB", f"{size / MEGABYTE:.0f}", "none"],
    ]
    for name, peak in peaks.items():
        bar = _table.verdict(peak / MEGABYTE, round(size / MEGABYTE + ALLOWED), most=True)
        rows.append([f"peak memory {name}, MB", f"{peak / MEGABYTE:.0f}", bar])
    return rows


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 5)
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="a folder with 2 GB of free disk space; what is written there is removed",
    )
    parser.add_argument("--layers", type=int, default=LAYERS, help="layers of the source; the target has twice as many")
    parser.add_argument(
        "--hidden", type=int, default=HIDDEN, help="hidden size of the source; the target has 4/3 of it"
    )
    args = parser.parse_args(words)
    load = os.getloadavg()[0]
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        rows = table(Path(folder), args.layers, args.hidden, args.rounds)
    body = f"BERT {(args.layers, args.hidden)} grown to twice its layers and 4/3 of its width; medians of {args.rounds} rounds.\n\n"
    _table.publish(
        "grow", "Growth of a checkpoint", body + _table.markdown(COLUMNS, rows), load, args.out, words or sys.argv[1:]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
