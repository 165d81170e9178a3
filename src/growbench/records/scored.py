"""The shape of zero-shot records."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from growbench.records import outcomes
from growbench.records.shape import Amount, Count, Evaluated, Made, Name, Record, Shape


class Outcomes(Shape):
    """Which examples were right, in order: see records/outcomes.py."""

    n: Annotated[int, Field(ge=1)]
    bits: str

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse bits of another number of examples."""
        outcomes.unpacked(self.model_dump())
        return self


class Tested(Evaluated):
    """The score of one test set. nats: of all scored tokens; of pairs, of the sentences of all pairs.

    error: standard error of the score over examples. outcomes: of each kind of pairs. Records of before minimal pairs lack
    the last four.
    """

    n_tokens: Count
    n_words: Count
    n_lines: Count
    n_unknown: Count
    n_cut: Count
    nats: float | None
    n_pairs: Count = 0
    n_bytes: Count = 0
    error: Amount | None = None
    outcomes: dict[str, Outcomes] = {}


class Window(Shape):
    length: Count
    stride: Count
    context: int


class Zeroshot(Record):
    kind: Literal["zeroshot"]
    point: Name
    made_from: Made
    window: Window
    tokenisation: dict[str, Any]
    runs: list[Tested]
