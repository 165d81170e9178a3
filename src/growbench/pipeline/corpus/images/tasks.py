"""Decode the images of a study's tasks once, as those of its corpus: generated shapes, data sets below data.dir or of the hub."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.images import source as image_source
from growbench.pipeline.corpus.images.source import Example, ImageStream
from growbench.records import manifest
from growbench.runtime import durable, lock
from growbench.study.study import Study
from growbench.synthetic import shapes
from growbench.tasks import images as image_tasks
from growbench.tasks import local

VERSION = 1
REMEDY = "run `growbench corpus` again"
SPLITS = ("train", "dev")
TRAIN, DEV = 1000, 500  # images of a generated task
FIRST = 10**9  # number of the first one: those of the corpus come before
SUFFIXES = ("", ".npz", ".parquet")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A task's images. entry: of the manifest. pixels: uint8 [N, H, W, C], memory-mapped; labels [N], by split."""

    entry: dict[str, Any]
    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


def made_from(study: Study) -> dict[str, Any]:
    """Return what the decoded tasks depend on; of folders the names and sizes of their files."""
    assert study.images is not None
    own = {"tasks": asdict(study.tasks), "size": size_of(study), "seed": study.corpus.seed, "version": VERSION}
    notes: dict[str, Any] = {}
    if study.tasks.source == "local":
        for name in study.tasks.names:
            try:
                notes[name] = {split: stream.note for split, stream in streams(study, name).items()}
            except GrowBenchError:  # `growbench check` reports it
                notes[name] = None
    return {**own, "shapes": shapes.VERSION, "files": notes}


def size_of(study: Study) -> int:
    """Return the pixels of a side of a task's images."""
    assert study.images is not None
    return study.images.task_size or study.images.size


def streams(study: Study, name: str) -> dict[str, ImageStream]:
    """Return the images of a task, train and dev. Raises GrowBenchError, naming the task, for what is missing or does not fit."""
    if study.tasks.source == "toyimages":
        return {split: _generated(study, name, split) for split in SPLITS}
    try:
        made = {split: _opened(study, name, split) for split in SPLITS}
    except GrowBenchError as error:
        raise GrowBenchError(f"tasks.names: {name}: {str(error).removeprefix('corpus.')}") from error
    if made["train"].names != made["dev"].names:
        odd = sorted(set(made["train"].names) ^ set(made["dev"].names)) or ["the order"]
        raise GrowBenchError(
            f"tasks.names: {name}: classes of train and dev differ ({odd[0]}); put the same folders into both"
        )
    return made


def check(study: Study) -> None:
    """Raise GrowBenchError for images of local tasks that are missing, before anything is spent."""
    if study.tasks.source == "local":
        for name in study.tasks.names:
            streams(study, name)


def _opened(study: Study, name: str, split: str) -> ImageStream:
    assert study.images is not None
    if study.tasks.source == "local":
        root = local.data_folder(study, "tasks.source")
        places = [f"images/{name}/{split}{suffix}" for suffix in SUFFIXES]
        found = next((place for place in places if (root / place).exists()), places[0])
        return image_source.opened(study, split, found, "local")
    hub = image_tasks.HUB[name]
    images = replace(study.images, image_key=hub.image, label_key=hub.label, classes=image_tasks.CLASSES[name])
    own = replace(study, images=images, corpus=replace(study.corpus, subset=None))
    return image_source.opened(own, split, f"{hub.name}:{hub.dev if split == 'dev' else 'train'}", "hub")


def _generated(study: Study, name: str, split: str) -> ImageStream:
    """Return images of all classes whose label is their shape or their texture; nothing is confused."""
    names = tuple(shapes.SHAPES) if name == "shape" else tuple(shapes.TEXTURES)
    first, count = (FIRST, TRAIN) if split == "train" else (FIRST + TRAIN, DEV)

    def read() -> Iterator[Example]:
        pixels, kinds = shapes.images(
            study.corpus.seed, first, count, size=size_of(study), classes=shapes.MOST, confused=0.0
        )
        labels = kinds // len(shapes.TEXTURES) if name == "shape" else kinds % len(shapes.TEXTURES)
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            yield Example(f"image {first + number}", image, names[label])

    return ImageStream(names=names, read=read, note={"generated": count})


def build(study: Study) -> Path:
    """Write the images of every task and return the path of their manifest, which is written last."""
    folder, path = study.layout.tasks, study.layout.tasks_manifest
    with lock.held(study.layout.tasks_lock), durable.writing(folder):
        work = folder.with_name(f".{folder.name}.building")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            made = {name: _written(study, name, work / name) for name in study.tasks.names}
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        manifest.write(path, {"version": VERSION, "source": study.tasks.source, "size": size_of(study), "tasks": made})
    return path


def _written(study: Study, name: str, folder: Path) -> dict[str, Any]:
    """Decode a task's images into a folder; return its entry in the manifest."""
    from growbench.pipeline.corpus.images.build import Writer, pack

    folder.mkdir(parents=True)
    made: dict[str, Any] = {}
    opened, skipped = streams(study, name), 0
    for split, stream in opened.items():
        writer = Writer(folder / f"{split}.bin", len(stream.names))
        add = partial(pack, study, f"{name}/{split}", stream, stream.names, writer, None, size=size_of(study))
        try:
            skipped += add()
        except GrowBenchError as error:
            raise GrowBenchError(f"tasks.names: {str(error).removeprefix('corpus.')}") from error
        made[split] = writer.close()
        if not made[split]["documents"]:
            raise GrowBenchError(f"tasks.names: {name}: {split} has no images; add some, or leave the task out")
    return {"classes": list(opened["train"].names), "skipped": skipped, **made}


def read(study: Study, name: str) -> Decoded:
    """Open a task's images. Raises GrowBenchError if they are missing, or not what the manifest says."""
    from growbench.pipeline.corpus.images import corpus

    folder, path = study.layout.tasks, study.layout.tasks_manifest
    if not path.is_file():
        raise GrowBenchError(f"{path}: the images of tasks are not decoded; run `growbench corpus`")
    values = manifest.read(path, VERSION, REMEDY)
    if name not in values["tasks"] or values["size"] != size_of(study) or values["source"] != study.tasks.source:
        raise GrowBenchError(f"{path}: not made for {name} as the config has it; {REMEDY}")
    entry = values["tasks"][name]
    for split in SPLITS:
        if found := manifest.damage(folder / name / entry[split]["file"], entry[split]["sha256"]):
            raise GrowBenchError(f"{folder / name / entry[split]['file']}: {found}; {REMEDY}")
    opened = {split: corpus.of_split(folder / name, entry[split], values["size"]) for split in SPLITS}
    return Decoded(entry, {s: one.pixels for s, one in opened.items()}, {s: one.labels for s, one in opened.items()})
