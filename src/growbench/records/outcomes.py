"""Which of many examples a model got right, kept in a record: one bit for each, in base64."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def packed(right: Sequence[bool] | np.ndarray) -> dict[str, Any]:
    """Return the outcomes of examples [n], in order, as a record holds them: their number and their bits."""
    bits = np.packbits(np.asarray(right, dtype=bool)).tobytes()
    return {"n": len(right), "bits": base64.b64encode(bits).decode()}


def unpacked(values: Mapping[str, Any]) -> np.ndarray:
    """Return the outcomes [n], bool. Raises ValueError if the bits are not as many as that."""
    count = values["n"]
    try:
        data = base64.b64decode(values["bits"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"outcomes are not base64 ({error})") from error
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    if len(data) != -(-count // 8) or bits[count:].any():
        raise ValueError(f"outcomes of {count} examples need {-(-count // 8)} bytes, and there are {len(data)}")
    return bits[:count].astype(bool)
