"""What `growbench grow` costs beyond reading the source and writing the target: BERT-base to BERT-large, in turns.

A: a process that copies every source tensor into memory, then writes as many bytes as the target has, and syncs them.
B: the command without its comparison of both models. Both stand after their imports when the clock starts; the whole
command is given too. Random weights: their values do not matter here.

    python bench/grow.py --folder /tmp/bench --repetitions 5 --out bench.md
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
SIZES = ["--layers", "24", "--hidden", "1024", "--heads", "16"]
MEGABYTE = 1e6
ALLOWED = 500 * MEGABYTE  # beyond the target and its largest tensor


def child(words: list[str]) -> tuple[str, float, float]:
    """Run Python with these words; return its output, wall seconds and peak resident bytes."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"bench: {' '.join(words[:4])} failed")
    return text, time.monotonic() - started, usage.ru_maxrss * 1024.0


def make_source(folder: Path) -> None:
    """Write a random BERT-base."""
    code = "import sys, transformers as t; t.BertForMaskedLM(t.BertConfig()).save_pretrained(sys.argv[1])"
    child(["-c", code, str(folder)])


def grow(source: Path, out: Path, *words: str) -> tuple[dict, float, float]:
    """Run the command; return its report, wall seconds and peak resident bytes. The target is removed again."""
    command = ["-m", "growbench", "grow", str(source), str(out), "--method", "bert2bert_fpi", *SIZES, "--json", *words]
    text, wall, peak = child(command)
    shutil.rmtree(out)
    return json.loads(text), wall, peak


def run(folder: Path, repetitions: int) -> dict[str, float]:
    """Alternate A and B; return medians, seconds and bytes."""
    source, out = folder / "source", folder / "target"
    make_source(source)
    report, _, peak_measuring = grow(source, out)
    size, bare, growing, whole, peaks = report["bytes"], [], [], [], []
    for number in range(repetitions):
        bare.append(float(child(["-c", BARE, str(source), str(folder / "bare"), str(size)])[0]))
        (folder / "bare").unlink()
        report, wall, peak = grow(source, out, "--no-measure")
        growing.append(report["seconds"]["growing"])
        whole.append(wall)
        peaks.append(peak)
        print(f"{number + 1}/{repetitions}: bare {bare[-1]:.2f} s, growing {growing[-1]:.2f} s", file=sys.stderr)
    largest = 4.0 * report["target"]["vocab"] * report["target"]["hidden"]
    return {
        "bare": statistics.median(bare),
        "growing": statistics.median(growing),
        "ratio": statistics.median(b / a for a, b in zip(bare, growing, strict=True)),
        "whole": statistics.median(whole),
        "peak": max(peaks),
        "peak_measuring": peak_measuring,
        "bound": size + largest + ALLOWED,
        "target": float(size),
    }


def table(found: dict[str, float], repetitions: int) -> str:
    """The result as a Markdown table."""
    verdict = {True: "kept", False: "BROKEN"}
    peak, measuring, bound = (found[key] / MEGABYTE for key in ("peak", "peak_measuring", "bound"))
    rows = [
        ("bare read and write, s", f"{found['bare']:.2f}", ""),
        ("growing, s", f"{found['growing']:.2f}", ""),
        ("growing / bare", f"{found['ratio']:.2f}", f"at most 2: {verdict[found['ratio'] <= 2]}"),
        ("whole command with imports, s", f"{found['whole']:.2f}", ""),
        ("target, MB", f"{found['target'] / MEGABYTE:.0f}", ""),
        ("peak memory growing, MB", f"{peak:.0f}", f"at most {bound:.0f}: {verdict[peak <= bound]}"),
        (
            "peak memory with the comparison, MB",
            f"{measuring:.0f}",
            f"at most {bound:.0f}: {verdict[measuring <= bound]}",
        ),
    ]
    head = [f"BERT-base to BERT-large, medians of {repetitions}", "", "| | value | promise |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main() -> None:
    """Run the benchmark in a temporary folder and print the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--folder", type=Path, default=None, help="where 2 GB may be written; removed at the end")
    words.add_argument("--repetitions", type=int, default=5)
    words.add_argument("--out", type=Path, help="also write the table here")
    args = words.parse_args()
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        text = table(run(Path(folder), args.repetitions), args.repetitions)
    print(text)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
