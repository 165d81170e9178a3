"""Predictions and labels of single examples, kept compactly in a record, so that scores can be resampled over examples.

One value per example, in the order of the file: a class in a byte, or a number in half precision; compressed, in base64.
"""

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["class", "number", "score"]
TYPES = {"class": "u1", "number": "<f2", "score": "<f2"}  # by kind: a class id, a predicted number, an example's score


@dataclass(frozen=True)
class Examples:
    """The predictions of one fine-tuning run on the dev rows.

    task: its name. seed: fine-tuning seed. lr: learning rate.
    kind: what the predictions are; a score needs no labels.
    predicted: [rows]. labels: [rows]; None for scores.
    """

    task: str
    seed: int
    lr: float
    kind: Kind
    predicted: NDArray[Any]
    labels: NDArray[Any] | None


def pack(values: ArrayLike, kind: Kind) -> dict[str, Any]:
    """Return values [rows] as a record keeps them."""
    kept = np.asarray(values).astype(TYPES[kind])
    data = base64.b64encode(zlib.compress(kept.tobytes(), 9)).decode("ascii")
    return {"kind": kind, "rows": len(kept), "data": data}


def unpack(kept: Mapping[str, Any]) -> NDArray[Any]:
    """Return the values [rows] that pack() was given, as precise as they are kept. Raises ValueError if they are damaged."""
    kind = np.dtype(TYPES[kept["kind"]])
    size, opened = kept["rows"] * kind.itemsize, zlib.decompressobj()
    try:
        data = opened.decompress(base64.b64decode(kept["data"], validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"not values of examples ({error})") from error
    if len(data) != size:
        raise ValueError(f"not the values of {kept['rows']} examples")
    return np.frombuffer(data, dtype=kind)


def examples(record: Mapping[str, Any]) -> Iterator[Examples]:
    """Yield the predictions of each run of a fine-tuning record that has them; records of before this version have none."""
    labels = record.get("labels") or {}
    for run in record["runs"]:
        kept = run.get("predictions")
        if kept is not None:
            own = labels.get(run["task"]) if kept["kind"] != "score" else None
            gold = None if own is None else unpack(own)
            yield Examples(run["task"], run["seed"], run["lr"], kept["kind"], unpack(kept), gold)
