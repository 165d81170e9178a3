"""Published values: a saving is printed for a family only if its setting names the family's architecture."""

from itertools import combinations

import pytest

from growbench import families, methods
from growbench.analysis import published

NAMED = {
    "BERT": ["bert"],
    "pre-LN BERT": ["bert"],
    "RoBERTa": ["roberta"],
    "GPT2-medium": ["gpt2"],
    "DeiT-S -> DeiT-B, 300 epochs": ["vit"],
    "OPT, Pythia, OLMo, x2 width": ["gpt_neox", "opt"],
    "7B at 300B tokens": [],
    "(12,512) -> (12,768)": [],
    "100 operator steps": [],
}


@pytest.mark.parametrize("setting", NAMED)
def test_a_setting_is_about_the_families_that_it_names(setting: str) -> None:
    assert [name for name in families.names() if published.about(setting, name)] == NAMED[setting]


@pytest.mark.parametrize("family", families.names())
@pytest.mark.parametrize("method", methods.names())
def test_every_saving_printed_for_a_family_is_of_its_architecture(method: str, family: str) -> None:
    words = families.load(family).published
    for line in published.savings(method, family):
        assert any(word in line for word in words), line


def test_families_do_not_share_published_rows_by_inheritance() -> None:
    for a, b in combinations(map(families.load, families.names()), 2):
        assert not set(a.published) & set(b.published), f"{a.name} and {b.name}"


def test_a_family_gets_rows_of_its_own_and_none_of_another() -> None:
    assert any("34.1 %" in line and "BERT (6,512)" in line for line in published.savings("stackbert", "bert"))
    assert published.savings("stackbert", "llama") == published.savings("stackbert", "gpt2") == []
    assert [line[:6] for line in published.savings("stackbert", "vit")] == ["23.8 %"]


@pytest.mark.parametrize(
    ("paper", "artefacts", "objective", "settings"),
    [
        ("LiGO", ("Table 1", "DeiT table"), "mlm", {"BERT (6,512) -> (12,768), 400k steps"}),
        ("LiGO", ("Table 1", "DeiT table"), "classification", {"DeiT-S -> DeiT-B, 300 epochs"}),
        ("LiGO", ("Table 1", "DeiT table"), "clm", set()),
        ("bert2BERT", ("Table 1", "GPT"), "clm", {"GPT (12,512) -> (12,768)"}),
        ("bert2BERT", ("initial loss",), "mlm", {"(12,384) -> (12,768)", "(12,512) -> (12,768)"}),
        ("bert2BERT", ("initial loss", "E_b ablation"), "clm", set()),
    ],
)
def test_a_table_prints_no_published_row_of_models_of_another_objective(
    paper: str, artefacts: tuple[str, ...], objective: str, settings: set[str]
) -> None:
    assert {entry.setting for entry in published.entries(paper, *artefacts, objective=objective)} == settings
