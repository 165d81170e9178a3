"""What the tests of the workflow share."""

import shutil
from pathlib import Path

import pytest
from support.workflow import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the workflow needs, in which nothing has been built."""
    for name in ("workflow", "config", "slurm", "src", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    return tmp_path
