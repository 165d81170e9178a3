"""What a study says of its parts: what a result depends on, which methods it has, what it spends."""

import subprocess
import sys

import pytest
from support.configs import ABLE, ROOT, UNABLE, study

from growbench.errors import GrowBenchError
from growbench.study import config, scored, timeline
from growbench.study.study import point_name


def test_what_each_step_of_the_pipeline_depends_on() -> None:
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
        study(), {**causal, "zeroshot": {"names": ["PTB", "WikiText-2"], "points": [0.6], "stride": 30}}
    )
    assert scored.points(after, "scratch") == ("p60",)
    assert after.trained_part() == before.trained_part() and after.finetuned_part() == before.finetuned_part()
    assert after.zeroshot_part() != before.zeroshot_part()
    same = config.load(study(), {**causal, "zeroshot": {"batch": 3, "threads": 2, "points": [0.6]}})
    assert same.zeroshot_part() == before.zeroshot_part()
    every = config.load(study(), {**causal, "zeroshot": {"points": None}})
    for name in every.methods:
        assert scored.points(every, name) == tuple(map(point_name, timeline.of(every, name).points))
    pairs = config.load(study(), {**causal, "zeroshot": {"names": ["pairs"], "pairs": 80}})
    assert pairs.zeroshot_part()["pairs"] == 80 and "pairs" not in after.zeroshot_part()
    with pytest.raises(GrowBenchError, match=r"zeroshot\.stride: 31 .* at most 30, or a longer objective\.length"):
        config.load(study(), {**causal, "zeroshot": {"names": ["PTB"], "stride": 31}})


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
    rows = {row["method"]: row for row in forecast.run(chosen, timing=False)}
    assert timeline.of(chosen, "scratch").budget == pytest.approx(flops, rel=0.05)
    assert rows["scratch"]["stages"][0]["parameters"] == pytest.approx(parameters, rel=1e-3)
    assert rows["scratch"]["disk_bytes"] == pytest.approx(4 * parameters * (3 + 18), rel=1e-3)


def test_base_is_grown_from_six_layers_too() -> None:
    made = config.gather([ROOT / "config/base.yaml"], ["study=base-6", "source.layers=6"])
    assert made.source_spec(30522).short() == "(6, 512)" and made.study == "base-6"


def test_a_study_without_tasks_fine_tunes_nothing() -> None:
    some, none = (config.load(study() | {"tasks": {"source": "toyglue", "names": names}}) for names in (["topic"], []))
    assert some.finetuned_points("scratch") == ("p100",)
    assert not none.finetuned_points("scratch") and not none.finetuned_points("source")
