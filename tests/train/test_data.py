"""The order of the text: a function of seed, stream and step."""

import numpy as np
import pytest

from growbench.errors import GrowBenchError
from growbench.train.data import PackedSequences


def sequences(seed: int = 0, stream: str = "target") -> PackedSequences:
    return PackedSequences(np.arange(5, 5 + 15 * 40, dtype=np.uint16) % 45 + 5, 16, 2, seed, stream)


def test_an_epoch_reads_every_sequence_once_and_the_source_starts_at_the_other_end() -> None:
    target, source = sequences(), sequences(stream="source")
    order = [target._sequence(i) for i in range(target.count)]
    assert sorted(order) == list(range(target.count))
    assert [source._sequence(i) for i in range(source.count)] == order[::-1]
    assert [target._sequence(i + target.count) for i in range(target.count)] != order


def test_a_batch_is_cls_and_consecutive_ids() -> None:
    batch = sequences().fetch([3])
    assert batch[0, 0] == 2
    assert batch[0, 1:].tolist() == sequences().ids[45:60].tolist()


def test_text_shorter_than_one_sequence_is_one_line() -> None:
    with pytest.raises(GrowBenchError, match="14 tokens of text are shorter than one sequence of 16"):
        PackedSequences(np.zeros(14, dtype=np.uint16), 16, 2, 0)
