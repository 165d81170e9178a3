"""What an evaluation of a finished point was made from. Its record says so, and a change is reported."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus
from growbench.records import finished, identity
from growbench.records.identity import Identity
from growbench.records.layout import Layout
from growbench.runtime import durable
from growbench.train.device import Compute

log = logging.getLogger(__name__)


def origin(layout: Layout, point: Path, compute: Compute) -> Identity:
    """Return what every evaluation of a finished point is made from: the model, the corpus with its tokenizer, the precision.

    A restored point stands for the record's model; `restored` then says how much higher its loss is (nats).

    Raises GrowBenchError if the tokenizer is not the one that the corpus was made with.
    """
    values = corpus.read_manifest(layout.corpus)
    corpus.check_tokenizer(layout.corpus, values)
    model, off = finished.represented(point)
    deviation = {} if off is None else {"restored": off}
    return identity.parts(model=model, corpus=corpus.digest(values), precision=compute.precision, **deviation)


def unchanged(path: Path, made_from: Identity, values: Mapping[str, Any]) -> bool:
    """Return whether a record was made from this and has these values already; if it was made from something else, say so."""
    if not path.exists():
        return False
    try:
        found = durable.read_json(path)
    except GrowBenchError:
        return False
    if not isinstance(found, dict):
        return False
    if changed := identity.changes(found.get("made_from"), made_from):
        log.info("%s: %s; made again", path, changed)
        return False
    return all(found.get(key) == value for key, value in identity.parts(**values).items())
