"""Progress of tokenizing: the share that is done follows the text, the limit or the number of streams."""

from pathlib import Path

import pytest

from growbench.pipeline.corpus.pack import Progress, Writer
from growbench.pipeline.corpus.text_source import TextStream


def progress(folder: Path, *sizes: int | None, limit: int | None = None) -> Progress:
    streams = [TextStream(name=f"{i}.txt", read=lambda: iter(()), characters=size) for i, size in enumerate(sizes)]
    return Progress(Writer(folder / "train.bin", 100, 0, limit=limit), streams)


def test_the_share_follows_the_characters_read(tmp_path: Path) -> None:
    made = progress(tmp_path, 100, 300)
    made.add(0, 100)
    assert made.share(0) == pytest.approx(0.25)
    made.add(1, 1000)
    assert made.share(1) == pytest.approx(0.99), "the sizes are estimates"


def test_without_sizes_the_share_follows_the_streams_or_the_limit(tmp_path: Path) -> None:
    made = progress(tmp_path, None, 300, limit=1000)
    made.add(0, 100)
    assert made.share(0) == 0.0
    assert made.share(1) == pytest.approx(0.5)
    made.writer.tokens = 800
    assert made.share(1) == pytest.approx(0.8)


def test_the_message_has_an_estimate_once_there_is_one(tmp_path: Path) -> None:
    made = progress(tmp_path, 100, 100)
    made.writer.tokens = 2_000_000
    assert made.line(0, 10) == "train.bin: 2.0 M tokens, 0.20 M tokens/s, reading 0.txt (1 of 2)"
    made.add(0, 50)
    assert made.line(0, 10).endswith("reading 0.txt (1 of 2), about 30 s left")
