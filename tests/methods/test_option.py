"""Options of methods: their types, bounds and spelling, and refusals in one line."""

from typing import Any

import pytest

from growbench.errors import GrowBenchError
from growbench.methods import COMMON, Option

NUMBER = Option(0.1, "a number", range=(0.0, 1.0))
COUNT = Option(4, "a count", range=(0, 10))
CHOICE = Option("copy", "a word", choices=("copy", "identity"))
EITHER = Option(0.1, "a number or a word", choices=("rule",), range=(0.0, 1.0))


@pytest.mark.parametrize(
    ("option", "value", "result"),
    [(NUMBER, 1, 1), (COUNT, 4.0, 4), (CHOICE, "identity", "identity"), (EITHER, "rule", "rule"), (EITHER, 0.5, 0.5)],
)
def test_an_allowed_value_is_returned_in_its_type(option: Option, value: Any, result: Any) -> None:
    checked = option.check("methods.x.y", value)
    assert checked == result and type(checked) is type(result)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        (NUMBER, None, "null is not allowed; leave it out for the default 0.1"),
        (NUMBER, 1.5, "1.5 is not allowed; use a number from 0.0 to 1.0"),
        (NUMBER, True, "True is not allowed; use a number"),
        (NUMBER, "much", "'much' is not allowed; use a number"),
        (COUNT, 2.5, "2.5 is not allowed; use an integer from 0 to 10"),
        (CHOICE, "identiti", "did you mean 'identity'"),
        (EITHER, "role", "did you mean 'rule'"),
        (COMMON["warmup"], 0.05, "0.05 is not allowed; use an integer from 0 to"),
        (COMMON["plan"], 5, "5 is not allowed; use text"),
    ],
)
def test_any_other_value_is_refused_in_one_line(option: Option, value: Any, words: str) -> None:
    with pytest.raises(GrowBenchError, match=r"methods\.x\.y: ") as caught:
        option.check("methods.x.y", value)
    assert words in str(caught.value) and "\n" not in str(caught.value)
