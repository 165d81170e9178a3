"""Decode images of any kind to square RGB arrays of one size; one that cannot be decoded costs itself, and is counted."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from growbench.errors import GrowBenchError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # Pillow knows more, some of which run other programs
WIDE = 257  # 16-bit values per 8-bit value: 65535 / 255
SHARE, FEW = 0.05, 10  # at most this share of all images, or fewer than FEW, may be unreadable


@dataclass
class Tally:
    """Counts of the images of one reading of a split. good: decoded. bad: not. first: what is wrong with the first bad one."""

    good: int = 0
    bad: int = 0
    first: str = ""

    def count(self, found: np.ndarray | str, where: str) -> np.ndarray | None:
        """Count what `tried` found, and return the image; None if there is none. where: names it."""
        if isinstance(found, str):
            self.bad += 1
            self.first = self.first or f"{where} ({found})"
            return None
        self.good += 1
        return found

    def check(self, split: str) -> None:
        """Raise GrowBenchError, naming the first bad image, if there are many."""
        if self.bad and (not self.good or (self.bad >= FEW and self.bad > SHARE * (self.good + self.bad))):
            raise GrowBenchError(
                f"corpus.{split}: {self.bad} of {self.good + self.bad} images cannot be read, the first is {self.first}; "
                "replace or remove them"
            )


def decoded(data: bytes | np.ndarray, size: int, where: str, tally: Tally) -> np.ndarray | None:
    """Return an image as uint8 [size, size, 3], or None, counted, if it cannot be read. where: names it."""
    return tally.count(tried(data, size), where)


def tried(data: bytes | np.ndarray, size: int) -> np.ndarray | str:
    """Return an image as uint8 [size, size, 3], or why it cannot be read. Counts nothing: threads run it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken metadata, and sizes that Pillow finds suspicious
            image = _of_array(data) if isinstance(data, np.ndarray) else _of_bytes(data)
            return np.asarray(_fitted(image, size), dtype=np.uint8)
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files
        return _reason(error)


def _of_bytes(data: bytes) -> Image.Image:
    """Return an encoded image, turned as its metadata says; of an animation the first frame. What is transparent is not seen."""
    if not data:
        raise ValueError("no bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:  # its own text has the address of the bytes
        raise ValueError(f"none of {', '.join(FORMATS)}") from error
    image.load()
    return ImageOps.exif_transpose(image)


def _of_array(values: np.ndarray) -> Image.Image:
    """Return an image of an array [H, W] or [H, W, 1, 3 or 4], of 8 or 16 bits."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)) or 0 in values.shape:
        raise ValueError(f"its shape is {list(values.shape)}")
    if values.dtype == np.uint16:
        values = (values // WIDE).astype(np.uint8)
    if values.dtype != np.uint8:
        raise ValueError(f"its type is {values.dtype}, not uint8 or uint16")
    return Image.fromarray(values)


def _fitted(image: Image.Image, size: int) -> Image.Image:
    """Return an RGB image of this size: the shorter side is scaled to it, and the middle of the longer one is kept."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // WIDE).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its values are floating-point numbers of unknown scale")
    image = image.convert("RGB")
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def _reason(error: Any) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
