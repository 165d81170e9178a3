"""Where a study's images come from: class folders, npz and Parquet files, datasets of the hub, or generated shapes."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from growbench.errors import GrowBenchError, shown
from growbench.runtime import durable
from growbench.study.study import Study
from growbench.synthetic import shapes
from growbench.tasks import hub, local

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
ROWS = 256  # of a Parquet file or of generated images that are read at a time


class Example(NamedTuple):
    """One image before it is decoded. where: names it. data: of its file, or an array. label: the name of its class."""

    where: str
    data: bytes | np.ndarray
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageStream:
    """The images of one split.

    names: its classes, in order. read: returns a new iterator over its images. note: what it is, for the manifest.
    """

    names: tuple[str, ...]
    read: Callable[[], Iterator[Example]]
    note: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSource:
    """All images of a study. valid: None if images of `train` are held out for it. test: None without."""

    train: ImageStream
    valid: ImageStream | None = None
    test: ImageStream | None = None


def open_source(study: Study) -> ImageSource:
    """Return what the config names. Raises GrowBenchError if a folder or file is missing or holds no classes."""
    corpus = study.corpus
    if corpus.source == "synthetic":
        return ImageSource(train=_generated(study))
    given = {key: getattr(corpus, key) for key in ("train", "valid", "test")}
    named = {key: _one(key, name) for key, name in given.items() if name is not None}
    return ImageSource(**{key: opened(study, key, name, corpus.source) for key, name in named.items()})


def opened(study: Study, key: str, name: str, where: str) -> ImageStream:
    """Return one split: a folder or file below data.dir (where: local), or a dataset of the hub."""
    return _local(study, key, name) if where == "local" else _of_hub(study, key, name)


def _one(key: str, names: Any) -> str:
    """Return the only name of a split. Raises GrowBenchError if there are several."""
    if not isinstance(names, str) and len(names) != 1:
        raise GrowBenchError(f"corpus.{key}: {len(names)} places, but images are read from one; put them in one folder")
    return names if isinstance(names, str) else str(names[0])


def _generated(study: Study) -> ImageStream:
    images, seed = study.images, study.corpus.seed
    assert images is not None and images.most is not None
    most, how = images.most, {"size": images.size, "classes": images.classes, "confused": images.confused}
    names = shapes.CLASSES[: images.classes]

    def read() -> Iterator[Example]:
        number = 0
        while True:  # `images.most` of them are for training, and as many more as are held out are read
            pixels, labels = shapes.images(seed, number, shapes.BLOCK, **how)  # type: ignore[arg-type]
            for row, label in zip(pixels, labels, strict=True):
                yield Example(f"image {number}", row, names[label])
                number += 1

    return ImageStream(names=names, read=read, note={"generated": most, "seed": seed, "version": shapes.VERSION})


def _local(study: Study, key: str, name: str) -> ImageStream:
    """Return the images of a folder or file below data.dir."""
    root = local.data_folder(study, "corpus.source")
    path = root / name
    local.check_inside(path, root)
    if not path.exists():
        raise GrowBenchError(
            f"corpus.{key}: {path} does not exist; name a folder of class folders, or a .npz or .parquet file"
        )
    if path.is_dir():
        return _folder(path, key, root)
    if path.suffix == ".npz":
        return _npz(path, key)
    if path.suffix == ".parquet":
        return _parquet(study, path, key)
    raise GrowBenchError(f"corpus.{key}: {path} is neither a folder nor a .npz or .parquet file; use one of these")


def _folder(path: Path, key: str, root: Path) -> ImageStream:
    """Return the images of a folder that has a folder for each class. Hidden files and files of other kinds are no images."""
    with durable.writing(path):
        classes = sorted(place.name for place in path.iterdir() if place.is_dir() and not place.name.startswith("."))
        found = {name: _files(path / name) for name in classes}
    if not classes:
        raise GrowBenchError(
            f"corpus.{key}: {path} has no folders; put the images of each class into a folder of its own"
        )
    if empty := [name for name, files in found.items() if not files]:
        raise GrowBenchError(
            f"corpus.{key}: class {empty[0]} has no images in {path / empty[0]}; add some, or remove the folder"
        )
    mixed = sorted(
        ((name, file) for name, files in found.items() for file in files), key=lambda own: _mixing(own, path)
    )

    def read() -> Iterator[Example]:
        for name, file in mixed:
            local.check_inside(file, root)
            with durable.writing(file):
                yield Example(str(file), file.read_bytes(), name)

    note = {"folder": path.name, "files": len(mixed), "names_and_sizes": names_and_sizes(path)}
    return ImageStream(names=tuple(classes), read=read, note=note)


def _mixing(own: tuple[str, Path], folder: Path) -> bytes:
    """Return what orders the images of a folder, so that the first ones are of all classes."""
    return hashlib.blake2b(str(own[1].relative_to(folder)).encode("utf-8", "surrogateescape"), digest_size=16).digest()


def names_and_sizes(folder: Path) -> str:
    """Return the SHA-256 of the names and sizes of a folder's images. Their bytes are not read."""
    listed = hashlib.sha256()
    for file in _files(folder):
        line = f"{file.relative_to(folder)}/{file.stat().st_size}\n"
        listed.update(line.encode("utf-8", "surrogateescape"))
    return listed.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    )


def _npz(path: Path, key: str) -> ImageStream:
    """Return the images of a file with `images` [N, H, W] or [N, H, W, C] and `labels` [N], of 8 or 16 bits."""
    try:
        with np.load(path, allow_pickle=False) as held:
            pixels, labels = held["images"], held["labels"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise GrowBenchError(
            f"corpus.{key}: {path} has no arrays `images` and `labels` that can be read ({hub.reason(error)}); write it with "
            "numpy.savez"
        ) from error
    except Exception as error:  # zipfile and zlib have errors of their own
        raise _damaged(key, path, error) from error
    if labels.ndim != 1 or not pixels.ndim or len(labels) != len(pixels):
        raise GrowBenchError(
            f"corpus.{key}: {path} has images of shape {list(pixels.shape)} and labels of shape {list(labels.shape)}; give each "
            "image one label"
        )
    names = _named(labels.tolist(), key, path)

    def read() -> Iterator[Example]:
        for number, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
            yield Example(f"{path}, image {number}", image, str(label))

    return ImageStream(names=names, read=read, note=_hashed(path))


def _parquet(study: Study, path: Path, key: str) -> ImageStream:
    """Return the images of a Parquet file: encoded bytes, alone or with a path, as the hub's datasets have them."""
    import pyarrow
    from pyarrow import parquet

    assert study.images is not None
    image, label = study.images.image_key, study.images.label_key
    try:
        file = parquet.ParquetFile(path)
        if missing := [name for name in (image, label) if name not in file.schema_arrow.names]:
            raise GrowBenchError(
                f"corpus.{key}: {path} has no column {missing[0]!r} (it has {', '.join(file.schema_arrow.names[:20])}); set "
                "images.image_key and images.label_key"
            )
        labels = parquet.read_table(path, columns=[label])[label].to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(key, path, error) from error
    names = _named(labels, key, path)

    def read() -> Iterator[Example]:
        number, batches = 0, parquet.ParquetFile(path).iter_batches(ROWS, columns=[image, label])
        while True:
            try:
                rows = next(batches, None)
            except (OSError, pyarrow.ArrowException) as error:
                raise _damaged(key, path, error) from error
            if rows is None:
                return
            for row in rows.to_pylist():
                yield Example(f"{path}, row {number}", _bytes(row[image]), str(row[label]))
                number += 1

    return ImageStream(names=names, read=read, note=_hashed(path))


def _bytes(value: Any) -> bytes | np.ndarray:
    """Return the encoded bytes of a row's image; nothing that can be decoded if it has none."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else b""


def _damaged(key: str, path: Path, error: Exception) -> GrowBenchError:
    return GrowBenchError(f"corpus.{key}: {path} is damaged ({hub.reason(error)}); replace it")


def _named(labels: Sequence[Any], key: str, path: Path) -> tuple[str, ...]:
    """Return the names of classes in order: numbers as numbers, anything else as text.

    Raises GrowBenchError, naming the first row, for a label that is neither a whole number nor text, and without any label.
    """
    if not labels:
        raise GrowBenchError(f"corpus.{key}: {path} has no images; name a file that has some")
    for row, label in enumerate(labels):
        if not isinstance(label, (int, str)):
            raise GrowBenchError(
                f"corpus.{key}: {path}, row {row}: the class is {shown(repr(label))[:60]}, neither a whole number nor text; "
                "correct or remove the row"
            )
    found = set(labels)
    numbers = all(isinstance(label, int) for label in found)
    return tuple(map(str, sorted(found) if numbers else sorted(map(str, found))))


def _hashed(path: Path) -> dict[str, Any]:
    with durable.writing(path):
        return {"file": path.name, "bytes": path.stat().st_size, "sha256": durable.digest(path)}


def _of_hub(study: Study, key: str, name: str) -> ImageStream:
    """Return a split of a dataset of the hub, which is streamed. `name:split` names a split; otherwise it is called as the key."""
    assert study.images is not None
    image, label = study.images.image_key, study.images.label_key
    repository, _, split = name.partition(":")
    split = split or {"valid": "validation"}.get(key, key)
    try:
        import datasets

        rows = hub.load(study, repository, study.corpus.subset, split=split, streaming=True)
        if missing := [column for column in (image, label) if column not in (rows.features or {})]:
            raise GrowBenchError(
                f"corpus.{key}: {name} has no column {missing[0]!r} (it has {', '.join(rows.features or {})}); set "
                "images.image_key and images.label_key"
            )
        about = rows.features[label]
        rows = rows.cast_column(image, datasets.Image(decode=False))
    except GrowBenchError:
        raise
    except Exception as error:
        raise GrowBenchError(
            f"corpus.{key}: {name} cannot be streamed from the hub ({hub.reason(error)}); fix the name or the network, or use "
            "local files"
        ) from error
    names = tuple(about.names) if hasattr(about, "names") else tuple(map(str, range(study.images.classes)))

    def read() -> Iterator[Example]:
        for number, row in enumerate(rows):
            known = isinstance(row[label], int) and 0 <= row[label] < len(names)
            yield Example(f"{name}, row {number}", _bytes(row[image]), names[row[label]] if known else str(row[label]))

    return ImageStream(names=names, read=read, note={"dataset": name, "subset": study.corpus.subset})
