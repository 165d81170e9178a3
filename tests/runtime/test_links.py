"""Nothing is written through a symbolic link below the first folder of a relative path, such as results/."""

from collections.abc import Callable
from pathlib import Path

import pytest

from growbench.errors import GrowBenchError
from growbench.runtime import durable, lock


def in_folder(place: Path) -> None:
    with durable.folder(place / "state") as made:
        (made / "a").write_text("new")


def in_lock(place: Path) -> None:
    with lock.held(place / ".lock"):
        pass


WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda place: durable.write_text(place / "a.json", "new"),
    "folder": in_folder,
    "lock": in_lock,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("below", ["results/tiny", "results/tiny/records"])
def test_a_link_below_results_is_refused(kind: str, below: str, elsewhere: Path) -> None:
    Path(below).parent.mkdir(parents=True)
    Path(below).symlink_to(elsewhere)
    with pytest.raises(GrowBenchError, match=f"{below}: is a symbolic link, and nothing is written through links"):
        WRITERS[kind](Path("results/tiny/records"))
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize("kind", WRITERS)
def test_results_itself_may_be_a_link(kind: str, elsewhere: Path) -> None:
    Path("results").symlink_to(elsewhere)
    WRITERS[kind](Path("results/tiny/records"))
    WRITERS[kind](elsewhere / "tiny" / "named")
    assert (elsewhere / "tiny" / "records").is_dir()


def test_links_in_the_place_of_temporary_files_are_not_followed(elsewhere: Path) -> None:
    victim = elsewhere / "victim"
    victim.write_text("mine")
    Path("results").mkdir()
    Path("results/.a.json.tmp").symlink_to(victim)
    with pytest.raises(GrowBenchError, match=r"results/a\.json: Too many levels of symbolic links"):
        durable.write_text(Path("results/a.json"), "new")
    Path("results/state.tmp").symlink_to(elsewhere)
    with pytest.raises(GrowBenchError, match="results/state: File exists"):
        in_folder(Path("results"))
    assert {path.name for path in elsewhere.iterdir()} == {"victim"} and victim.read_text() == "mine"


def test_a_link_in_the_place_of_a_result_is_replaced(elsewhere: Path) -> None:
    victim = elsewhere / "victim"
    victim.write_text("mine")
    Path("a.json").symlink_to(victim)
    durable.write_text(Path("a.json"), "new")
    assert victim.read_text() == "mine" and not Path("a.json").is_symlink()
