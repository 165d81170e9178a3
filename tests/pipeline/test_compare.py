"""growbench compare, on records whose savings are known by construction."""

from pathlib import Path

import pytest
from support import constructed
from support.aggregated import COSTS, edit

from growbench.analysis import comparison
from growbench.errors import GrowBenchError
from growbench.pipeline import compare
from growbench.study.study import Study

METHODS = {**dict.fromkeys(COSTS), "placebo": {"tuned_as": "scratch"}, "msg": None}
NOISE = {0: -0.003, 1: 0.0, 2: 0.003}  # of a method's seeds, beside scratch's equal ones


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of which one method, msg, has no records yet."""
    monkeypatch.chdir(tmp_path)
    made = constructed.study(METHODS)
    constructed.write(tmp_path, made, COSTS)
    for seed in made.seeds:
        made.layout.run_record("msg", seed).unlink()
    return made


def test_a_method_is_better_worse_or_level_as_its_records_say(study: Study) -> None:
    found = compare.run(study, ["bert2bert_fpi"], [], strict=True)
    table = found.table.set_index("other")
    assert set(table.index) == {"scratch", "placebo", "direct_copy", "stackbert", "bert2bert_aki"}, (
        "all that have records"
    )
    free = constructed.SOURCE_FLOPS
    at = table.loc["scratch", "flops"]
    assert table.loc["scratch", "saving"] == pytest.approx(0.5, abs=2 * free / at)
    assert table.loc["scratch", "verdict"] == comparison.BETTER
    assert table.loc["bert2bert_aki", "saving"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["bert2bert_aki", "verdict"] == comparison.LEVEL_WITH
    back = compare.run(study, ["stackbert"], ["bert2bert_fpi"], strict=False).table
    assert back["verdict"].item() == comparison.WORSE


def test_a_saving_within_the_noise_of_seeds_is_not_told_apart(study: Study) -> None:
    for seed, noise in NOISE.items():
        values = constructed.pretrain(study, "bert2bert_aki", seed, 0.5 * 0.995, 20 * noise)
        edit(study.layout.run_record("bert2bert_aki", seed), points=values["points"])
    table = compare.run(study, ["bert2bert_aki"], ["bert2bert_fpi"], strict=False).table
    assert table["verdict"].item() == comparison.OPEN and table["detectable"].item() > 0.02


def test_p_values_are_corrected_for_what_was_asked(study: Study) -> None:
    for seed, noise in NOISE.items():
        values = constructed.pretrain(study, "stackbert", seed, 0.8, noise)
        edit(study.layout.run_record("stackbert", seed), points=values["points"])
    one = compare.run(study, ["stackbert"], ["scratch"], strict=False).table
    two = compare.run(study, ["stackbert"], ["scratch", "direct_copy"], strict=False).table.set_index("other")
    assert one["p_holm"].item() == one["p"].item() > 0
    assert two.loc["scratch", "p"] == one["p"].item()
    assert two["p_holm"].max() == pytest.approx(max(2 * two["p"].min(), two["p"].max()))


def test_records_that_were_not_made_alike_are_named_and_refused_under_strict(study: Study) -> None:
    edit(study.layout.run_record("bert2bert_fpi", 1), source_restored=-0.0025)
    notes = compare.run(study, ["bert2bert_fpi"], ["scratch"], strict=False).notes
    assert any("its loss is 0.0025 nats from its record's" in line for line in notes)
    with pytest.raises(GrowBenchError, match="a source was trained again"):
        compare.run(study, ["bert2bert_fpi"], ["scratch"], strict=True)
    other = constructed.provenance() | {"hardware": "GPU"}
    edit(study.layout.run_record("stackbert", 0), provenance=other)
    with pytest.raises(GrowBenchError, match="made on 2 kinds of hardware; leave out --strict"):
        compare.run(study, ["stackbert"], ["scratch"], strict=True)


def test_what_is_not_there_is_one_line(study: Study) -> None:
    with pytest.raises(GrowBenchError, match="stackbrt: not a method of study made; did you mean 'stackbert'"):
        compare.run(study, ["stackbrt"], [], strict=False)
    with pytest.raises(GrowBenchError, match=r"msg-s0\.json"):
        compare.run(study, ["msg"], ["scratch"], strict=False)
    notes = compare.run(study, ["stackbert"], ["scratch"], strict=False).notes
    assert "Placebo against scratch: 0.0 %." in notes
    for seed in study.seeds:
        values = constructed.pretrain(study, "placebo", seed, 1.02)
        edit(study.layout.run_record("placebo", seed), points=values["points"])
    notes = compare.run(study, ["stackbert"], ["scratch"], strict=False).notes
    assert "Placebo against scratch: -2.0 %. It is above 1 %, so no saving of this study is a finding." in notes
    study.layout.run_record("placebo", 2).unlink()
    assert "No placebo was run." in compare.run(study, ["stackbert"], ["scratch"], strict=False).notes


def test_a_block_for_a_paper_holds_the_rows_and_where_they_are_from(study: Study) -> None:
    found = compare.run(study, ["stackbert"], ["scratch"], strict=False)
    text = comparison.markdown(found.study, found.table, found.notes)
    assert text.startswith("**made**\n\n| method | verdict | other | saving | p (Holm) | detectable |")
    assert "| stackbert | better than | scratch | 20.0 % [20.0, 20.0] |" in text and "commit abc123def456" in text
