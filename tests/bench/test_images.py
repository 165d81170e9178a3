"""The benchmark of reading images."""

import pytest


@pytest.mark.slow
def test_it_compares_steps_with_and_without_reading(bench, capsys) -> None:
    made = bench("images")
    reads = made.trainer()
    assert made.SPEC.max_length == 65 and reads.batches.of(0).inputs.shape == (64, 3, 32, 32)
    assert made.main(["--rounds", "1", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "images read and changed" in shown and "at least 0.9" in shown
