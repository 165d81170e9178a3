"""The config's section `images`: pictures in the place of text. No torch."""

from typing import Annotated

from pydantic import Field, with_config
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from growbench.spec import Pixels
from growbench.study.types import STRICT, WHOLE, Count, Flag, Size, Text

OFFICIAL = ("CIFAR-10", "CIFAR-100", "Flowers-102", "Cars", "Food-101", "CUB-200")
IMAGE_TASKS = {"toyimages": ("shape", "texture"), "local": OFFICIAL, "hub": OFFICIAL}  # by tasks.source
Side = Annotated[int, Field(strict=True, ge=4, le=1024), WHOLE]
Classes = Annotated[int, Field(strict=True, ge=2, le=65_536), WHOLE]
Padding = Annotated[int, Field(strict=True, ge=0, le=256), WHOLE]
Chance = Annotated[float, Field(strict=True, ge=0, lt=1)]


@with_config(STRICT)
class RandAugment(TypedDict):
    """RandAugment (Cubuk et al., 2020), as torchvision has it."""

    operations: Size
    """Operations that are applied one after the other."""
    magnitude: Annotated[int, Field(strict=True, ge=0, le=30), WHOLE]
    """Their strength, out of 30."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ImagesConfig:
    """The images that models are pre-trained on; `corpus` says where they come from."""

    size: Side
    """Pixels of a side to which every image is brought when it is decoded: its shorter side, then the middle."""
    patch: Side
    """Pixels of a side of one patch; divides size."""
    classes: Classes
    """Number of classes that are told apart."""
    most: Count | None
    """Training images to stop after; null takes all. Of generated images, how many are made."""
    image_key: Text
    """hub and Parquet: the column that holds the image."""
    label_key: Text
    """hub and Parquet: the column that holds the class."""
    pad: Padding
    """Pixels of black around a training image, of which a random window of `size` is read; 0 reads the image as it is."""
    flip: Flag
    """Whether half of the training images are mirrored, left to right."""
    randaugment: RandAugment | None
    """Random operations on training images; needs torchvision. null: none."""
    task_size: Side | None
    """Pixels of a side to which images of tasks are brought; position embeddings are then interpolated. null takes size."""
    confused: Chance
    """Generated images: share of labels, in every split, that are replaced by another class. It sets the best possible accuracy."""

    @property
    def pixels(self) -> Pixels:
        """What a model of these images reads and predicts."""
        return Pixels(size=self.size, patch=self.patch, classes=self.classes)
