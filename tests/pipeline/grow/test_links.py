"""`growbench grow`: symbolic links are not followed out of the source, and nothing is written through one."""

from pathlib import Path

import pytest
from support.checkpoints import grow, refusal

from growbench.errors import GrowBenchError
from growbench.pipeline.grow import files


@pytest.mark.parametrize(
    "name", ["LICENSE_x", "config.json", files.WEIGHTS, "tokenizer.json", "generation_config.json"]
)
def test_a_link_out_of_the_source_is_refused(
    name: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    if (source / name).exists():
        (source / name).rename(secret)
    else:
        secret.write_text("secret")
    (source / name).symlink_to(secret)
    line = refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert f"{name}: is a symbolic link to {secret}, outside this directory; replace it by a copy" in line


def test_links_inside_the_source_and_to_it_are_followed(tmp_path: Path, source: Path) -> None:
    (source / files.WEIGHTS).rename(source / "weights")
    (source / files.WEIGHTS).symlink_to("weights")
    (source / "README.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "named").symlink_to(source)
    grow(tmp_path / "named", tmp_path / "out", layers=4)
    assert not (tmp_path / "out" / files.WEIGHTS).is_symlink()


def test_a_hub_cache_is_read(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "models--someone--bert"
    snapshot = home / "snapshots" / "0a1b"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for path in source.iterdir():
        path.rename(home / "blobs" / path.name)
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    grow(snapshot, tmp_path / "out", layers=4)
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())
    (snapshot / "LICENSE").symlink_to(home / "refs")
    assert "LICENSE: is a symbolic link" in refusal(capsys, snapshot, tmp_path / "other", "--layers", "4")


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_in_the_target_s_place_is_refused(
    target: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(target)
    assert "out: is a symbolic link; name the directory" in refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_links_beside_the_target_are_not_written_through(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "elsewhere/model").mkdir(parents=True)
    growing, lock = tmp_path / ".out.growing", tmp_path / ".out.lock"
    growing.symlink_to("elsewhere")
    assert "is in the way" in refusal(capsys, source, tmp_path / "out", "--layers", "4")
    growing.unlink()
    lock.symlink_to("victim")
    with pytest.raises(GrowBenchError, match=r"\.out\.lock: Too many levels of symbolic links"):
        grow(source, tmp_path / "out", layers=4)
    assert (tmp_path / "victim").read_text() == "mine" and (tmp_path / "elsewhere/model").is_dir()
