"""Images of every kind become one array; what cannot be read is counted, and what does not fit is one line."""

import io
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from support.tiny_images import study, values

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import run as corpus
from growbench.pipeline.corpus.images import build
from growbench.pipeline.corpus.images import corpus as image_corpus
from growbench.pipeline.corpus.images.decode import Tally, decoded, tried
from growbench.study import config
from growbench.synthetic import shapes
from growbench.tasks import hub

SIZE = 12
CLASSES = ("ant", "bee", "cat", "dog")
EACH = 30
Files = dict[str, bytes]


def image(number: int, mode: str = "RGB", size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    shape = (size[1], size[0], 4 if mode == "CMYK" else 3)
    if mode == "RGB" or mode == "CMYK":
        return Image.fromarray(np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8), mode)
    return image(number, size=size).convert(mode)


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def folder(root: Path, first: int = 0, each: int = EACH, classes=CLASSES) -> Path:
    """Write a folder of class folders of images that differ."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for place in range(each):
            (root / name / f"{place:03}.png").write_bytes(encoded(image(first + number * each + place)))
    return root


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("images")
    folder(root / "train")
    folder(root / "dev", first=10_000, each=12)
    return root


@pytest.fixture
def data(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, and a working directory."""
    shutil.copytree(made_once, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def local(data: Path, train: str = "train", valid: str | None = "dev", **images):
    how = {"images": {"confused": 0.0, "most": None, **images}, "data": {"dir": str(data)}}
    return study(corpus={"source": "local", "train": train, "valid": valid}, **how)


def refused(made, line: str) -> None:
    with pytest.raises(GrowBenchError) as error:
        build.build(made)
    assert line in str(error.value) and ";" in str(error.value) and "\n" not in str(error.value)
    assert not made.layout.corpus_manifest.exists()


def labelled(images) -> dict[bytes, int]:
    return {pixels.tobytes(): int(label) for pixels, label in zip(images.pixels, images.labels, strict=True)}


def test_a_folder_of_class_folders_is_read_whole_and_its_pixels_are_those_of_the_files(data: Path) -> None:
    made = local(data)
    corpus.check(made)
    corpus.build(made)
    found = image_corpus.load(made.layout.corpus)
    assert found.manifest["classes"] == list(CLASSES) and found.manifest["train"]["counts"] == [EACH] * 4
    wanted = {np.asarray(image(n)).tobytes(): n // EACH for n in range(4 * EACH)}
    assert labelled(found.train) == wanted and len(found.valid) == 48
    pixels = np.concatenate([np.asarray(found.train.pixels).reshape(-1, 3)]) / 255
    assert np.allclose(found.scaling.mean, pixels.mean(0), atol=1e-4)
    assert np.allclose(found.scaling.std, pixels.std(0), atol=1e-4)
    assert {int(label) for label in found.train.labels[:20]} == {0, 1, 2, 3}  # the first ones are of all classes


def test_the_same_images_in_npz_parquet_and_a_folder_are_the_same_corpus(data: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for split, first, each in (("train", 0, EACH), ("dev", 10_000, 12)):
        numbers = [(first + n, CLASSES[n // each]) for n in range(4 * each)]
        np.savez(
            data / f"{split}.npz",
            images=np.stack([np.asarray(image(n)) for n, _ in numbers]),
            labels=np.array([c for _, c in numbers]),
        )
        rows = {"image": [image(n) for n, _ in numbers], "label": [c for _, c in numbers]}
        datasets.Dataset.from_dict(
            rows, datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
        ).to_parquet(str(data / f"{split}.parquet"))
    found = []
    for suffix in ("", ".npz", ".parquet"):
        made = local(data, f"train{suffix}", f"dev{suffix}")
        build.build(made)
        found.append(image_corpus.load(made.layout.corpus))
    assert labelled(found[0].train) == labelled(found[1].train) == labelled(found[2].train)
    assert labelled(found[0].valid) == labelled(found[1].valid) == labelled(found[2].valid)
    assert found[1].digest == found[2].digest  # in the same order, too


def test_a_dataset_of_the_hub_is_streamed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(study, *names, **options):
        asked.append((names, options))
        first, each = (0, EACH) if options["split"] == "train" else (10_000, 12)
        rows = {"img": [image(first + n) for n in range(4 * each)], "fine": [n // each for n in range(4 * each)]}
        features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=list(CLASSES))})
        return datasets.Dataset.from_dict(rows, features).to_iterable_dataset()

    monkeypatch.setattr(hub, "load", load)
    keys = {"confused": 0.0, "most": None, "image_key": "img", "label_key": "fine"}
    made = study(corpus={"source": "hub", "train": "some/set", "valid": "some/set:test"}, images=keys)
    build.build(made)
    found = image_corpus.load(made.layout.corpus)
    assert labelled(found.train) == {np.asarray(image(n)).tobytes(): n // EACH for n in range(4 * EACH)}
    assert [(names[0], options["split"], options["streaming"]) for names, options in asked] == [
        ("some/set", "train", True), ("some/set", "test", True)
    ]  # fmt: skip
    monkeypatch.setattr(hub, "load", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no network")))
    made.layout.corpus_manifest.unlink()
    refused(made, "corpus.train: some/set cannot be streamed from the hub (no network)")


def test_one_broken_image_costs_one_and_is_counted(data: Path) -> None:
    whole = (data / "train/ant/000.png").read_bytes()
    (data / "train/ant/000.png").write_bytes(whole[: len(whole) // 2])  # truncated
    (data / "train/bee/000.png").write_bytes(b"no image")
    (data / "train/cat/000.png").write_bytes(b"")
    (data / "train/dog/notes.txt").write_text("not counted")
    made = local(data)
    build.build(made)
    found = image_corpus.load(made.layout.corpus)
    assert found.manifest["source"]["unreadable"] == {"train": 3, "valid": 0}
    assert found.manifest["train"]["counts"] == [EACH - 1, EACH - 1, EACH - 1, EACH]


def test_many_broken_images_are_refused(data: Path) -> None:
    for place in range(12):
        (data / f"train/ant/{place:03}.png").write_bytes(b"no image")
    refused(local(data), "corpus.train: 12 of 120 images cannot be read, the first is ")


def test_grey_cmyk_palette_alpha_16_bit_and_turned_images_become_rgb() -> None:
    tally = Tally()
    grey = np.arange(144, dtype=np.uint16).reshape(12, 12) * 450
    kinds = {
        "grey": (encoded(image(1, "L")), np.stack([np.asarray(image(1, "L"))] * 3, axis=-1)),
        "cmyk": (encoded(image(1, "CMYK"), "TIFF"), np.asarray(image(1, "CMYK").convert("RGB"))),
        "palette": (encoded(image(1, "P")), np.asarray(image(1, "P").convert("RGB"))),
        "alpha": (encoded(image(1, "RGBA")), np.asarray(image(1))),
        "bits": (encoded(image(1, "1")), np.asarray(image(1, "1").convert("RGB"))),
        "16 bit": (encoded(Image.fromarray(grey)), np.stack([(grey // 257).astype(np.uint8)] * 3, axis=-1)),
        "16 bit array": (grey, np.stack([(grey // 257).astype(np.uint8)] * 3, axis=-1)),
    }
    for name, (data, wanted) in kinds.items():
        assert np.array_equal(decoded(data, SIZE, name, tally), wanted), name
    turned = image(5)
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    out = io.BytesIO()
    turned.save(out, "PNG", exif=exif)
    assert np.array_equal(decoded(out.getvalue(), SIZE, "turned", tally), np.asarray(turned)[::-1, ::-1])
    assert (tally.good, tally.bad) == (8, 0)
    for bad in (
        np.zeros((3, 3), np.float32),
        np.zeros((0, 3, 3), np.uint8),
        np.zeros((4, 4, 7), np.uint8),
        b"",
        b"GIF89a",
    ):
        assert decoded(bad, SIZE, "bad", tally) is None
    assert tally.bad == 5


def test_other_sizes_keep_the_middle_at_the_scale_of_the_shorter_side() -> None:
    wide = np.zeros((24, 48, 3), np.uint8)
    wide[:, 12:36] = 200  # the middle, which is square
    found = decoded(encoded(Image.fromarray(wide)), SIZE, "wide", Tally())
    assert (found[:, 2:-2] == 200).all() and (found > 150).all()  # the kernel reaches over the edge


def test_images_that_occur_twice_are_on_one_side(data: Path) -> None:
    shutil.copytree(data / "train/ant", data / "more/ant")
    for name in CLASSES[1:]:
        shutil.copytree(data / "train" / name, data / "more" / name)
    for path in list((data / "more").rglob("*.png")):
        shutil.copy(path, path.with_name(f"again-{path.name}"))
    made = config.load(values(
        corpus={"source": "local", "train": "more", "valid": None, "valid_fraction": 0.4}, data={"dir": str(data)},
        images={"confused": 0.0, "most": None},
    ))  # fmt: skip
    build.build(made)
    found = image_corpus.load(made.layout.corpus)
    assert not labelled(found.train).keys() & labelled(found.valid).keys()
    assert len(found.train) + len(found.valid) == 8 * EACH and 40 < len(found.valid) < 160


def test_generated_images_are_as_many_as_asked_for_and_the_floor_is_known(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = study()
    build.build(made)
    found, first = image_corpus.load(made.layout.corpus), made.layout.corpus_manifest.read_bytes()
    right, loss = shapes.best(4, 0.1)
    assert (
        len(found.train) == 600 and found.manifest["best_accuracy"] == right and found.manifest["entropy_floor"] == loss
    )
    made.layout.corpus_manifest.unlink()
    build.build(made)
    assert made.layout.corpus_manifest.read_bytes() == first
    with open(made.layout.corpus / "train.bin", "r+b") as file:
        file.write(b"\xff\x00\xff")
    with pytest.raises(GrowBenchError, match="its SHA-256 does not match"):
        image_corpus.load(made.layout.corpus)


def test_classes_that_differ_or_are_empty_are_one_line(data: Path) -> None:
    refused(local(data, classes=5), "images.classes: 5, but corpus.train has 4 classes (ant, bee, cat, dog); use 4")
    (data / "dev/dog").rename(data / "dev/dg")
    refused(local(data), "corpus.valid: class 'dg' is not one of corpus.train's; did you mean 'dog'")
    shutil.rmtree(data / "dev/dg")
    refused(local(data), "corpus.valid: class 'dog' of corpus.train has no images")
    shutil.rmtree(data / "train/cat")
    (data / "train/cat").mkdir()
    refused(local(data), "corpus.train: class cat has no images in ")
    (data / "train/cat/0.png").write_bytes(b"no image")
    refused(local(data, valid=None), "corpus.train: class 'cat' has no images that are read")


def test_places_that_hold_no_images_are_one_line(data: Path) -> None:
    refused(local(data, "gone"), "does not exist; name a folder of class folders")
    (data / "flat").mkdir()
    refused(local(data, "flat"), "has no folders; put the images of each class into a folder of its own")
    (data / "a.zip").write_bytes(b"PK")
    refused(local(data, "a.zip"), "is neither a folder nor a .npz or .parquet file")
    (data / "a.npz").write_bytes(b"PK\x03\x04 broken")
    refused(local(data, "a.npz"), "a.npz")
    np.savez(data / "b.npz", pictures=np.zeros(3))
    refused(local(data, "b.npz"), "has no arrays `images` and `labels`")
    np.savez(data / "c.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.zeros(2))
    refused(local(data, "c.npz"), "has images of shape [3, 4, 4] and labels of shape [2]")
    np.savez(data / "e.npz", images=np.uint8(3), labels=np.uint8(3))
    refused(local(data, "e.npz"), "has images of shape [] and labels of shape []")
    np.savez(data / "f.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array([0.5, 1.0]))
    refused(local(data, "f.npz"), "f.npz, row 0: the class is 0.5, neither a whole number nor text")
    (data / "d.parquet").write_bytes(b"PAR1")
    refused(local(data, "d.parquet"), "d.parquet is damaged")
    (data / "train/ant/link.png").symlink_to("/etc/hostname")
    refused(local(data), "a link out of")


def test_a_parquet_file_that_does_not_fit_is_one_line(data: Path) -> None:
    def written(name: str, **columns: object) -> Path:
        parquet.write_table(pyarrow.table(columns), data / name)
        return data / name

    pictures = [encoded(image(n)) for n in range(4 * EACH)]
    labels = [CLASSES[n // EACH] for n in range(4 * EACH)]
    written("a.parquet", picture=pictures, label=labels)
    refused(local(data, "a.parquet"), "a.parquet has no column 'image' (it has picture, label); set images.image_key")
    for name, bad in (("b", None), ("c", [1])):
        rows = [bad, *([[2]] * (4 * EACH - 1) if name == "c" else labels[1:])]
        written(f"{name}.parquet", image=pictures, label=rows)
        refused(local(data, f"{name}.parquet"), f"{name}.parquet, row 0: the class is ")
    written("d.parquet", image=pyarrow.array([], pyarrow.binary()), label=pyarrow.array([], pyarrow.string()))
    refused(local(data, "d.parquet"), "d.parquet has no images")
    written("e.parquet", image=[{"bytes": None, "path": "x.png"}] * 4 * EACH, label=labels)
    refused(local(data, "e.parquet"), "images cannot be read, the first is ")
    whole = written("f.parquet", image=pictures, label=labels)
    damaged = bytearray(whole.read_bytes())
    damaged[200:12_000] = b"\xaa" * 11_800  # in the column of images: the labels can still be read
    whole.write_bytes(bytes(damaged))
    refused(local(data, "f.parquet"), "corpus.train: ")


def test_a_file_that_is_no_image_is_described_without_its_address_and_runs_no_other_program() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"  # Pillow gives it to Ghostscript
    assert tried(b"", SIZE) == "no bytes"
    for data in (b"<html>", postscript):
        assert tried(data, SIZE) == "none of PNG, JPEG, BMP, GIF, TIFF, WEBP, PPM"
    assert "exceeds limit" in str(tried(huge_png(60_000), SIZE))


def huge_png(side: int) -> bytes:
    """Return a file that says it is a PNG of so many pixels a side, of which it has none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + data + struct.pack(">I", 9) + b"IDAT" + bytes(13)


def test_an_animation_is_its_first_frame_and_what_is_transparent_is_not_seen() -> None:
    out = io.BytesIO()
    first, second = (Image.new("RGB", (SIZE, SIZE), color) for color in ("red", "blue"))
    first.save(out, "GIF", save_all=True, append_images=[second])
    clear = Image.new("RGBA", (SIZE, SIZE), (255, 0, 0, 0))
    palette = Image.new("P", (SIZE, SIZE), 0)
    palette.putpalette([255, 0, 0])
    transparent = io.BytesIO()
    palette.save(transparent, "PNG", transparency=0)
    for data in (out.getvalue(), encoded(clear), transparent.getvalue()):
        found = tried(data, SIZE)
        assert isinstance(found, np.ndarray) and np.array_equal(found, np.asarray(first))


def test_names_of_any_letters_are_classes_and_one_line_of_an_error(data: Path) -> None:
    for split in ("train", "dev"):
        (data / split / "ant").rename(data / split / "\u732b\n1")
    for place in range(12):
        (data / f"train/bee/{place:03}.png").write_bytes(b"")
        (data / f"train/bee/{place:03}.png").rename(data / f"train/bee/{place}\n.png")
    with pytest.raises(GrowBenchError, match="12 of 120 images cannot be read"):
        build.build(local(data))
    for place in range(9):
        (data / f"train/bee/{place}\n.png").write_bytes(encoded(image(50_000 + place)))
    made = local(data)
    build.build(made)
    assert image_corpus.load(made.layout.corpus).manifest["classes"] == ["bee", "cat", "dog", "\u732b\n1"]


def test_too_few_images_to_validate_on_are_refused(data: Path) -> None:
    shutil.rmtree(data / "dev")
    folder(data / "dev", first=20_000, each=2)
    refused(local(data), "corpus.valid: 8 images are too few")
