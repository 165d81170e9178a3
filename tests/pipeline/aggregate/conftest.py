"""Studies whose records are on disk."""

from pathlib import Path

import pytest
from support import constructed
from support.aggregated import COSTS, NATS, causal

from growbench.study.study import Study


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, Path]:
    """A study of five methods with three equal seeds, its records written; the working folder is its root."""
    monkeypatch.chdir(tmp_path)
    study = constructed.study(dict.fromkeys(COSTS))
    return study, constructed.write(tmp_path, study, COSTS)


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, Path]:
    """The study with zero-shot records; a seed adds a tenth of its number to the nats of a word."""
    monkeypatch.chdir(tmp_path)
    study = causal(["WikiText-2", "LAMBADA"])
    records = constructed.write(tmp_path, study, COSTS)
    for method, nats in NATS.items():
        for seed in study.seeds:
            values = constructed.zeroshot(study, method, seed, nats + 0.1 * seed)
            constructed.dump(records / "zeroshot" / f"{method}-s{seed}-p100.json", values)
    return study, records
