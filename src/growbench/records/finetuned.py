"""The shape of a fine-tuning record: its runs, what they predicted, and the floors of a probe."""

from typing import Literal, Self

from pydantic import model_validator

from growbench.records import predictions
from growbench.records.shape import Amount, Count, Evaluated, Made, Name, Record, Shape


class Kept(Shape):
    """One value per example (records/predictions.py)."""

    kind: predictions.Kind
    rows: Count
    data: str

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse data that are not this many values."""
        predictions.unpack(self.model_dump())
        return self


class Floors(Shape):
    """What a linear model scores with the features of a random model of the same spec (of a probe alone), and with counts of tokens."""

    random_model: float | None = None
    bag_of_words: float


class Finetuned(Evaluated):
    """One fine-tuning run; records of before these were counted and kept lack the optional values.

    n_skipped: rows of both files that were left out as broken. n_cut_train, n_cut_dev: rows that were cut.
    n_unreached: rows of both files with positions that pre-training never reached.
    flops: of its steps. held_out, n_held_out: the main metric on the training rows that choose the LR, and their number.
    floors: of a probe, and of scratch. strength: of a probe, whose epochs and lr are 0: weight of the data against the penalty.
    """

    seed: Count
    n_train: Count
    n_dev: Count
    n_skipped: Count | None = None
    n_cut_train: Count | None = None
    n_cut_dev: Count | None = None
    n_unreached: Count | None = None
    majority: float
    epochs: Count
    lr: Amount
    batch: Count | None
    flops: Amount | None = None
    held_out: float | None = None
    n_held_out: Count | None = None
    predictions: Kept | None = None
    floors: Floors | None = None
    strength: Amount | None = None

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse predictions of another number of rows."""
        if self.predictions and self.predictions.rows != self.n_dev:
            raise ValueError(f"{self.predictions.rows} predictions for {self.n_dev} dev rows")
        return self


class Finetune(Record):
    kind: Literal["finetune"]
    point: Name
    made_from: Made
    suite: Name
    protocol: Literal["single", "grid", "held_out", "probe"]
    runs: list[Finetuned]
    labels: dict[str, Kept] | None = None
