"""Every test runs without a network, without a folder of real data, and on one thread."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", MPLBACKEND="Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
QUICK = ("bert", "gemma2", "gpt2", "llama", "modernbert", "vit")  # between them, what any family does


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run once per family as slow, except for a few families."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("family", QUICK[0]) not in QUICK:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide GROWBENCH_DATA, so that it changes no test."""
    monkeypatch.delenv("GROWBENCH_DATA", raising=False)
    yield


@pytest.fixture(autouse=True)
def quiet_logging() -> Iterator[None]:
    """Give the root logger back as it was; a verb sets it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
