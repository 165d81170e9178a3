"""What chooses is never what is reported, and a part of few documents is refused."""

import numpy as np
import pytest

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import parts


@pytest.mark.parametrize("tested", [False, True])
def test_no_document_both_chooses_and_is_reported(tested: bool) -> None:
    chosen, reported, trunk = (parts.of(name, tested) for name in ("choose", "report", "trunk"))
    numbers = np.arange(41)
    assert trunk == parts.Part("valid") and trunk.holds(numbers).all()
    if tested:
        assert (chosen, reported) == (parts.Part("valid"), parts.Part("test"))
    else:
        assert chosen.split == reported.split == "valid"
        assert (chosen.holds(numbers) ^ reported.holds(numbers)).all() and reported.holds(numbers)[1]
    for part in (chosen, reported):
        assert part.count(41) == part.holds(numbers).sum()


@pytest.mark.parametrize(("split", "tested", "fewest"), [("valid", False, 40), ("valid", True, 20), ("test", True, 20)])
def test_a_part_of_few_documents_is_one_line(split: str, tested: bool, fewest: int) -> None:
    parts.check(split, fewest, tested, "give more text")
    with pytest.raises(
        GrowBenchError, match=rf"^corpus\.{split}: {fewest - 1} documents are too few .* {fewest} are needed"
    ):
        parts.check(split, fewest - 1, tested, "give more text")
