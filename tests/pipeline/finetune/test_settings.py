"""Fine-tuning settings: contradictions are refused before any job, and a task's own settings are used."""

from pathlib import Path
from typing import Any

import pytest
from support.downstream import study

from growbench.errors import GrowBenchError
from growbench.study import config

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("family", "changes", "wanted"),
    [
        ("vit", {}, "vit is trained"),
        ("bert", {"doc_stride": 5}, "finetune.doc_stride: 5 is more than the 4 tokens"),
        ("bert", {"lr": [1e-3, 1e-4]}, "finetune.lr: a list, but finetune.protocol is single"),
        ("bert", {"protocol": "grid"}, "is not a list"),
        ("bert", {"tasks": {"SQuAD": {}}}, "finetune.tasks.SQuAD: not one of tasks.names"),
        ("bert", {"tasks": {"SQuAD1.1": {"lr": [1e-3, 1e-4]}}}, "finetune.tasks.SQuAD1.1.lr: a list"),
        ("bert", {"tasks": {"SQuAD1.1": {"points": [1.0]}}}, "finetune.tasks.SQuAD1.1.points: unknown key"),
        ("bert", {"tasks": {"SQuAD1.1": {"max_length": 8}}}, "use a longer max_length"),
    ],
)
def test_contradictions_are_refused_before_any_job(tmp_path: Path, family: str, changes: Any, wanted: str) -> None:
    with pytest.raises(GrowBenchError, match=wanted) as caught:
        study(tmp_path, "SQuAD1.1", family=family, **changes)
    assert "\n" not in str(caught.value)


def test_a_task_s_own_settings_are_used_for_it_alone() -> None:
    plain = config.load(ROOT / "config/mini.yaml")
    assert not {"protocol", "doc_stride", "answer_length", "own"} & set(plain.finetuned_part())
    own = {"lr": 5e-5, "max_length": 384}
    more = config.load(
        ROOT / "config/mini.yaml",
        {"tasks": {"names": ["CoLA", "SQuAD1.1"]}, "finetune": {"doc_stride": 128, "tasks": {"SQuAD1.1": own}}},
    )
    assert more.finetune.of("SQuAD1.1").rates == (5e-5,) and more.finetune.of("CoLA").rates == (5e-4,)
    assert more.target_spec(100).max_length == 384 and more.finetune.of("CoLA").max_length == 64
    assert more.finetuned_part()["own"]["SQuAD1.1"] == {"lr": 5e-5, "max_length": 384}
    assert more.finetuned_part()["doc_stride"] == 128
