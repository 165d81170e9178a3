"""What `growbench grow` costs for a model of the size that people have: a Llama of 7 B parameters in bf16, without its comparison.

The source is random and written tensor by tensor. It is grown to 10.7 B by SOLAR's list of layers, and a source of the same
width with as many layers as the disk allows to twice its width. Bare: a process copies every source tensor into memory, then
writes as many bytes as the target has, and syncs them. The bars: at most twice the time, and a peak memory of at most three
times the largest tensor (in float32, in which it may be computed) plus 500 MB. CPU seconds, with those of imports, are there
because other work on the machine lengthens wall times. `--compare` runs the comparison of both models, too.

    python bench/grow_large.py --folder /disk/with/50/GB --out docs/BENCHMARKS.md
"""

import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import _table
from grow import child

BARE = """
import os, sys, time
from pathlib import Path
import torch
from safetensors import safe_open
source, out, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
buffer = bytes(torch.arange(1 << 22, dtype=torch.int32).view(torch.uint8).numpy())
started = time.monotonic()
for path in sorted(source.glob("*.safetensors")):
    with safe_open(path, "pt") as file:
        keys = list(file.keys())
    for key in keys:
        with safe_open(path, "pt") as file:
            file.get_tensor(key).clone()
with open(out, "wb") as file:
    for begin in range(0, size, len(buffer)):
        file.write(buffer[: size - begin])
        file.flush()
        os.posix_fadvise(file.fileno(), begin, len(buffer), os.POSIX_FADV_DONTNEED)
    os.fsync(file.fileno())
print(time.monotonic() - started)
"""
GIGABYTE, ALLOWED, BAR = 1e9, 0.5, 2.0
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 32000,
    "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
}  # fmt: skip


def make_source(folder: Path, layers: int) -> None:
    """Write a random Llama of 7 B's width, one tensor at a time."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    from growbench.pipeline.grow import shards

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": layers}))
    with torch.device("meta"):
        model = LlamaForCausalLM(AutoConfig.from_pretrained(folder))
    layout = {n: shards.Slot(tuple(p.shape), torch.bfloat16) for n, p in model.named_parameters()}
    block = (0.02 * torch.randn(1 << 22, generator=torch.Generator().manual_seed(0))).bfloat16()

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        for number, (name, slot) in enumerate(layout.items()):
            size = torch.Size(slot.shape).numel()
            rolled = block.roll(number)
            yield name, rolled.repeat(-(-size // len(rolled)))[:size].reshape(slot.shape)

    shards.write(folder, shards.divided(layout, 5 * 10**9), tensors())


def cpu() -> float:
    """Return the CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def grow(source: Path, out: Path, words: Sequence[str]) -> tuple[dict[str, Any], float]:
    """Run the command; return its report and peak resident bytes. The target is removed afterwards."""
    text, _, peak = child(["-m", "growbench", "grow", str(source), str(out), *words, "--json"])
    shutil.rmtree(out)
    return json.loads(text), peak


def rows(folder: Path, name: str, layers: int, words: Sequence[str], compare: bool) -> list[list[str]]:
    """Make a source, run both sides once, and return the table's rows."""
    source, out = folder / "source", folder / "target"
    make_source(source, layers)
    before = cpu()
    report, peak = grow(source, out, [*words, "--no-measure"])
    between = cpu()
    bare = float(child(["-c", BARE, str(source), str(folder / "bare"), str(report["bytes"])])[0])
    (folder / "bare").unlink()
    spent = f"{between - before:.0f} and {cpu() - between:.0f}"
    growing, vocab = report["seconds"]["growing"], CONFIG["vocab_size"]
    largest = 4 * max(vocab, report["target"]["ffn"]) * report["target"]["hidden"] / GIGABYTE
    bar = 3 * largest + ALLOWED
    sizes = f"{report['parameters_before'] / 1e9:.3g} B -> {report['parameters_after'] / 1e9:.3g} B"
    ratio, memory = growing / bare, peak / GIGABYTE
    found = [
        [name, "parameters", sizes, "none"],
        ["", "growing, s", f"{growing:.0f}", "none"],
        ["", "bare read and write, s", f"{bare:.0f}", "none"],
        ["", "growing / bare", f"{ratio:.2f}", _table.verdict(ratio, BAR, most=True)],
        ["", "CPU of growing, of bare, s", spent, "none"],
        ["", "peak memory, GB", f"{memory:.2f}", _table.verdict(memory, round(bar, 2), most=True)],
    ]
    if compare:
        report, peak = grow(source, out, words)
        measured = report["measured"]
        how = measured if isinstance(measured, str) else measured["how"]
        found += [
            ["", "comparison", how, "none"],
            ["", "comparing, s", f"{report['seconds']['measuring']:.0f}", "none"],
            ["", "peak memory with it, GB", f"{peak / GIGABYTE:.2f}", "none"],
        ]
    shutil.rmtree(source)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table; with --out, put it into the page."""
    parser = _table.parser(__doc__, 1)
    parser.add_argument(
        "--folder", type=Path, default=None, help="a folder with 50 GB of free disk space, which is emptied"
    )
    parser.add_argument("--layers", type=int, default=32, help="of the source that grows in depth")
    parser.add_argument("--wide-layers", type=int, default=8, help="of the source that grows to twice its width")
    parser.add_argument("--compare", action="store_true", help="compare both models, too")
    args = parser.parse_args(words)
    load = os.getloadavg()[0]
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
    deep = ["--method", "layers", "--layers", str(args.layers * 3 // 2)]
    wide = ["--method", "hypercloning", "--hidden", "8192"]
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        table = rows(Path(place), "SOLAR", args.layers, deep, args.compare)
        table += rows(Path(place), "twice the width", args.wide_layers, wide, args.compare)
    body = f"Llama (4096, bf16) with {args.layers} layers, and with {args.wide_layers} for the width; one round.\n\n"
    _table.publish(
        "grow_large", "Growth of a large checkpoint", body + _table.markdown(("growth", "", "value", "bar"), table), load,
        args.out, words or sys.argv[1:],
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
