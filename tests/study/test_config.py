"""Configs: what is taken, and that every fault is one line with key, value, what is allowed and the nearest match."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configs import ABLE, GROWING, ROOT, SOURCE, TARGET, UNABLE, study
from support.helpers import PRICES

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.study import config, files, schema, timeline

CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


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
def test_every_config_file_is_valid_and_named_after_its_study(path: Path) -> None:
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
    for section in [whole, *(schema.resolved(node) for node in whole["properties"].values() if "$ref" in node)]:
        assert section["required"] == list(section["properties"]) and not section["additionalProperties"]
        for key, node in section["properties"].items():
            assert schema.resolved(node).get("description"), key


MALFORMED: list[tuple[str, Any, str]] = [  # key, value (... removes it), what the line must hold besides the key
    ("studdy", 1, "did you mean 'study'"),
    ("study", "My study", "lower-case"),
    ("study", None, "null"),
    ("study", ..., "missing"),
    ("seeds", [], "at least 1"),
    ("seeds", [1, 1], "appears twice"),
    ("seeds", [-1], "at least 0"),
    ("seeds", ["x"], "'x'"),
    ("seeds", 3, "a list"),
    ("seeds", [True], "true"),
    ("data", None, "a section of keys"),
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
    ("corpus.vocab", 1, "at least 32"),
    ("corpus.vocab", 512.5, "an integer"),
    ("corpus.lowercase", 1, "true or false"),
    ("corpus.vocab", ..., "missing"),
    ("objective.kind", "mlmm", "did you mean 'mlm'"),
    ("objective.length", 4, "at least 8"),
    ("objective.mask_rate", 1.0, "below 1"),
    ("objective.mask_rate", 0, "above 0"),
    ("source.heads", 3, "nearest: 2"),
    ("source.layers", 0, "at least 1"),
    ("source.family", "bert", "unknown key"),
    ("source.hidden", 256, "target.hidden: 128 is smaller"),
    ("target.heads", 5, "nearest: 4"),
    ("target.hidden", 32, "at least 64"),
    ("target.layers", 1, "at least 2"),
    ("target.ffn", 128, "at least 256"),
    ("target.heads", 1, "at least 2"),
    ("target.family", "bret", "did you mean 'bert'"),
    ("methods", {}, "a section of keys"),
    ("methods", {"scrach": None}, "scratch"),
    ("methods", ["scratch"], "a section of keys"),
    ("methods.scratchh", None, "did you mean 'scratch'"),
    ("methods.scratch", {"lrr": 1}, "did you mean 'lr'"),
    ("methods.scratch", {"lr": 5.0}, "a number from"),
    ("methods.scratch", 3, "a section of keys"),
    ("methods.scratch", ..., "missing"),
    ("budget.points", [0.5], "the last one 1.0"),
    ("budget.points", [1.0, 0.5], "rising"),
    ("budget.points", [0.5, 1.5], "at most 1"),
    ("budget.points", [0.501, 0.502, 1.0], "whole percents"),
    ("budget.cooldown", 0.95, "below 0.9"),
    ("budget.cooldown", 0, "above 0"),
    ("budget.protocol", "papr", "did you mean 'paper'"),
    ("budget.steps", "many", "an integer"),
    ("optimizer.lr", "fast", "a number"),
    ("optimizer.lr", 0, "above 0"),
    ("optimizer.warmup", 0.55, "0.51"),
    ("optimizer.betas", [0.9], "a list of 2"),
    ("optimizer.betas", [0.9, 1.0], "below 1"),
    ("optimizer.clip", -1, "or null"),
    ("optimizer.clip", float("inf"), "finite"),
    ("optimizer.weight_decay", float("nan"), "finite"),
    ("optimizer.betas", [0.9, float("nan")], "finite"),
    ("optimizer.learning_rate", 1, "unknown key"),
    ("train.precision", "fp16", "bf16"),
    ("train.threads", 0, "at least 1"),
    ("train.eval_every", 0, "above 0"),
    ("tasks.source", "gleu", "toyglue"),
    ("tasks.source", "local", "tasks.names"),
    ("tasks.names", ["topics"], "did you mean 'topic'"),
    ("tasks.names", [], "at least 1"),
    ("finetune.points", [0.7], "nearest: 0.6"),
    ("finetune.epochs", 0, "at least 1"),
    ("finetune.seeds", [2, 2], "twice"),
    ("finetune.max_train", 0, "or null"),
    ("finetune.dropout", 1, "below 1"),
    ("zeroshot.source", "locl", "did you mean 'local'"),
    ("zeroshot.names", ["Lambada"], "did you mean 'LAMBADA'"),
    ("zeroshot.names", ["PTB", "PTB"], "twice"),
    ("zeroshot.names", ["PTB"], "use clm and one of gpt2, gpt_neox, llama, opt"),
    ("zeroshot.points", [0.7], "nearest: 0.6"),
    ("zeroshot.stride", 0, "at least 1"),
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
        assert name.removesuffix("s") in str(error) or "target" in str(error) or "corpus" in str(error)


def test_an_impossible_growth_is_refused_before_any_job() -> None:
    """Heads of 48 cannot be copied from heads of 32."""
    assert "heads" in message(changed("target.hidden", 192))


def test_a_method_has_no_finished_point_before_it_has_grown() -> None:
    early = {"budget": {"points": [0.1, 0.6, 1.0]}, "optimizer": {"warmup": 0.01}}
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


def test_a_file_is_named_in_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(changed("corpus.vocb", 3)), encoding="utf-8")
    with pytest.raises(GrowBenchError, match=r"mine\.yaml: corpus\.vocb: unknown key; did you mean 'vocab'"):
        config.load(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("seeds: [0]\nstudy: a\nseeds: [1]\n", "line 3: seeds appears twice; give it once"),
        ("data:\n  dir: a\n  dir: b\n", "line 3: dir appears twice; give it once"),
        ("seeds: [0\n", "fix the YAML"),
        ("- 1\n", "config/demo.yaml shows the keys"),
        ("", "config/demo.yaml shows the keys"),
    ],
)
def test_bad_yaml_is_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GrowBenchError) as caught:
        config.load(path)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="No such file"):
        config.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optimizer.lr", "1e-3", 0.001),
        ("optimizer.batch", "32.0", 32),
        ("budget.steps", "1e4", 10000),
        ("seeds", "[0.0, 1]", (0, 1)),
        ("finetune.epochs", "1.0", 1),
        ("train.dropout", "0", 0.0),
        ("methods.mslt", "{partial: 5e-1}", {"partial": 0.5}),
        ("methods.bert2bert", "{l_b: 2.0}", {"l_b": 2.0}),
    ],
)
def test_numbers_have_the_type_of_their_key(key: str, text: str, value: Any) -> None:
    loaded: Any = config.load(study(), files.change(f"{key}={text}"))
    for word in key.split("."):
        loaded = loaded[word] if isinstance(loaded, dict) else getattr(loaded, word)
    assert loaded == value and type(loaded) is type(value)


def test_an_option_that_is_an_integer_may_be_written_as_a_float() -> None:
    loaded = config.load(study(), files.change("methods.bert2bert={l_b: 2.0}"))
    assert repr(loaded.options("bert2bert")["l_b"]) == "2"
    for text in ("optimizer.batch=32.5", "methods.bert2bert={l_b: 2.5}"):
        with pytest.raises(GrowBenchError, match=r"2\.5 is not allowed; use an integer"):
            config.load(study(), files.change(text))


def test_the_environment_variable_overrides_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    values = changed("data.dir", "here")
    assert config.load(values).data.dir == Path("here")
    monkeypatch.setenv(config.DATA_VARIABLE, "there")
    assert config.load(values).data.dir == Path("there")


def test_overrides_are_merged_by_section() -> None:
    loaded = config.load(study(), {"optimizer": {"lr": 0.5}, "seeds": [7]})
    assert (loaded.optimizer.lr, loaded.optimizer.warmup, loaded.seeds) == (0.5, 0.04, (7,))


def test_changes_are_written_as_dotted_keys() -> None:
    assert files.change("optimizer.lr=1e-3") == {"optimizer": {"lr": 0.001}}
    assert files.change("seeds=[1, 2]") == {"seeds": [1, 2]}
    with pytest.raises(GrowBenchError, match="KEY=VALUE"):
        files.change("seeds")


def test_what_a_stage_depends_on() -> None:
    """Threads and checkpoint times change no result; fine-tuning keys change no trained model."""
    before = config.load(study())
    after = config.load(study(), {"train": {"threads": 2, "checkpoint_seconds": 5}, "finetune": {"epochs": 9}})
    assert before.trained_part() == after.trained_part()
    assert before.finetuned_part() != after.finetuned_part()
    more = config.load(study(), {"finetune": {"points": [0.6, 1.0], "threads": 3}})
    assert before.finetuned_part() == more.finetuned_part()
    assert before.trained_part() != config.load(study(), {"optimizer": {"lr": 0.5}}).trained_part()


def test_a_causal_study_may_name_test_sets_and_no_trained_model_depends_on_them() -> None:
    causal = {
        "objective": {"kind": "clm"},
        "target": {"family": "gpt2"},
        "methods": {"compoundgrow": {"length": "cut"}},
    }
    before = config.load(study(), causal)
    after = config.load(
        study(), {**causal, "zeroshot": {"names": ["PTB", "WikiText-2"], "points": [0.6], "stride": 32}}
    )
    assert after.zeroshot_points() == ("p60",)
    assert after.trained_part() == before.trained_part() and after.finetuned_part() == before.finetuned_part()
    assert after.zeroshot_part() != before.zeroshot_part()
    same = config.load(study(), {**causal, "zeroshot": {"batch": 3, "threads": 2, "points": [0.6]}})
    assert same.zeroshot_part() == before.zeroshot_part()
    with pytest.raises(GrowBenchError, match=r"zeroshot\.stride: 33 .* at most objective\.length 32"):
        config.load(study(), {**causal, "zeroshot": {"names": ["PTB"], "stride": 33}})


def test_reading_a_config_imports_no_torch() -> None:
    code = (
        "import sys; from growbench import methods; from growbench.pipeline.corpus import run; from growbench.study import config; config.load('config/demo.yaml'); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_methods_are_taken_with_options_added_and_some_left_out() -> None:
    values = study()
    left_out = {"direct_copy": False, **dict.fromkeys(UNABLE, False)}
    values["methods"] = {"all": None, "bert2bert_fpi": {"map": "random"}, **left_out}
    chosen = config.load(values).methods
    assert list(chosen) == [name for name in ABLE if name != "direct_copy"]
    assert chosen["bert2bert_fpi"] == {"map": "random"}
    values["methods"] = {"all": None, "direct_cop": False}
    with pytest.raises(GrowBenchError, match="did you mean 'direct_copy'"):
        config.load(values)


@pytest.mark.parametrize(("name", "flops", "parameters"), [("base", 7.3e19, 109.4e6), ("base-gpt", 4.9e19, 124.0e6)])
def test_a_base_study_spends_what_the_paper_spent(name: str, flops: float, parameters: float) -> None:
    from growbench.pipeline import forecast

    chosen = config.load(ROOT / f"config/{name}.yaml")
    rows = {row["method"]: row for row in forecast.forecast(chosen, timing=False)}
    assert timeline.of(chosen, "scratch").budget == pytest.approx(flops, rel=0.05)
    assert rows["scratch"]["stages"][0]["parameters"] == pytest.approx(parameters, rel=1e-3)
    assert rows["scratch"]["disk_bytes"] == pytest.approx(4 * parameters * (3 + 18), rel=1e-3)


def test_base_is_grown_from_six_layers_too() -> None:
    made = config.gather([ROOT / "config/base.yaml"], ["study=base-6", "source.layers=6"])
    assert made.source_spec(30522).short() == "(6, 512)" and made.study == "base-6"
