"""Configs: what is taken, and that every fault is one line with key, value, what is allowed and the nearest match."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configs import GROWING, ROOT, SOURCE, TARGET, UNABLE, minilm, study
from support.helpers import PRICES

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.study import config, files, ladder, schema, timeline

CAUSAL = ", ".join(family.name for family in families.loaded() if family.objective == "clm")
CONFIGS = [path for path in sorted((ROOT / "config").glob("*.yaml")) if not ladder.given([path])]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid config with one value changed; `...` removes the key."""
    values = study()
    *sections, key = path.split(".")
    node = values
    for word in sections:
        node[word] = dict(node[word] or {})
        node = node[word]
    if value is ...:
        del node[key]
    else:
        node[key] = value
    return values


def message(values: dict[str, Any]) -> str:
    with pytest.raises(GrowBenchError) as caught:
        config.load(values)
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_file_is_valid_and_named_after_its_study(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minilm(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert config.load(path).study == path.stem


def test_a_study_holds_what_the_file_says() -> None:
    loaded = config.load(changed("methods.scratch", {"lr": 0.001}))
    assert loaded.seeds == (0, 1)
    assert loaded.methods["scratch"] == {"lr": 0.001}
    assert loaded.methods[GROWING[0]] == {}
    spec = loaded.target_spec(100)
    assert (spec.family, spec.layers, spec.hidden, spec.heads, spec.ffn, spec.vocab) == ("bert", 4, 128, 4, 512, 100)
    assert spec.max_length == max(loaded.objective.length, loaded.finetune.max_length)
    assert loaded.source_spec(100).hidden == 64


def test_the_committed_schema_is_the_sections_own() -> None:
    path = ROOT / "workflow/schemas/config.schema.json"
    hint = "run: python -m growbench.study.schema >workflow/schemas/config.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == schema.schema(), hint


def test_every_key_of_the_schema_is_required_and_described() -> None:
    whole = schema.schema()
    options = [option for node in whole["properties"].values() for option in node.get("anyOf", [node])]
    sections = [schema.resolved(option) for option in options if "$ref" in option]
    assert [key for key in whole["properties"] if key not in whole["required"]] == ["images"]  # null in studies of text
    for section in [whole, *sections]:
        assert section["required"] == [key for key in section["properties"] if key != "images"]
        assert not section["additionalProperties"]
        for key, node in section["properties"].items():
            assert schema.resolved(node).get("description"), key


MALFORMED: list[tuple[str, Any, str]] = [  # key, value (... removes it), what the line must hold besides the key
    ("studdy", 1, "did you mean 'study'"),
    ("study", "My study", "lowercase"),
    ("study", None, "null"),
    ("study", ..., "missing"),
    ("seeds", [], "at least 1 value"),
    ("seeds", [1, 1], "appears twice"),
    ("seeds", [-1], "from 0 to"),
    ("seeds", ["x"], "'x'"),
    ("seeds", 3, "a list"),
    ("seeds", [True], "true"),
    ("data", None, "a mapping (key: value)"),
    ("data.repeat", "maybe", "true or false"),
    ("data.dir", 5, "non-empty text or null"),
    ("data.dri", "x", "did you mean 'dir'"),
    ("corpus.source", "sinthetic", "did you mean 'synthetic'"),
    ("corpus.source", "local", "corpus.train"),
    ("corpus.train", {}, "a list"),
    ("corpus.tokenizer", "wordpeice", "did you mean 'wordpiece'"),
    ("corpus.tokenizer", "pretrained", "tokenizer_name"),
    ("corpus.documents", "paragraph", "blank_line"),
    ("corpus.valid_fraction", 0.9, "at most 0.5"),
    ("corpus.max_tokens", None, "never ends"),
    ("corpus.max_tokens", 0, "at least 1"),
    ("corpus.vocab", 1, "from 32 to"),
    ("corpus.vocab", 512.5, "an integer"),
    ("corpus.lowercase", 1, "true or false"),
    ("corpus.vocab", ..., "missing"),
    ("objective.kind", "mlmm", "did you mean 'mlm'"),
    ("objective.length", 4, "from 8 to"),
    ("objective.mask_rate", 1.0, "below 1"),
    ("objective.mask_rate", 0, "above 0"),
    ("source.heads", 3, "nearest: 2"),
    ("source.layers", 0, "from 1 to"),
    ("source.family", "bert", "unknown key"),
    ("source.hidden", 256, "target.hidden: 128 is smaller"),
    ("target.heads", 5, "nearest: 4"),
    ("target.hidden", 32, "at least 64"),
    ("target.layers", 1, "at least 2"),
    ("target.ffn", 128, "at least 256"),
    ("target.heads", 1, "at least 2"),
    ("target.family", "bret", "did you mean 'bert'"),
    ("methods", {}, "a mapping (key: value)"),
    ("methods", {"scrach": None}, "scratch"),
    ("methods", ["scratch"], "a mapping (key: value)"),
    ("methods.scratchh", None, "did you mean 'scratch'"),
    ("methods.scratch", {"lrr": 1}, "did you mean 'lr'"),
    ("methods.scratch", {"lr": 5.0}, "a number from"),
    ("methods.scratch", 3, "a mapping (key: value)"),
    ("methods.scratch", ..., "missing"),
    ("budget.points", [0.5], "end with 1.0"),
    ("budget.points", [1.0, 0.5], "increasing"),
    ("budget.points", [0.5, 1.5], "from 0 to 1"),
    ("budget.points", [0.501, 0.502, 1.0], "rounded to whole percents"),
    ("budget.cooldown", 0.95, "below 0.9"),
    ("budget.cooldown", 0, "above 0"),
    ("budget.protocol", "papr", "did you mean 'paper'"),
    ("budget.steps", "many", "an integer"),
    ("optimizer.lr", "fast", "a number"),
    ("optimizer.lr", 0, "above 0"),
    ("optimizer.warmup", {"share": 0.55}, "0.51"),
    ("optimizer.betas", [0.9], "a list of 2"),
    ("optimizer.betas", [0.9, 1.0], "below 1"),
    ("optimizer.clip", -1, "or null"),
    ("optimizer.clip", float("inf"), "finite"),
    ("optimizer.weight_decay", float("nan"), "finite"),
    ("optimizer.betas", [0.9, float("nan")], "finite"),
    ("optimizer.learning_rate", 1, "unknown key"),
    ("train.precision", "fp16", "bf16"),
    ("train.threads", 0, "from 1 to"),
    ("train.eval_every", 0, "above 0"),
    ("tasks.source", "gleu", "toyglue"),
    ("tasks.source", "local", "tasks.names"),
    ("tasks.names", ["topics"], "did you mean 'topic'"),
    ("finetune.points", [0.7], "nearest: 0.6"),
    ("finetune.epochs", 0, "from 1 to"),
    ("finetune.seeds", [2, 2], "twice"),
    ("finetune.max_train", 0, "or null"),
    ("finetune.dropout", 1, "below 1"),
    ("zeroshot.source", "locl", "did you mean 'local'"),
    ("zeroshot.names", ["Lambada"], "did you mean 'LAMBADA'"),
    ("zeroshot.names", ["PTB", "PTB"], "twice"),
    ("zeroshot.names", ["pairs", "PTB"], "PTB needs a causal model"),
    (
        "zeroshot.names",
        ["bytes/SST-2"],
        f"use clm and one of {CAUSAL}, or only pairs and BLiMP",
    ),
    ("zeroshot.names", ["bytes"], "did you mean"),
    ("zeroshot.pairs", 7, "from 8 to"),
    ("zeroshot.points", [0.7], "nearest: 0.6"),
    ("zeroshot.stride", 0, "from 1 to"),
]


@pytest.mark.parametrize(("path", "value", "wanted"), MALFORMED, ids=[f"{p}={v!r}"[:40] for p, v, _ in MALFORMED])
def test_a_fault_is_one_line_with_its_key_and_what_is_allowed(path: str, value: Any, wanted: str) -> None:
    line = message(changed(path, value))
    assert "\n" not in line
    assert wanted in line
    assert path.split(".")[0].removesuffix("s") in line


@given(st.sampled_from(sorted(schema.schema()["properties"])), st.data())
def test_any_value_in_any_place_is_taken_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    keys = schema.node_at([name]).get("properties")
    path = f"{name}.{data.draw(st.sampled_from(sorted(keys)))}" if keys else name
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    value = data.draw(leaf | st.lists(leaf, max_size=3) | st.dictionaries(st.text(max_size=5), leaf, max_size=2))
    try:
        config.load(changed(path, value))
    except GrowBenchError as error:
        assert "\n" not in str(error)
        assert re.search(rf"\b({name.removesuffix('s')}|target|corpus|methods)", str(error))


def test_an_impossible_growth_is_refused_before_any_job() -> None:
    """Heads of 48 cannot be copied from heads of 32."""
    assert "heads" in message(changed("target.hidden", 192))


def test_a_method_has_no_finished_point_before_it_has_grown() -> None:
    early = {"budget": {"points": [0.1, 0.6, 1.0]}, "optimizer": {"warmup": {"share": 0.01}}}
    values = {**study(), "methods": {"scratch": None, "stackbert": None}}
    loaded = config.load(files.merged(values, early))
    assert timeline.of(loaded, "scratch").points == (0.1, 0.6, 1.0)
    assert timeline.of(loaded, "stackbert").points == (0.6, 1.0)
    for key in ("finetune", "zeroshot"):
        line = message(files.merged(values, {**early, key: {"points": [0.1, 1.0]}}))
        assert line.startswith(f"{key}.points: 0.1 leaves the trunk at 0.085, before stackbert has grown")
        assert line.endswith("use at least 0.6")


def test_a_method_that_has_not_grown_at_the_end_is_refused() -> None:
    values = {**study(), "methods": {"scratch": None, "stackbert": {"first": 0.2, "second": 0.9}}}
    assert message(values).endswith("grow earlier")


@pytest.mark.parametrize(("layers", "l_b", "block"), [(12, 0, 3), (17, 0, 1), (10, 0, 2), (2, 0, 1), (12, 4, 4)])
def test_blocks_of_sub_models_divide_the_target(layers: int, l_b: int, block: int) -> None:
    method, target = methods.load("bert2bert"), TARGET.resized(layers=layers)
    assert method.plan(SOURCE, target, method.check_options({"l_b": l_b}), PRICES).stages[0].block == block
    with pytest.raises(
        GrowBenchError, match=r"methods\.bert2bert\.l_b: 5 does not divide target\.layers 12; use one of"
    ):
        method.plan(SOURCE, TARGET.resized(layers=12), method.check_options({"l_b": 5}), PRICES)


@pytest.mark.parametrize("name", UNABLE)
def test_a_method_that_cannot_make_the_target_is_refused_by_name(name: str) -> None:
    line = message(changed(f"methods.{name}", None))
    assert line.startswith(f"methods.{name}: target.") and "\n" not in line
