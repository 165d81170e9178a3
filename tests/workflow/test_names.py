"""A checkout, its environment and its config under names that a shell or Snakemake could take for something else."""

import json
import shutil
import sysconfig
import venv
from pathlib import Path

import pytest
from support import constructed, workflow
from support.workflow import ROOT

from growbench.records.layout import Layout
from growbench.study import config

NAMES = ["my work", """it's "$HOME" {study}; [a]*\\&ü#%"""]


@pytest.fixture(params=NAMES, ids=["a space", "everything else"])
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy with an environment of its own, which takes its packages from the one that runs the tests."""
    folder = workflow.copy(tmp_path / request.param)
    venv.create(folder / ".venv", symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")})
    Path(packages, "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_figures_and_pages_are_made_whatever_the_folders_are_called(tree: Path) -> None:
    """Snakemake runs both by the interpreter's path, which it does not quote. The config lies in another folder."""
    study = tree.with_name(f"{tree.name} of another") / f"{tree.name}.yaml"
    study.parent.mkdir()
    values = {
        "extends": str(tree / "config/demo.yaml"), "study": "made", "seeds": [0], "attention": False,
        "methods": {"scratch": None, "direct_copy": None}, "budget": {"points": [0.5, 1.0], "total": False},
        "tasks": {"names": list(constructed.TASKS)}, "finetune": {"seeds": [0, 1], "lr": constructed.LR},
    }  # fmt: skip
    study.write_text(json.dumps(values), encoding="utf-8")
    constructed.write(tree, config.load(study), {"scratch": 1.0, "direct_copy": 0.9}, {0: 0.0})
    layout = Layout("made")
    wanted = [layout.figure("savings", "png"), layout.page("savings")]
    words = [*map(str, wanted), "--cores", "1", "--configfile", str(study)]
    rules = ["--allowed-rules", "aggregate", "figures", "pages"]
    done = workflow.snakemake(tree, *words, *rules, python=tree / ".venv/bin/python")
    assert done.returncode == 0, done.stderr
    assert all((tree / path).stat().st_size for path in wanted)


def test_a_folder_that_path_cannot_hold_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = workflow.copy(tmp_path / "a:b")
    done = workflow.snakemake(folder, "-n")
    assert done.returncode and "Traceback" not in done.stderr
    assert f"growbench: {folder}: PATH cannot hold a folder with ':' in its name" in done.stderr.splitlines()[-1]


def test_a_config_file_that_looks_like_an_option(tmp_path: Path) -> None:
    tree = workflow.copy(tmp_path)
    shutil.copyfile(ROOT / "config/demo.yaml", tree / "-n.yaml")
    done = workflow.snakemake(tree, "-n", "-p", "--configfile", "./-n.yaml")
    assert "growbench corpus --config ./-n.yaml --only text" in done.stdout + done.stderr
