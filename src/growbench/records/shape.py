"""What the shapes of all records are made of: types of values, and the keys that every record or evaluation has."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(min_length=1)]


class Shape(BaseModel):
    """What all shapes share: no unknown key, no value of another type, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Provenance(Shape):
    commit: str
    dirty: bool
    versions: dict[str, str]
    hardware: str
    threads: Count
    processes: Count
    date: str


class Record(Shape):
    """What every record says of itself."""

    version: Literal[2]
    study: Name
    method: Name
    seed: Count
    config_hash: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    provenance: Provenance
    digest: Sha256


class Made(Shape):
    """What an evaluation was made from: digests of the model, of the corpus and its tokenizer, and of each task's files.

    restored: how much higher the loss of the model that was scored is than that of the record's, for which it stands (nats).
    """

    config: str
    model: Sha256 | None
    corpus: Sha256 | None
    tasks: dict[str, dict[str, Sha256]] | None
    precision: Name | None
    restored: float | None = None


class Evaluated(Shape):
    """The result of one task or test set. score: the main metric; None if it is not finite."""

    task: Name
    subset: bool
    metrics: dict[str, float | None]
    main_metric: Name
    score: float | None
    failed: bool
    seconds: Amount
