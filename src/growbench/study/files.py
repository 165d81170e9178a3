"""Read configs: YAML 1.2, files that extend one another, and changes such as `optimizer.lr=1e-3`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from growbench.errors import GrowBenchError

EXTENDS = "extends"
LADDER = "ladder"  # the key that makes a file a list of studies (study/ladder.py)
REPLACED = ("methods",)  # a file's methods replace those of the file that it extends: one file lists them all
CHANGE = "--set"
MISSING = object()


@dataclass(frozen=True, slots=True)
class Layer:
    """Values that a study is merged from.

    name: of the file, or `--set`.
    values: a nested mapping.
    extends: whether the layer before it is the file that this one extends.
    """

    name: str
    values: Mapping[str, Any]
    extends: bool = False


def parse(text: str) -> Any:
    """Return the value of a YAML text. Raises YAMLError, also for a key that appears twice in one section."""
    return YAML(typ="safe", pure=True).load(text)


def line(key: str, value: Any) -> str:
    """Return `key: value` as YAML on one line; tuples are lists, folders are text."""
    text = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.width = True, 10**6
    writer.dump({key: json.loads(json.dumps(value, default=str))}, text)
    return text.getvalue().strip()[1:-1]


def change(text: str, example: str = "optimizer.lr=1e-3") -> dict[str, Any]:
    """Return `optimizer.lr=1e-3` as a nested mapping; the value is YAML. Raises GrowBenchError, which shows the example."""
    key, equals, value = text.partition("=")
    if not equals or not all(words := key.split(".")):
        raise GrowBenchError(f"{CHANGE} {text}: not of the form KEY=VALUE; write, for example, {CHANGE} {example}")
    try:
        found: Any = parse(value)
    except YAMLError as error:
        raise GrowBenchError(f"{CHANGE} {text}:{_problem(error)}") from error
    for word in reversed(words):
        found = {word: found}
    return dict(found)


def read(path: str | Path) -> dict[str, Any]:
    """Return a config file's own mapping. Raises GrowBenchError for a file that is missing, unreadable or not YAML."""
    try:
        values = parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: {reason}; give the path of a config file, such as config/demo.yaml") from error
    except YAMLError as error:
        raise GrowBenchError(f"{path}:{_problem(error)}") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a mapping of keys to values; config/demo.yaml shows the keys")
    return values


def chain(path: str | Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the files that a config consists of with their own values: the one that all others extend comes first.

    Raises GrowBenchError for a file that is missing, extends itself, has no `study` of its own, or is a list of studies.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    while True:
        if any(Path(path).resolve() == Path(other).resolve() for other, _ in found):
            raise GrowBenchError(f"{found[-1][0]}: {EXTENDS}: {path} extends itself; remove one `{EXTENDS}`")
        values = _read_extended(path, found)
        if LADDER in values:
            raise GrowBenchError(f"{path}: a list of studies; give one of them{_listed(path, values.get('studies'))}")
        found.insert(0, (str(path), values))
        if (base := values.pop(EXTENDS, None)) is None:
            return found
        if not isinstance(base, str) or not base:
            raise GrowBenchError(f"{path}: {EXTENDS}: {base!r} is not allowed; use the path of a config file")
        if "study" not in values:
            raise GrowBenchError(
                f"{path}: study: missing; give it a name, since a file that extends another is a study of its own"
            )
        path = Path(path).parent / base


def _listed(path: str | Path, names: Any) -> str:
    """Return the end of a line: the files that a list of studies names, as far as it is one."""
    return f": {', '.join(str(Path(path).parent / str(name)) for name in names)}" if isinstance(names, list) else ""


def _read_extended(path: str | Path, above: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    try:
        return read(path)
    except GrowBenchError as error:
        raise (GrowBenchError(f"{above[-1][0]}: {EXTENDS}: {error}") if above else error) from error


def layers(files: Sequence[str | Path], changes: Sequence[str] = ()) -> list[Layer]:
    """Return what a study is merged from, in order: each file after the ones that it extends, then the changes."""
    found = [
        Layer(name, values, extends=number > 0) for path in files for number, (name, values) in enumerate(chain(path))
    ]
    return [*found, *(Layer(CHANGE, change(text)) for text in changes)]


def combined(parts: Sequence[Layer]) -> dict[str, Any]:
    """Return the values of layers, merged in order."""
    values: dict[str, Any] = {}
    for layer in parts:
        values = _extended(values, layer.values) if layer.extends else merged(values, layer.values)
    return values


def _extended(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with a file's own keys: each replaces the key of its section, and `methods` replaces all methods."""
    sections = {key: value for key, value in own.items() if isinstance(value, Mapping) and key not in REPLACED}
    old = {key: base[key] if isinstance(base.get(key), Mapping) else {} for key in sections}
    return {**base, **own, **{key: {**old[key], **value} for key, value in sections.items()}}


def origin(parts: Sequence[Layer], path: Sequence[str]) -> str:
    """Return the name of the layer that set the value at a path of keys, or the closest one above it; "" if none did."""
    replacing = [number for number, layer in enumerate(parts) if layer.extends and path[0] in layer.values]
    if path[0] in REPLACED and replacing:
        parts = parts[replacing[-1] :]
    for depth in range(len(path), 0, -1):
        for layer in reversed(parts):
            value: Any = layer.values
            for key in path[:depth]:
                value = value.get(key, MISSING) if isinstance(value, Mapping) else MISSING
            if value is not MISSING:
                return layer.name
    return ""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`; mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _problem(error: YAMLError) -> str:
    mark, problem = None, "not YAML"
    if isinstance(error, MarkedYAMLError):
        mark, problem = error.problem_mark, " ".join(str(error.problem).split())
    where = f" line {mark.line + 1}:" if mark is not None else ""
    if twice := re.match(r'found duplicate key "(.*?)" with value', problem):
        return f"{where} {twice[1]} appears twice; give it once"
    return f"{where} {problem}; fix the YAML, or quote the value"
