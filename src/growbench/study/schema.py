"""The config's schema, and its errors as one line: key, value, what is allowed, nearest match."""

import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from growbench.errors import EXPONENT, GrowBenchError, nearest

KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "object": "a section of keys",
    "null": "null",
}


@cache
def schema() -> dict[str, Any]:
    """Return the schema: the checkout's own file, or the copy inside an installed package."""
    here = Path(__file__).resolve()
    for path in (here.parents[3] / "workflow/schemas/config.schema.yaml", here.with_name("config.schema.yaml")):
        if path.is_file():
            loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            return loaded
    raise GrowBenchError(f"{path}: no such file; install the package again")


def task_names(source: str) -> list[str]:
    """Return the task names that `tasks.source` offers."""
    names: list[str] = schema()["$defs"]["task_names"][source]
    return names


def validate(config: Mapping[str, Any]) -> None:
    """Raise GrowBenchError for the first fault, unknown keys before missing ones, else in the schema's order."""
    _finite(config, [])
    errors = list(Draft202012Validator(schema()).iter_errors(dict(config)))
    if errors:
        raise GrowBenchError(describe(min(errors, key=_rank)))


def exponents(value: Any, node: Mapping[str, Any] | None = None) -> Any:
    """Turn texts such as `1e-3` into numbers where the schema wants a number: YAML 1.1 reads them as text.

    The options of methods, which the schema does not know, are left as they are: each of them does it itself.
    """
    node = resolved(schema() if node is None else node)
    if isinstance(value, Mapping):
        properties, others = node.get("properties", {}), node.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {key: exponents(item, properties.get(key, others)) for key, item in value.items()}
    if isinstance(value, list):
        return [exponents(item, node.get("items", {})) for item in value]
    if isinstance(value, str) and "number" in kinds(node) and EXPONENT.fullmatch(value):
        return float(value)
    return value


def _finite(value: Any, path: list[str]) -> None:
    """Raise for nan and inf, which no bound of a schema keeps out."""
    if isinstance(value, float) and not math.isfinite(value):
        raise GrowBenchError(f"{_dotted(path)}: {value} is not allowed; use a finite number")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _finite(item, [*path, str(key)])


def describe(error: ValidationError) -> str:
    """Return one line for one fault."""
    path, node = [str(part) for part in error.absolute_path], error.schema
    key = _dotted(path)
    if error.validator == "additionalProperties":
        word = next(str(k) for k in error.instance if k not in node["properties"])
        return f"{_dotted([*path, word])}: unknown key; {nearest(word, node['properties'])}"
    if error.validator == "required":
        word = next(k for k in node["required"] if k not in error.instance)
        wanted = resolved(node["properties"][word])
        return f"{_dotted([*path, word])}: missing; give {allowed(wanted)}"
    if error.validator == "uniqueItems":
        twice = next(v for i, v in enumerate(error.instance) if v in error.instance[:i])
        return f"{key}: {twice!r} stands there twice; give each value once"
    if error.validator == "enum":
        return f"{key}: {shown(error.instance)} is not allowed; {nearest(str(error.instance), node['enum'])}"
    return f"{key}: {shown(error.instance)} is not allowed; use {allowed(node)}"


def allowed(node: Mapping[str, Any]) -> str:
    """Return what the schema allows at a node, in words."""
    node = resolved(node)
    if "enum" in node:
        return "one of " + ", ".join(node["enum"])
    if "const" in node:
        return shown(node["const"])
    if "anyOf" in node:
        return " or ".join(allowed(option) for option in node["anyOf"])
    return " or ".join(_kind(kind, node) for kind in kinds(node))


def _kind(kind: str, node: Mapping[str, Any]) -> str:
    """What a node allows of one kind of value, in words."""
    if kind in ("integer", "number"):
        return KINDS[kind] + _range(node)
    if kind == "array":
        return f"a list{_length(node)} ({allowed(node['items'])} each)"
    if kind == "string" and "pattern" in node:
        return f"at most {node['maxLength']} lower-case letters, digits, _ and -, not first - or _"
    few = {"string": " that is not empty" if "minLength" in node else ""}
    few["object"] = " with at least one" if "minProperties" in node else ""
    return KINDS[kind] + few.get(kind, "")


def _range(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    lower = f"at least {low}" if low is not None else f"above {above}" if above is not None else ""
    upper = f"at most {high}" if high is not None else f"below {below}" if below is not None else ""
    return (" " + " and ".join(filter(None, (lower, upper)))).rstrip()


def _length(node: Mapping[str, Any]) -> str:
    low, high = node.get("minItems"), node.get("maxItems")
    return f" of {low}" if low is not None and low == high else f" of at least {low}" if low else ""


def kinds(node: Mapping[str, Any]) -> list[str]:
    kinds = node.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in node:
        return {**schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node}
    return node


def _rank(error: ValidationError) -> tuple[Any, ...]:
    order = list(schema()["properties"])
    section = str(error.absolute_path[0]) if error.absolute_path else ""
    first = ("additionalProperties", "type", "required").index
    kind = first(error.validator) if error.validator in ("additionalProperties", "type", "required") else 1
    return kind, order.index(section) if section in order else -1, str(list(error.absolute_path))


def shown(value: Any) -> str:
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else repr(value)
    text = " ".join(str(text).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _dotted(path: Iterable[str]) -> str:
    return ".".join(path) or "config"
