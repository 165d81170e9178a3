"""Datasets of the Hugging Face hub, cached below $HF_HOME, or in the study's folder if that cannot be written."""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from growbench.study.study import Study

log = logging.getLogger(__name__)


def load(study: Study, *names: str | None, **options: Any) -> Any:
    """Return datasets.load_dataset(*names, **options). Raises whatever it raises; see reason()."""
    import datasets

    cache = Path(datasets.config.HF_DATASETS_CACHE)
    if not _writable(cache):
        log.warning("%s cannot be written (see HF_HOME); downloads go to %s", cache, study.layout.hub)
        options["cache_dir"] = str(study.layout.hub)
    return datasets.load_dataset(*names, **options)


def revision(name: str) -> str | None:
    """Return the commit of a dataset of the hub; None for a folder, or if the hub does not answer."""
    from huggingface_hub import HfApi

    if Path(name).exists():
        return None
    try:
        return HfApi().dataset_info(name, timeout=10).sha
    except Exception:
        return None


def digest(rows: Any) -> str:
    """Return the SHA-256 of rows of JSON-able values, in hex: of what is used of a dataset, whichever version it is."""
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def reason(error: Exception) -> str:
    """Return an error of the library as a part of one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
