"""Read a config file into a Study: parsed once, checked once."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from growbench.errors import GrowBenchError
from growbench.study import schema
from growbench.study.consistency import check
from growbench.study.sections import SECTIONS, DataConfig
from growbench.study.study import Study

DATA_VARIABLE = "GROWBENCH_DATA"
ALL = "all"


def load(
    config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, name: str | None = None
) -> Study:
    """Return the study of a YAML file or of its mapping; `overrides` is merged in, section by section.

    Raises GrowBenchError, one line with the file (or `name`), the key, its value, what is allowed and the nearest match.
    """
    values, name = (config, name) if isinstance(config, Mapping) else (read(config), name or str(config))
    try:
        return _study(merged(values, overrides or {}))
    except GrowBenchError as error:
        raise GrowBenchError(f"{name}: {error}" if name else str(error)) from error


def gather(files: Sequence[str | Path], changes: Sequence[str] = ()) -> Study:
    """Return the study of config files, merged in order, with changes such as `optimizer.lr=1e-3` merged in last."""
    values: dict[str, Any] = {}
    for path in files:
        values = merged(values, read(path))
    for text in changes:
        values = merged(values, change(text))
    return load(values, name=" + ".join(map(str, files)))


def change(text: str) -> dict[str, Any]:
    """Return `optimizer.lr=1e-3` as a nested mapping; the value is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not all(words := key.split(".")):
        raise GrowBenchError(f"{text}: not of the form KEY=VALUE; write, for example, optimizer.lr=1e-3")
    try:
        found: Any = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as error:
        raise GrowBenchError(f"{text}: the value is not YAML; quote it") from error
    for word in reversed(words):
        found = {word: found}
    return dict(found)


def read(path: str | Path) -> dict[str, Any]:
    """Return a config file's mapping. Raises GrowBenchError for a missing or unreadable file and for a repeated key."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: {reason}; --config names a study, such as config/demo.yaml") from error
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise GrowBenchError(f"{path}:{where} {' '.join(str(problem).split())}; correct the YAML") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a list of keys and values; config/demo.yaml shows the keys")
    return values


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`; mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _study(values: Mapping[str, Any]) -> Study:
    values = schema.exponents(values)
    schema.validate(values)
    parts: dict[str, Any] = {key: kind(**_tuples(values[key])) for key, kind in SECTIONS.items()}
    folder = os.environ.get(DATA_VARIABLE) or parts["data"].dir
    parts["data"] = DataConfig(dir=Path(folder).expanduser() if folder else None, repeat=parts["data"].repeat)
    options = _chosen(values["methods"])
    study = Study(
        study=values["study"], seeds=tuple(values["seeds"]), attention=values["attention"], methods=options, **parts
    )
    check(study)
    return study


def _chosen(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by method name: `all` stands for every method that grows, `name: false` leaves one out."""
    from growbench import methods

    named = {str(name): options for name, options in given.items() if name != ALL}
    everything = dict.fromkeys(n for n in methods.names() if not methods.load(n).shrinks) if ALL in given else {}
    for name, options in named.items():
        if not (options and options.get("of")):
            methods.load(name)
    return {name: dict(options or {}) for name, options in {**everything, **named}.items() if options is not False}


def _tuples(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; plain YAML takes the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key}: this key stands there twice, give it once", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
