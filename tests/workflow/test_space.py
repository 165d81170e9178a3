"""A checkout, and its environment, under a path with a space."""

import shutil
import sysconfig
import venv
from pathlib import Path

import pytest
from support import workflow
from support.workflow import ROOT

from growbench.records.layout import Layout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy with an environment of its own, which takes its packages from the one that runs the tests."""
    folder = workflow.copy(tmp_path / "my work")
    venv.create(folder / ".venv", symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")})
    Path(packages, "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


def test_figures_and_pages_are_made_under_a_path_with_a_space(tree: Path) -> None:
    """Snakemake runs both by the interpreter's path, which it does not quote."""
    layout = Layout("mini")
    records = layout.root / "records"
    shutil.copytree(ROOT / records, tree / records, copy_function=shutil.copyfile)
    wanted = [layout.figure("savings", "png"), layout.page("savings")]
    words = [*map(str, wanted), "--cores", "1", "--configfile", "config/mini.yaml"]
    rules = ["--allowed-rules", "aggregate", "figures", "pages"]
    done = workflow.snakemake(tree, *words, *rules, python=tree / ".venv/bin/python")
    assert done.returncode == 0, done.stderr
    assert all((tree / path).stat().st_size for path in wanted)
