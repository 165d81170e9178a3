"""A small BERT to grow."""

from pathlib import Path

import pytest
from support.checkpoints import saved


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(tmp_path / "source")
