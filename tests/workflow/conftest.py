"""What the tests of the workflow share."""

from pathlib import Path

import pytest
from support import constructed, drawn_study, workflow

from growbench.pipeline.aggregate import run as aggregate


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the workflow needs, in which nothing has been built."""
    return workflow.copy(tmp_path)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a study with a crossing, one that is not reached and one below at its first point."""
    folder = tmp_path_factory.mktemp("figures")
    study = drawn_study.study(folder)
    records = constructed.write(folder, study, drawn_study.COSTS, {0: 0.0, 1: 0.02, 2: -0.015})
    drawn_study.grow(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drawn_study.score(study, records)
    constructed.dump(records / "attention" / "s0.json", constructed.attention(study, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return aggregate.run(study).resolve()
