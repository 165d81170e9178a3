"""The lines that a run logs."""

import logging

import pytest

from growbench.pipeline.pretrain import progress
from growbench.train.segment import Segment


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (205, "3 min 25 s"), (18_430, "5 h 07 min"), (-3, "0 s")],
)
def test_a_duration_has_at_most_two_units(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


def test_a_segment_is_one_readable_line(caplog: pytest.LogCaptureFixture) -> None:
    done = Segment(done=10, wall_seconds=2.0)
    with caplog.at_level(logging.INFO):
        progress.segment(
            "scratch-s0", "trunk", done, 24_690, step=120, losses=(3.5, 3.25), spent=3e9, budget=1e10, left=2_469_000.0
        )
        progress.segment(
            "scratch-s0", "cooldown p60", done, 24_690, step=130, losses=(3.4, None), spent=6e9, budget=1e10, left=0.0
        )
    assert caplog.messages == [
        "scratch-s0 trunk: step 120, training loss 3.5000, validation loss 3.2500, 30 % of 1e+10 FLOPs, 12,345 tokens/s, "
        "about 3 min 20 s left",
        "scratch-s0 cooldown p60: step 130, training loss 3.4000, 60 % of 1e+10 FLOPs, 12,345 tokens/s, about 0 s left",
    ]
