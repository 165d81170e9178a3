"""Types of a config's values: their bounds, and how a value becomes one of them. The sections are made of these."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from growbench.spec import integer

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise PydanticCustomError("repeated", "{value} appears twice", {"value": repr(value)})
    return values


def _folder(value: Any) -> Any:
    if not value or not isinstance(value, str | Path):
        raise PydanticCustomError("folder", "not a folder")
    return Path(value).expanduser()


Different = AfterValidator(_different)
UNIQUE = Field(min_length=1, json_schema_extra={"uniqueItems": True})
Folder = Annotated[Path, BeforeValidator(_folder), WithJsonSchema({"type": "string", "minLength": 1})]
WHOLE = BeforeValidator(integer)  # 1e4 and 32.0 are integers
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1), WHOLE]
Seeds = Annotated[tuple[Seed, ...], UNIQUE, Different]
Size = Annotated[int, Field(strict=True, ge=1, le=1_000_000), WHOLE]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000), WHOLE]
Count = Annotated[int, Field(strict=True, ge=1), WHOLE]
Cost = Annotated[float, Field(strict=True, gt=0)]  # FLOPs
Tokens = Annotated[int, Field(strict=True, ge=8, le=65536), WHOLE]
Threads = Annotated[int, Field(strict=True, ge=1, le=1024), WHOLE]
Share = Annotated[float, Field(strict=True, ge=0, lt=1)]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]
Points = Annotated[tuple[Fraction, ...], UNIQUE, Different]
Starts = Annotated[
    tuple[Annotated[float, Field(strict=True, ge=0, le=1)], ...], UNIQUE, Different
]  # 0: right after growth
Ratios = Annotated[tuple[Annotated[float, Field(strict=True, gt=0, le=1e6)], ...], UNIQUE, Different]
Rate = Annotated[float, Field(strict=True, gt=0, le=1)]
Rates = Annotated[tuple[Rate, ...], Field(min_length=2, json_schema_extra={"uniqueItems": True}), Different]
Files = Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None
AnswerLength = Annotated[int, Field(strict=True, ge=1, le=1000), WHOLE]
WarmupSteps = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000), WHOLE]
Epochs = Annotated[int, Field(strict=True, ge=1, le=1000), WHOLE]
StudyName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]*$", max_length=100)]
Options = dict[str, Any] | None | Literal[False]
TestSet = Literal[
    "pairs", "BLiMP", "WikiText-2", "PTB", "LAMBADA", "bytes/held-out", "bytes/WikiText-2", "bytes/SST-2", "bytes/MRPC",
    "bytes/QQP", "bytes/SQuAD",
]  # fmt: skip
