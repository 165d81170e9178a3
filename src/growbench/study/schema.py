"""Check a config's values against the sections. A fault is one line: key, value, what is allowed, nearest match."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from growbench.errors import GrowBenchError, nearest
from growbench.study.sections import Config

KINDS = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "object": "a mapping (key: value)",
    "null": "null",
}
UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
ADAPTER = TypeAdapter(Config)
Node = Mapping[str, Any]


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of a config, as workflow/schemas/config.schema.json holds it."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **ADAPTER.json_schema(schema_generator=_Untitled),
        "title": "GrowBench study",
    }


def validate(values: Mapping[str, Any]) -> Config:
    """Return the checked config. Raises GrowBenchError for the first fault: unknown keys first, missing ones last."""
    _check_finite(values, [])
    try:
        return ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        faults = [Fault(values, details) for details in error.errors(include_url=False)]
    raise GrowBenchError(min(faults, key=Fault.rank).line())


class Fault:
    """One fault that pydantic found. path: the keys and indices that lead to it, without the names of a union's types."""

    def __init__(self, values: Any, details: ErrorDetails) -> None:
        self.kind, self.context = details["type"], details.get("ctx", {})
        self.path: list[Any] = []
        self.value = values
        for word in details["loc"]:
            if _holds(self.value, word):
                self.value = self.value[word]
                self.path.append(word)
        if self.kind == "missing" and isinstance(self.value, Mapping):
            self.path.append(details["loc"][-1])
        elif self.kind == "missing":
            self.kind = "too_short"

    def rank(self) -> tuple[Any, ...]:
        """Return what orders faults: the kind, then the section; the deepest of a section, which says most."""
        kind = 0 if self.kind in UNKNOWN else 2 if self.kind == "missing" else 1
        order = list(schema()["properties"])
        section = order.index(self.path[0]) if self.path and self.path[0] in order else -1
        return kind, section, -len(self.path), self.kind != "repeated"

    def line(self) -> str:
        key = _dotted(self.path)
        if self.kind in UNKNOWN:
            return f"{key}: unknown key; {nearest(str(self.path[-1]), node_at(self.path[:-1]).get('properties', {}))}"
        node = node_at(self.path)
        if self.kind == "missing":
            return f"{key}: missing; give {allowed(node)}"
        if self.kind == "repeated":
            return f"{key}: {self.context['value']} appears twice; give each value once"
        if "enum" in node:
            return f"{key}: unknown value {shown(self.value)}; {nearest(str(self.value), node['enum'])}"
        return f"{key}: {shown(self.value)} is not allowed; use {allowed(node)}"


def _holds(value: Any, word: Any) -> bool:
    """Whether a word of pydantic's path is a key or an index of a value, and not the name of a union's type."""
    if isinstance(value, Mapping):
        return word in value
    return isinstance(value, list | tuple) and isinstance(word, int) and word < len(value)


def node_at(path: Sequence[Any]) -> Node:
    """Return the schema's node of a key: its references resolved, one of several types where only one has such keys."""
    node: Node = schema()
    for word in path:
        options = [resolved(option) for option in resolved(node).get("anyOf", [node])]
        node = next(child for option in options if (child := _child(option, word)) is not None)
    return resolved(node)


def _child(node: Node, word: Any) -> Node | None:
    found = node.get("properties", {}).get(word) or (node.get("items") if isinstance(word, int) else None)
    others = node.get("additionalProperties")
    return found or (others if isinstance(others, Mapping) else None)


def allowed(node: Node) -> str:
    """Return what the schema allows at a node, in words."""
    node = resolved(node)
    if "enum" in node:
        return "one of " + ", ".join(node["enum"])
    if "const" in node:
        return shown(node["const"])
    if "anyOf" in node:
        *others, last = [allowed(option) for option in node["anyOf"]]
        return f"{', '.join(others)} or {last}"
    return _kind(node["type"], node)


def _kind(kind: str, node: Node) -> str:
    """Return what a node of one type allows, in words."""
    if kind in ("integer", "number"):
        return KINDS[kind] + _range(node)
    if kind == "array":
        return f"a list of {_length(node)}, each {allowed(node['items'])}"
    if kind == "string" and "pattern" in node:
        return f"up to {node['maxLength']} lowercase letters, digits, - and _, starting with a letter or digit"
    if kind == "string" and "minLength" in node:
        return "non-empty text"
    return KINDS[kind] + (" with at least one key" if "minProperties" in node else "")


def _range(node: Node) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {node['minimum']} to {node['maximum']}"
    words = {"minimum": "of at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{word} {node[key]}" for key, word in words.items() if key in node]
    return f" {' and '.join(bounds)}" if bounds else ""


def _length(node: Node) -> str:
    low, high = node.get("minItems"), node.get("maxItems")
    if not low:
        return "values"
    values = "value" if low == 1 else "values"
    return f"{low} {values}" if low == high else f"at least {low} {values}"


def resolved(node: Node) -> Node:
    """Return a node with the definition that it refers to; a list of fixed length says what each item is."""
    if "prefixItems" in node:
        return {"items": node["prefixItems"][0], **node}
    return {**schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node} if "$ref" in node else node


def shown(value: Any) -> str:
    """Return a value as YAML writes it, cut to 60 characters."""
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else repr(value)
    text = " ".join(str(text).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _check_finite(value: Any, path: list[str]) -> None:
    """Raise GrowBenchError for nan and inf, options of methods included."""
    if isinstance(value, float) and not math.isfinite(value):
        raise GrowBenchError(f"{_dotted(path)}: {value} is not allowed; use a finite number")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _check_finite(item, [*path, str(key)])


def _dotted(path: Iterable[Any]) -> str:
    return ".".join(map(str, path)) or "config"


if __name__ == "__main__":  # python -m growbench.study.schema >workflow/schemas/config.schema.json
    print(json.dumps(schema(), indent=2))
