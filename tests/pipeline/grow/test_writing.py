"""`growbench grow`: one tensor at a time, and a finished directory or none."""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoints import FPI, grow, refusal, request

from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.growth.transfer import transfer
from growbench.pipeline.grow import files, measure, publish, shards
from growbench.pipeline.grow import run as verb
from growbench.pipeline.grow.check import check
from growbench.pipeline.grow.tensors import Checkpoint


@pytest.mark.parametrize("moment", ["transfer", "measure"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    moment: str, error: BaseException, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise error
        yield

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        where = verb if moment == "transfer" else measure
        patch.setattr(where, moment, fail if moment == "transfer" else lambda *_: next(fail()))
        with pytest.raises(GrowBenchError if isinstance(error, OSError) else KeyboardInterrupt):
            grow(source, out, layers=4)
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_tensors_are_read_and_written_one_at_a_time(tmp_path: Path, source: Path) -> None:
    job = check(request(source, tmp_path / "out", hidden=64, layers=4, measure=False))
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    class Recording(Checkpoint):
        def __getitem__(self, name: str) -> torch.Tensor:
            nonlocal most
            tensor = super().__getitem__(name).clone()
            alive.append(weakref.ref(tensor))
            most = max(most, sum(ref() is not None for ref in alive))
            return tensor

    recording = Recording(source, job.model)
    assert not alive
    roles = [job.family.roles(config, job.model_class) for config in (job.config, job.grown_config)]
    made: list[weakref.ref[torch.Tensor]] = []
    held = 0

    def watched() -> Iterator[tuple[str, torch.Tensor]]:
        nonlocal held
        for name, tensor in transfer(job.operator, recording, *roles):
            made.append(weakref.ref(tensor))
            held = max(held, sum(ref() is not None for ref in made))
            yield name, tensor
            del tensor

    shards.write(tmp_path, job.layouts, watched())
    assert most == 1 and held <= 2 and len(made) == len(job.layouts[files.WEIGHTS])


def laid(tensors: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> dict[str, shards.Slot]:
    return {name: shards.Slot(tuple(tensor.shape), dtype) for name, tensor in tensors.items()}


def test_the_writer_refuses_tensors_that_are_not_in_its_layout(tmp_path: Path) -> None:
    layout = {"file": laid({"a": torch.ones(2), "b": torch.ones(3)})}
    whole = [("a", torch.ones(2)), ("b", torch.ones(3)), ("c", torch.ones(1))]
    for tensors in (whole[:1], whole[1:], whole, [("a", torch.ones(3))]):
        with pytest.raises(RuntimeError, match=str(tmp_path)):
            shards.write(tmp_path, layout, tensors)
    written = {"a": torch.tensor(1.5), "b": torch.arange(6.0).reshape(2, 3).T}
    for dtype in files.STORED.values():
        size = shards.write(tmp_path, {"file": laid(written, dtype)}, written.items())
        assert size == (tmp_path / "file").stat().st_size
        assert all(torch.equal(t, written[n].to(dtype)) for n, t in load_file(tmp_path / "file").items())


def test_files_hold_at_most_their_size_and_the_index_names_every_tensor(tmp_path: Path) -> None:
    sizes = [10, 20, 5, 100, 7, 3, 40]  # of 4 bytes; the fourth is larger than a file
    tensors = {f"t{i}": torch.full((n,), float(i)) for i, n in enumerate(sizes)}
    parts = shards.divided(laid(tensors), 160)
    held = {name: sum(slot.bytes for slot in layout.values()) for name, layout in parts.items()}
    assert list(held.values()) == [140, 400, 40, 160] and list(held)[1] == "model-00002-of-00004.safetensors"
    written = shards.write(tmp_path, parts, tensors.items())
    assert written == sum((tmp_path / name).stat().st_size for name in parts)
    index = json.loads((tmp_path / files.INDEX).read_text())
    assert index["metadata"] == {"total_parameters": sum(sizes), "total_size": 4 * sum(sizes)}
    read = {key: load_file(tmp_path / name)[key] for key, name in index["weight_map"].items()}
    assert read.keys() == tensors.keys() and all(torch.equal(read[key], tensors[key]) for key in tensors)
    assert list(shards.divided(laid(tensors), 740)) == [files.WEIGHTS]


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("1.5 mb", 1_500_000), ("20KB", 20_000), ("7", 7)])
def test_sizes_of_files_are_read(text: str, size: int) -> None:
    assert shards.size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "0", "5 GiB", "-1GB", "1e9"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(GrowBenchError, match="--shard-size"):
        shards.size_of(text)


@pytest.mark.parametrize("half", ["nothing", "an empty folder", "files", "everything but the name"])
def test_what_a_killed_growth_leaves_is_removed_by_the_next(half: str, tmp_path: Path, source: Path) -> None:
    out, left = tmp_path / "out", tmp_path / ".out.growing"
    left.mkdir()
    (tmp_path / ".out.lock").touch()
    if half != "nothing":
        (left / "model").mkdir()
    if half == "files":
        (left / "model" / files.WEIGHTS).write_bytes(b"half")
    if half == "everything but the name":
        grow(source, left / "model", layers=4, measure=False)
    out.mkdir()
    grow(source, out, layers=4, measure=False)
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"} and (out / files.WEIGHTS).is_file()


def test_what_a_growth_leaves_that_was_killed_after_it_was_published_is_removed(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    grow(source, out, layers=4, measure=False)
    (tmp_path / ".out.growing").mkdir()
    (tmp_path / ".out.lock").touch()
    before = (out / files.WEIGHTS).read_bytes()
    assert cli.main(["grow", str(source), str(out), "--method", FPI, "--layers", "4"]) == 2
    assert "already exists; remove it" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}
    assert (out / files.WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("name", [".out.growing/mine", ".out.growing/model"])
def test_a_folder_of_that_name_that_no_growth_left_is_never_removed(
    name: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text("mine")
    assert "is in the way" in refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert path.read_text() == "mine"


def test_a_source_where_the_target_is_written_is_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".out.growing").mkdir()
    inside = source.rename(tmp_path / ".out.growing" / "model")
    assert "contains the source, but is also where" in refusal(capsys, inside, tmp_path / "out", "--layers", "4")


def test_a_directory_that_another_growth_finished_meanwhile_is_not_replaced(tmp_path: Path, source: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").touch()
    with pytest.raises(GrowBenchError, match="already exists"), publish.published(tmp_path / "out"):
        raise AssertionError
    assert {path.name for path in tmp_path.iterdir()} == {"source", "out"}


def test_the_current_directory_is_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert "is or contains the current directory" in refusal(capsys, source, Path("."), "--layers", "4")


def test_the_target_directory_is_checked(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    assert "already exists; remove it" in refusal(capsys, source, full, "--layers", "4")
    for inside in (source, source / "out"):
        assert "is inside the source directory" in refusal(capsys, source, inside, "--layers", "4")
    assert "no such directory" in refusal(capsys, tmp_path / "nowhere", tmp_path / "out", "--layers", "4")


def test_a_file_in_place_of_the_parent_directory_is_refused_in_one_line(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "Not a directory" in refusal(capsys, source, tmp_path / "file" / "out", "--layers", "4")
