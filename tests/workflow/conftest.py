"""What the tests of the workflow share."""

from pathlib import Path

import pytest
from support import workflow


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the workflow needs, in which nothing has been built."""
    return workflow.copy(tmp_path)
