"""Read config files into a Study: parsed once, checked once."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from growbench import methods
from growbench.errors import GrowBenchError, shown
from growbench.study import checkpoint, files, method_check, per_point, schema
from growbench.study.checkpoint import Checkpoint
from growbench.study.consistency import check, check_sizes
from growbench.study.study import Study

DATA_VARIABLE = "GROWBENCH_DATA"
ALL = "all"
TAKEN = {  # what a checkpoint sets
    *(("source", key) for key in ("layers", "hidden", "heads", "ffn", "points")),
    *(("corpus", key) for key in ("tokenizer", "tokenizer_name", "vocab")),
    ("target", "family"),
}


def load(
    config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, name: str | None = None
) -> Study:
    """Return the study of a YAML file or of its mapping; `overrides` is merged in, section by section.

    Raises GrowBenchError, one line with the file (or `name`), the key, its value, what is allowed and the nearest match.
    """
    if not isinstance(config, Mapping):
        config, name = files.combined(files.layers([config])), name or str(config)
    try:
        return _study(files.merged(config, overrides or {}))
    except GrowBenchError as error:
        raise GrowBenchError(shown(f"{name}: {error}" if name else str(error))) from error


def gather(paths: Sequence[str | Path], changes: Sequence[str] = ()) -> Study:
    """Return the study of config files, merged in order, with changes such as `optimizer.lr=1e-3` merged in last."""
    names = [*map(str, paths), *(["command line"] if changes else [])]
    return load(files.combined(files.layers(paths, changes)), name=" + ".join(names))


def files_of(paths: Sequence[str | Path]) -> list[str]:
    """Return the config files and those that they extend."""
    return [layer.name for layer in files.layers(paths)]


def printed(paths: Sequence[str | Path], changes: Sequence[str] = ()) -> str:
    """Return the resolved study as YAML. A comment behind each value names what set it: a file, --set or GROWBENCH_DATA."""
    study, layers = gather(paths, changes), files.layers(paths, changes)
    rows = list(_rows(study))
    width = min(72, max(len(text) for _, text in rows))
    lines = (f"{text:<{width}}  # {shown(_origin(study, layers, path))}" if path else text for path, text in rows)
    return "".join(f"{line}\n" for line in lines)


def _rows(study: Study) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each value's keys and its line; the head of a section has no keys."""
    for name, value in asdict(study).items():
        if name == "left_out":
            continue
        if not isinstance(value, Mapping):
            yield (name,), files.line(name, value)
            continue
        yield (), f"{name}:"
        for key, item in value.items():
            yield (name, key), f"  {files.line(key, item)}"


def _origin(study: Study, layers: Sequence[files.Layer], path: tuple[str, ...]) -> str:
    if path == ("data", "dir") and os.environ.get(DATA_VARIABLE):
        return DATA_VARIABLE
    if path in TAKEN and study.checkpoint:
        return checkpoint.KEY
    return files.origin(layers, path) or files.origin(layers, ("methods", ALL))


def _study(values: Mapping[str, Any]) -> Study:
    config = schema.validate(values)
    sections = {field.name: getattr(config, field.name) for field in fields(config)}
    if folder := os.environ.get(DATA_VARIABLE):
        sections["data"] = replace(config.data, dir=Path(folder).expanduser())
    study = Study(**{**taken(sections, checkpoint.of(config)), "methods": {}})
    check_sizes(study, shrinks=any(map(_shrinks, config.methods.items())))
    chosen, left_out = _chosen(study, config.methods)
    study = replace(study, methods=chosen, left_out=left_out)
    check(study)
    method_check.check_names(study)
    if study.budget.per_point:
        study = per_point.expanded(study)
    method_check.check(study)
    return study


def taken(sections: dict[str, Any], found: Checkpoint | None) -> dict[str, Any]:
    """Return a config's sections with what a checkpoint sets: the source's sizes, the family, the tokenizer, the vocabulary."""
    if found is None:
        return sections
    spec, of = found.spec, ("layers", "hidden", "heads", "ffn")
    return {
        **sections,
        "source": replace(sections["source"], **{key: getattr(spec, key) for key in of}, points=(1.0,)),
        "target": replace(sections["target"], family=spec.family),
        "corpus": replace(
            sections["corpus"], tokenizer="pretrained", tokenizer_name=str(found.folder), vocab=spec.vocab
        ),
    }


def _shrinks(named: tuple[str, Any]) -> bool:
    """Return whether a method of a config, with its options, makes a smaller model of the source."""
    name, options = named
    of = (isinstance(options, dict) and options.get("of")) or name
    return options is not False and of in methods.names() and methods.load(of).shrinks


def _chosen(study: Study, given: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return options by method name, and why `all` leaves methods out.

    `all` stands for every method that grows and can make this study's target; `name: false` leaves one out.
    """
    named = {name: options for name, options in given.items() if name != ALL}
    for name, options in named.items():
        if options is False:
            methods.require(name)
        elif not (options and options.get("of")):
            methods.load(name)
    wanted = (
        [name for name in methods.names() if named.get(name) is not False] if given.get(ALL, False) is not False else []
    )
    growing = [name for name in wanted if not methods.load(name).shrinks]
    reasons = {name: study.unable(name) for name in growing if name not in named}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    everything = {**dict.fromkeys(name for name in growing if name not in left_out), **named}
    return {name: dict(options or {}) for name, options in everything.items() if options is not False}, left_out
