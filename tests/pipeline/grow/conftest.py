"""A small BERT to grow."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.checkpoints import saved


@pytest.fixture(autouse=True)
def quiet_logging() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(tmp_path / "source")
