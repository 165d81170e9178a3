"""Malformed configs, generated from the schema: each is one line with its key, its value and what is allowed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from growbench import families
from growbench.errors import GrowBenchError
from growbench.study import config, files, schema

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "integer": 7,
    "number": 0.5,
    "boolean": True,
    "string": "word",
    "array": [[]],
    "object": {"a": 1},
    "null": None,
}
SAMPLES = {  # keys of sections that the schema leaves open
    ("finetune", "tasks"): ("finetune", "tasks", "topic"),
}


LANGUAGE = [family.name for family in families.loaded() if family.objective == "clm"]
CAUSAL = {"objective": {"kind": "clm"}, "methods": {"compoundgrow": {"length": "cut"}}}
CONTRADICTIONS: list[
    tuple[str, dict[str, Any], str]
] = [  # key, values that contradict one another, what to do about it
    ("objective.kind: clm", {"objective": {"kind": "clm"}}, f"use {', '.join(LANGUAGE)}"),
    ("source.heads: 3", {"source": {"heads": 3}}, "nearest: 2"),
    ("target.heads: 20", {**CAUSAL, "target": {"family": "llama", "hidden": 60, "heads": 20}}, "an even head size"),
    ("target.hidden: 16", {"target": {"hidden": 16}}, "at least 32"),
    ("budget.points: [1.0, 0.5]", {"budget": {"points": [1.0, 0.5]}}, "use increasing shares"),
    ("optimizer.warmup: 0.5", {"optimizer": {"warmup": {"share": 0.5}}}, "use less than"),
    ("corpus.train: null", {"corpus": {"source": "local"}}, "name the files"),
    ("corpus.train: 'a.txt'", {"corpus": {"train": "a.txt"}}, "use null, or set corpus.source to local or hub"),
    ("corpus.valid: 'a.txt'", {"corpus": {"valid": "a.txt"}}, "use null, or set corpus.source to local or hub"),
    ("corpus.max_tokens: null", {"corpus": {"max_tokens": None}}, "give a number"),
    ("corpus.tokenizer: word", {"corpus": {"source": "hub", "train": "x"}}, "use wordpiece, bpe or pretrained"),
    ("corpus.tokenizer_name: null", {"corpus": {"tokenizer": "pretrained"}}, "name a folder"),
    ("corpus.tokenizer_name: 'gpt2'", {"corpus": {"tokenizer_name": "gpt2"}}, "set corpus.tokenizer to pretrained"),
    ("data.repeat: false", {"corpus": {"max_tokens": 9000}}, "or data.repeat: true"),
    ("tasks.names: 'MNLI'", {"tasks": {"names": ["MNLI"]}}, "allowed: acceptability"),
    ("tasks.source: toyglue", {"corpus": {"source": "local", "train": "a", "tokenizer": "bpe"}}, "use local or hub"),
    ("finetune.points: 0.7", {"finetune": {"points": [0.7]}}, "nearest: 0.8"),
    ("finetune.lr: 0.002", {"finetune": {"protocol": "grid", "tasks": {}}}, "list the LRs"),
    ("finetune.tasks.topic.lr: a list", {"finetune": {"tasks": {"topic": {"lr": [0.1, 0.2]}}}}, "give one LR"),
    ("finetune.tasks.topics: ", {"finetune": {"tasks": {"topics": {}}}}, "did you mean 'topic'"),
    ("zeroshot.names: PTB needs a causal model", {"zeroshot": {"names": ["PTB"]}}, "use clm"),
    ("methods.scratch: missing", {"methods": {"scratch": False}}, "add `scratch:`"),
    ("methods.half.of: 'stackbrt'", {"methods": {"half": {"of": "stackbrt"}}}, "did you mean 'stackbert'"),
    ("methods.stackbert.first: 0.9", {"methods": {"stackbert": {"first": 0.9}}}, "use a smaller one"),
    (
        "methods.bert2bert: stage 0: until",
        {"budget": {"steps": 1, "total": False}, "optimizer": {"warmup": 0}},
        "use a larger budget",
    ),
    (
        "methods.bert2bert: stage 0: optimizer.warmup: 300 steps",
        {"optimizer": {"warmup": 300}},
        "use a shorter warm-up",
    ),
]


@cache
def demo() -> dict[str, Any]:
    values = files.read(ROOT / "config/demo.yaml")
    values["tasks"] = {**values["tasks"], "names": ["acceptability", "topic"]}
    values["finetune"] = {**values["finetune"], "tasks": {"topic": {"epochs": 1, "lr": 0.001}}}
    return values


def walk(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any], bool]]:
    """Yield every key that the schema knows: its path, its node and whether it must be given."""
    node = dict(schema.resolved(node))
    for key, child in node.get("properties", {}).items():
        if path != ("methods",):
            yield (*path, key), dict(schema.resolved(child)), key in node.get("required", [])
        yield from walk(child, (*path, key))
    if path in SAMPLES:
        yield from walk(node["additionalProperties"], SAMPLES[path])


def misspelt(word: str) -> str:
    """The last two letters change places, or where they are the same, the last is doubled."""
    other = word[:-2] + word[-1] + word[-2]
    return other if other != word else word + word[-1]


def options(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The types that a node takes."""
    return [dict(schema.resolved(option)) for option in node.get("anyOf", [node])]


def wrong_types(node: dict[str, Any]) -> list[Any]:
    """A value of every kind that the node does not take."""
    if "enum" in node:
        return [VALUES["integer"], VALUES["object"]]
    taken = {option["type"] for option in options(node)}
    taken |= {"integer"} if "number" in taken else set()
    return [value for kind, value in VALUES.items() if kind not in taken]


def out_of_range(node: dict[str, Any]) -> list[Any]:
    """Values of the right kind beyond each bound."""
    return [value for option in options(node) for value in beyond(option)]


def beyond(node: dict[str, Any]) -> list[Any]:
    """Values of the right kind beyond each bound of one type."""
    whole = node["type"] == "integer"
    found: list[Any] = [float("nan"), float("inf")] if node["type"] == "number" else []
    found += [node["minimum"] - 1] if "minimum" in node else []
    found += [node["maximum"] + (1 if whole else 0.5)] if "maximum" in node else []
    found += [node[key] for key in ("exclusiveMinimum", "exclusiveMaximum") if key in node]
    found += [0.5 + node.get("minimum", 0)] if whole else []
    found += [""] if "minLength" in node else ["Not this!"] if "pattern" in node else []
    if "enum" in node:
        found += [misspelt(node["enum"][0])]
    if node["type"] == "array":
        found += [[]] if node.get("minItems") else []
        items = dict(schema.resolved(node["items"]))
        good = items["enum"][0] if "enum" in items else VALUES[items["type"]]
        found += [[good, good]] if node.get("uniqueItems") else []
        found += [[good] * (node["maxItems"] + 1)] if "maxItems" in node else []
        found += [[bad] for bad in (*out_of_range(items), *wrong_types(items)[:1])]
    return found


def faults() -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Yield (kind, path, value) of every malformed config; a kind says what is done to the key."""
    for path, node, required in walk(schema.schema()):
        if required:
            yield "missing", path, None
        yield "misspelt", path, None
        for value in wrong_types(node):
            yield "wrong type", path, value
        for value in out_of_range(node):
            yield "out of range", path, value


FAULTS = list(faults())
KINDS = ("missing", "misspelt", "wrong type", "out of range")


def made(kind: str, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The demo's config with one fault."""
    values = deepcopy(demo())
    node = values
    for word in path[:-1]:
        node = node[word]
    if kind in ("missing", "misspelt"):
        kept = node.pop(path[-1], 1)
        if kind == "misspelt":
            node[misspelt(path[-1])] = kept
    else:
        node[path[-1]] = value
    return values


def line(values: dict[str, Any]) -> str:
    with pytest.raises(GrowBenchError) as caught:
        config.load(values)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def test_every_section_and_every_kind_of_fault_is_reached() -> None:
    assert {path[0] for _, path, _ in FAULTS} == set(schema.schema()["properties"])
    assert {kind for kind, _, _ in FAULTS} == set(KINDS)
    assert len(FAULTS) > 300 and len(CONTRADICTIONS) > 20


@pytest.mark.parametrize("section", list(schema.schema()["properties"]))
def test_a_malformed_config_is_one_line_with_key_value_and_what_is_allowed(section: str) -> None:
    for kind, path, value in (fault for fault in FAULTS if fault[1][0] == section):
        found, key = line(made(kind, path, value)), ".".join(path)
        if kind == "missing":
            assert re.match(rf"{re.escape(key)}: missing; give .{{3,}}", found)
        elif kind == "misspelt":
            other = ".".join([*path[:-1], misspelt(path[-1])])
            assert found.startswith(f"{other}: unknown key; did you mean '{path[-1]}'? allowed: ")
        else:
            first = (value if isinstance(value, list) else [])[:1]
            faults = [(key, value), *((f"{key}.0", item) for item in first)]
            whole = [f"{name}: {schema.shown(wrong)} is not allowed; use " for name, wrong in faults]
            unknown = [f"{name}: unknown value {schema.shown(wrong)}; " for name, wrong in faults]
            twice = [f"{key}: {schema.shown(item)} appears twice; give each value once" for item in first]
            assert found.startswith((*whole, *unknown, *twice)), (kind, path, value)
            assert re.search(r"; (use .{3,}|did you mean '\S+'\? allowed: |allowed: |give each)", found)


@pytest.mark.parametrize(("key", "changes", "remedy"), CONTRADICTIONS, ids=[key for key, _, _ in CONTRADICTIONS])
def test_values_that_contradict_one_another_are_one_line(key: str, changes: dict[str, Any], remedy: str) -> None:
    found = line(files.merged(demo(), changes))
    assert found.startswith(key) and remedy in found


def test_snakemake_says_the_same_line_before_any_job(tmp_path: Path) -> None:
    unknown = made(*next(fault for fault in FAULTS if fault[:2] == ("misspelt", ("optimizer", "warmup"))))
    for number, values in enumerate([unknown, files.merged(demo(), CONTRADICTIONS[0][1])]):
        path = tmp_path / f"{number}.yaml"
        path.write_text(json.dumps(values), encoding="utf-8")
        words = ["--cores", "1", "--directory", tmp_path, "--snakefile", ROOT / "Snakefile", "--configfile", path]
        done = subprocess.run([sys.executable, "-m", "snakemake", *words], capture_output=True, text=True)
        with pytest.raises(GrowBenchError) as caught:
            config.load(path)
        said = str(caught.value).partition(": ")[2]
        assert done.returncode and any(row.endswith(said) for row in done.stderr.splitlines())
        assert "Traceback" not in done.stderr and not (tmp_path / "results").exists()
