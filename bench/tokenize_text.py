"""Tokenizing: the corpus step, from text file to packed ids, against `tokenizers` alone on the same text and cores.

Alone: Tokenizer.encode_batch_fast on all documents, which are in memory; nothing is read or written. Ours: what
`growbench corpus` does with a tokenizer. It reads the file, cuts it into documents, tokenizes them in batches, holds some
out by hash, and packs, counts, hashes and writes the ids. The table shows wall and CPU seconds. The bar is on wall seconds,
because `tokenizers` uses all cores.

    python bench/tokenize_text.py --data <folder with wikipedia/> --out docs/BENCHMARKS.md
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _table
from _table import Sample
from transformers import PreTrainedTokenizerFast

from growbench.pipeline.corpus import pack
from growbench.pipeline.corpus.files import read_file
from growbench.pipeline.corpus.pieces import Pieces
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.corpus.text_source import TextStream
from growbench.pipeline.corpus.tokenizer import SPECIAL, train

BAR = 1.2
OURS, ALONE = "ours", "tokenizers alone"


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = _table.parser(__doc__, 5, data="wikipedia")
    parser.add_argument("--file", default="valid.txt", help="text file below wikipedia/ (valid.txt)")
    parser.add_argument("--copies", type=int, default=6, help="number of copies of the text in the file (6)")
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--kinds", nargs="+", default=["wordpiece", "bpe"])
    args = parser.parse_args(words)
    load = os.getloadavg()[0]
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        once = (_table.data(parser, args) / "wikipedia" / args.file).read_text(encoding="utf-8").strip()
        text.write_text("\n\n".join([once] * args.copies) + "\n", encoding="utf-8")
        rows = [row(kind, text, args.vocab, args.rounds) for kind in args.kinds]
        size = text.stat().st_size / 1e6
    body = f"{size:.1f} MB of Wikipedia text, vocabulary {args.vocab}; medians of {args.rounds} rounds in turns.\n\n"
    _table.publish(
        "tokenize_text", "Tokenizing", body + _table.markdown(COLUMNS, rows), load, args.out, words or sys.argv[1:]
    )
    return 0


COLUMNS = (
    "tokenizer",
    "ours, s",
    "alone, s",
    "wall, ours / alone",
    "bar",
    "ours, CPU s",
    "alone, CPU s",
    "CPU, ours / alone",
    "tokens",
)


def row(kind: str, text: Path, vocab: int, rounds: int) -> list[str]:
    """Return the table row of one kind of tokenizer."""
    documents = list(read_file(text, "blank_line", "text"))
    tokenizer = train(kind, documents[:4000], vocab, True)
    plain = PlainTokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=SPECIAL["unk"]))
    stream = TextStream(name=text.name, read=lambda: read_file(text, "blank_line", "text"))

    def ours(number: int) -> int:
        sep = tokenizer.token_to_id(SPECIAL["sep"])
        writers = [pack.Writer(text.with_name(f"{name}.bin"), vocab, sep) for name in ("train", "valid")]
        pack.pack(Pieces(None, plain), (stream,), *writers, 0, 0.02)
        return sum(writer.close()["tokens"] for writer in writers)

    def alone(number: int) -> int:
        return len(tokenizer.encode_batch_fast(documents, add_special_tokens=False))

    found: dict[str, list[Sample]] = _table.turns({OURS: ours, ALONE: alone}, rounds)
    a, b = found[OURS], found[ALONE]
    ratio = _table.ratio(a, b, "wall")
    return [
        kind,
        *(f"{_table.median(side, 'wall'):.2f}" for side in (a, b)),
        f"{ratio:.2f}",
        _table.verdict(ratio, BAR, most=True),
        *(f"{_table.median(side, 'cpu'):.2f}" for side in (a, b)),
        f"{_table.ratio(a, b, 'cpu'):.2f}",
        f"{a[0].value:,}",
    ]


if __name__ == "__main__":
    sys.exit(main())
