"""What a corpus was made from, so that it is not tokenized again when nothing of that has changed.

Beside its manifest, a corpus holds what it was made from together with a copy of the manifest. Snakemake removes the
manifest before it runs the job again; a corpus that is still the right one gets the same manifest back.
"""

from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus, held_out
from growbench.records import identity, manifest
from growbench.study.study import Study

FILE = "made_from.json"
PACKAGES = ("tokenizers", "transformers", "numpy")


def made_from(study: Study, note: dict[str, Any], named: str | None) -> dict[str, Any] | None:
    """Return what a corpus depends on; None if that cannot be told, since a dataset of the hub may change.

    note: the description of the text source, with the hashes of its files. named: digest of a pretrained tokenizer.
    """
    return None if note["kind"] == "hub" else inputs(study, note, named)


def inputs(study: Study, note: dict[str, Any], named: str | None) -> dict[str, Any]:
    """Return what a corpus depends on, as far as it can be told."""
    objective = {key: getattr(study.objective, key) for key in ("kind", "mask_rate", "length")}
    versions = {name: metadata.version(name) for name in PACKAGES}
    own = {k: v for k, v in asdict(study.corpus).items() if not (study.checkpoint and k == "tokenizer_name")}
    whole = {"corpus": own, "objective": objective, "source": note, "tokenizer": named}
    return {**whole, held_out.KEY: held_out.VERSION, "versions": versions}


def write(folder: Path, source: dict[str, Any] | None, values: dict[str, Any]) -> None:
    """Write what a corpus was made from. values: of its manifest."""
    if source is not None:
        manifest.write(folder / FILE, {"version": corpus.VERSION, "made_from": source, "manifest": values})


def unchanged(folder: Path, source: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the manifest of the corpus in a folder if it was made from the same and is as it was written, else None."""
    if source is None or not (folder / FILE).is_file():
        return None
    try:
        found = manifest.read(folder / FILE, corpus.VERSION, "")
        values: dict[str, Any] = found["manifest"]
        if identity.digest(found["made_from"]) != identity.digest(source):
            return None
        corpus.check(folder, values)
        held_out.check(folder, values)
    except (GrowBenchError, OSError):
        return None
    return values
