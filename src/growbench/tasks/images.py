"""Classification of images: six data sets below data.dir/images/<task> or from the hub, and two generated ones (toyimages)."""

from dataclasses import dataclass

from growbench.tasks import Task

# Images of the official training and test splits. Any other number makes a task a subset.
OFFICIAL = {
    "CIFAR-10": (50_000, 10_000), "CIFAR-100": (50_000, 10_000), "Flowers-102": (2040, 6149), "Cars": (8144, 8041),
    "Food-101": (75_750, 25_250), "CUB-200": (5994, 5794),
}  # fmt: skip
CLASSES = {"CIFAR-10": 10, "CIFAR-100": 100, "Flowers-102": 102, "Cars": 196, "Food-101": 101, "CUB-200": 200}


@dataclass(frozen=True, slots=True)
class OnHub:
    """A data set of the hub. name: of its repository. image, label: its columns. dev: the split that is scored."""

    name: str
    image: str = "image"
    label: str = "label"
    dev: str = "test"


# nelorth/oxford-flowers splits in another way (7169 and 1020): a subset by the rule above.
HUB = {
    "CIFAR-10": OnHub("uoft-cs/cifar10", "img"),
    "CIFAR-100": OnHub("uoft-cs/cifar100", "img", "fine_label"),
    "Flowers-102": OnHub("nelorth/oxford-flowers"),
    "Cars": OnHub("tanganke/stanford_cars"),
    "Food-101": OnHub("ethz/food101", dev="validation"),
    "CUB-200": OnHub("bentrevett/caltech-ucsd-birds-200-2011"),
}


def task(
    name: str, source: str, classes: tuple[str, ...], counts: tuple[int, int], files: dict[str, str], skipped: int
) -> Task:
    """Return what is known of a task. counts: of its images, train and dev. files: their SHA-256. skipped: unreadable images."""
    return Task(
        name=name, suite="toyimages" if source == "toyimages" else "images", text_columns=(), label_column="label",
        num_labels=len(classes), labels=classes, metrics=("accuracy",), main="accuracy",
        subset=name in OFFICIAL and counts != OFFICIAL[name], skipped=skipped, files=files,
    )  # fmt: skip
