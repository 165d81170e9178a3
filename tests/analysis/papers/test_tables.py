"""The papers' tables from constructed records: whose rows, which numbers, which grades, and that LaTeX can read them."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import constructed

from growbench.analysis import outputs
from growbench.analysis import papers as tables
from growbench.pipeline.aggregate import run as aggregate
from growbench.study.study import Study

METHODS: dict[str, Any] = {
    "scratch": None, "stackbert": None, "identity": {"of": "stackbert", "added": "identity"}, "direct_copy": None, "bert2bert_fpi": None, "bert2bert": None,
    "long": {"of": "bert2bert", "E_b": 0.5}, "short": {"of": "bert2bert", "E_b": 0.01},
    "compoundgrow": None, "tiled": {"of": "compoundgrow", "only": "ffn"},
    "cut": {"of": "compoundgrow", "only": "length", "length": "cut"},
    "zero_pad": None, "small": {"of": "zero_pad", "eps": 0.02},
}  # fmt: skip
GROWING = [name for name in tables.CATALOG if name != "weight_selection"]  # a study that shrinks: test_images.py
COSTS = {"stackbert": 0.8, "direct_copy": 1.3, "bert2bert_fpi": 0.5, "bert2bert": 0.6, "long": 0.9, "compoundgrow": 0.1}


def made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, methods: Mapping[str, Any], **changes: Any
) -> tuple[Study, Path]:
    """Write a study's records; return the study and the folder of its records."""
    monkeypatch.chdir(folder)
    study = constructed.study(methods, **changes)
    return study, constructed.write(folder, study, COSTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a study of METHODS with three equal seeds; compoundgrow takes half as many steps again."""
    with pytest.MonkeyPatch.context() as patch:
        study, records = made(tmp_path_factory.mktemp("tables"), patch, METHODS, **{"finetune.source": True})
        for path in records.glob("pretrain/compoundgrow-s*.json"):
            values = json.loads(path.read_text())
            for point in values["points"]:
                point["steps"] = int(1.5 * point["steps"])
            constructed.dump(path, values)
        return aggregate.run(study).resolve()


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def row(folder: Path, name: str, **wanted: str) -> dict[str, str]:
    """Return the one row whose cells have these values."""
    (found,) = [r for r in read(folder, name) if all(r[k].startswith(v) for k, v in wanted.items())]
    return found


NAMES = [
    ({"scratch": None}, ["overview"]),
    ({"scratch": None, "lemon": None}, ["overview", "bert2bert_loss_after_growth"]),
    ({"scratch": None, "g_stack": None}, ["overview"]),
    ({"scratch": None, "ki": None}, ["overview", "ligo"]),
    ({"scratch": None, "later": {"of": "compoundgrow"}}, ["overview", "compoundgrow", "compoundgrow_speedup"]),
    ({"scratch": None, "mslt": None}, ["overview", "bert2bert", "ligo"]),
]


@pytest.mark.parametrize(("methods", "names"), NAMES, ids=[names[-1] for _, names in NAMES])
def test_a_study_declares_the_tables_that_it_can_fill(methods: Mapping[str, Any], names: list[str]) -> None:
    assert list(tables.names(constructed.study(methods))) == names


def test_exactly_the_declared_files_are_written(folder: Path) -> None:
    written = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert written == set(outputs.names(constructed.study(METHODS)))
    papers = {path.name for path in folder.iterdir() if path.suffix == ".tex"}
    assert papers == {f"{name}.tex" for name in GROWING}


def test_declaring_needs_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from growbench.study import config; from growbench.analysis import outputs;"
        "print(outputs.names(config.load('config/demo.yaml'))); sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "overview.csv" in done.stdout


def test_bert2bert_has_the_numbers_put_in_and_those_published(folder: Path) -> None:
    fpi = row(folder, "bert2bert", method="bert2BERT, FPI", origin="this study")
    assert float(fpi["saving_target_only"]) == pytest.approx(0.5) and float(fpi["flops"]) == pytest.approx(5e13)
    assert float(fpi["saving_total"]) == pytest.approx(0.4) and fpi["grade"] == ""
    assert float(fpi["average"]) == pytest.approx(0.835)
    paper = row(folder, "bert2bert", method="bert2BERT, FPI", origin="bert2BERT (2110.07143), Table 1")
    assert float(paper["saving_target_only"]) == pytest.approx(0.304) and paper["grade"] == "[S2]"
    scratch = row(folder, "bert2bert", method="scratch", origin="bert2BERT (2110.07143)")
    assert float(scratch["flops"]) == pytest.approx(7.3e19) and float(scratch["average"]) == pytest.approx(0.855)
    copied = row(folder, "bert2bert", method="DirectCopy", origin="this study")
    assert float(copied["saving_target_only"]) == pytest.approx(-0.3)
    assert copied["flops_status"] == "not reached" and copied["flops"] == "", "it ends above scratch's loss"
    assert row(folder, "bert2bert", method="MSLT")["origin"] == "not run"


def test_only_values_of_grade_s_are_printed_as_published(folder: Path) -> None:
    """MSLT's 10.7 %, StackBERT's 24.3 % and DirectCopy's 12.2 % are remembered only."""
    printed = [r for r in read(folder, "bert2bert") if r["origin"].startswith("bert2BERT (")]
    assert {r["grade"] for r in printed} == {"[S2]"}
    savings = {r["saving_target_only"] for r in printed}
    assert savings == {"", "0.452", "0.384", "0.304", "0.239"}


def test_variants_are_only_in_the_table_of_their_option(folder: Path) -> None:
    assert not [r for r in read(folder, "bert2bert") if "long" in r["method"]]
    ours = [r for r in read(folder, "bert2bert_stages") if r["origin"] == "this study"]
    assert [(r["method"], float(r["E_b"])) for r in ours] == [("short", 0.01), ("bert2bert", 0.125), ("long", 0.5)]
    assert float(ours[2]["saving_target_only"]) == pytest.approx(0.1)
    assert float(row(folder, "bert2bert_stages", E_b="E_b = 20")["saving_target_only"]) == pytest.approx(0.254)


def test_a_variant_alone_takes_the_methods_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, _ = made(tmp_path, monkeypatch, {"scratch": None, "long": {"of": "bert2bert", "E_b": 0.5}}, seeds=[0])
    found = row(aggregate.run(study), "bert2bert", method="bert2BERT, AKI + two-stage: long")
    assert float(found["saving_target_only"]) == pytest.approx(0.1)


def test_the_loss_after_growth_is_compared_with_the_source(folder: Path) -> None:
    """Both losses are of all of the validation text, not of the documents of finished points."""
    assert constructed.loss_at(constructed.F) != constructed.ENDED
    found = [r for r in read(folder, "bert2bert_loss_after_growth") if r["origin"] == "this study"]
    assert {r["method"] for r in found} == {
        "direct_copy", "bert2bert_fpi", "bert2bert", "long", "short", "zero_pad", "small",
    }  # fmt: skip
    assert all(float(r["grown_loss"]) == 5.0 for r in found)
    assert all(float(r["source_loss"]) == constructed.ENDED for r in found)
    assert all(float(r["difference"]) == pytest.approx(5.0 - constructed.ENDED) for r in found)
    noise = read(folder, "han_zhang_eps")
    assert all(float(r["difference"]) == pytest.approx(5.0 - constructed.ENDED) for r in noise)
    plans = [r for r in read(folder, "plans") if r["enter"] == "source"]
    assert plans and all(float(r["loss_before"]) == constructed.ENDED for r in plans)
    published = row(folder, "bert2bert_loss_after_growth", origin="bert2BERT (2110.07143), initial loss: (12,512)")
    assert (published["source_loss"], published["grown_loss"]) == ("1.67", "1.7")


def test_ligo_is_complete_and_says_what_was_not_run(folder: Path) -> None:
    for method in ("MSLT", "KI", "LiGO"):
        assert row(folder, "ligo", method=method, origin="not run")["saving_target_only"] == ""
    theirs = row(folder, "ligo", method="LiGO", origin="LiGO (2303.00980), Table 1")
    assert float(theirs["saving_target_only"]) == pytest.approx(0.447) and theirs["grade"] == "[S]"
    assert float(theirs["CoLA"]) == pytest.approx(0.6209) and float(theirs["GLUE"]) == pytest.approx(0.8257)
    assert float(theirs["SQuAD2.0 EM"]) == pytest.approx(0.6717)
    assert float(row(folder, "ligo", method="StackBERT", origin="this")["saving_target_only"]) == pytest.approx(0.2)


def test_glue_and_squad_have_the_papers_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"source": "hub", "names": ["SST-2", "RTE", "SQuAD1.1"]}
    study, records = made(tmp_path, monkeypatch, {"scratch": None, "stackbert": None}, seeds=[0], tasks=tasks)
    for path in records.glob("finetune/*.json"):
        values = json.loads(path.read_text())
        for run in values["runs"]:
            run["metrics"] = {"f1": 0.8, "exact_match": 0.7} if run["task"] == "SQuAD1.1" else run["metrics"]
            run["score"] = 0.9 if run["task"] == "RTE" else run["score"]
        constructed.dump(path, values)
    folder = aggregate.run(study)
    found = row(folder, "ligo", method="StackBERT", origin="this study")
    assert (float(found["SQuAD1.1 F1"]), float(found["SQuAD1.1 EM"])) == (pytest.approx(0.8), pytest.approx(0.7))
    assert float(found["GLUE"]) == float(found["SST-2"]), "RTE is none of the paper's seven tasks"
    assert "RTE" in found and "SQuAD1.1" not in found and found["MNLI"] == ""
    assert float(row(folder, "bert2bert", method="StackBERT", origin="this")["SQuAD1.1 F1"]) == pytest.approx(0.8)


def test_operators_are_listed_under_their_dimension(folder: Path) -> None:
    found = {(r["dimension"], r["operator"]): r["method"] for r in read(folder, "compoundgrow")}
    assert found["FFN", "parameter sharing"] == "tiled" and found["length", "truncation"] == "cut"
    assert found["all three", "stacking + parameter sharing + embedding pooling"] == "compoundgrow"
    for place in (("FFN", "factorisation"), ("length", "embedding pooling"), ("depth", "stacking")):
        assert found[place] == "not run"


def test_a_schedules_speed_up_is_counted_at_equal_steps(folder: Path) -> None:
    other = [r for r in read(folder, "compoundgrow_speedup") if r["method"] == "CompoundGrow: tiled"]
    assert float(row(folder, "compoundgrow_speedup", method="Stack")["speedup_steps"]) == 0
    assert float(other[0]["speedup_steps"]) == 0
    whole = [r for r in read(folder, "compoundgrow_speedup") if r["method"] == "CompoundGrow"]
    assert (
        float(whole[0]["speedup_steps"]) == pytest.approx(0.5) and whole[0]["speedup_total_status"] == "at first point"
    )
    assert [r["speedup_steps_wall"] for r in whole[1:]] == ["0.736", "0.822"]


def test_stackbert_has_its_baselines_and_replications(folder: Path) -> None:
    assert row(folder, "stackbert", method="identity baseline: identity")["origin"] == "this study"
    theirs = row(folder, "stackbert", origin="LiGO (2303.00980), Table 1")
    assert float(theirs["saving_wall_target_only"]) == pytest.approx(0.333)


def test_zero_padding_is_sorted_by_eps(folder: Path) -> None:
    assert [(r["method"], r["eps"]) for r in read(folder, "han_zhang_eps")] == [("zero_pad", "0"), ("small", "0.02")]
    source, scratch, grown, small = read(folder, "han_zhang")
    assert source["method"] == "source" and float(source["average"]) > 0 and source["saving_total"] == ""
    assert (scratch["method"], grown["method"]) == ("target, scratch", "target, grown")
    assert small["method"] == "target, grown: small" and float(small["average"]) > 0


def test_the_overview_has_everything_of_every_method(folder: Path) -> None:
    found = {r["method"]: r for r in read(folder, "overview")}
    assert list(found) == list(METHODS)
    fpi = found["bert2bert_fpi"]
    assert float(fpi["saving_amortised"]) == pytest.approx(0.5 - 0.1 / 7), "seven methods share the source"
    assert float(fpi["speedup_target_only"]) == pytest.approx(1.0)
    assert fpi["saving_target_only_at_score_status"] == "at first point"
    assert float(fpi["loss_after_growth"]) == 5.0 and float(fpi["lag"]) == pytest.approx(0.05)
    assert float(fpi["lag_loss"]) == pytest.approx(constructed.loss_at(constructed.F / 20, 0.5) + 0.05)
    assert (float(fpi["wall_seconds"]), float(fpi["peak_memory_mb"]), fpi["n"]) == (100, 50, "3")
    assert float(fpi["improvement"]) > 0.5 and "[S2]" in fpi["published"]
    assert float(found["direct_copy"]["improvement"]) < 0.5


def test_a_study_that_fine_tunes_nothing_has_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, _ = made(tmp_path, monkeypatch, METHODS, seeds=[0])
    monkeypatch.setattr(Study, "finetuned_points", lambda self, method="": ())
    folder = aggregate.run(study)
    assert all((folder / name).is_file() for name in tables.files(study))
    assert "At equal score" not in (folder / "savings.md").read_text()
    assert read(folder, "overview")[1]["average"] == ""


def test_notes_say_scale_seeds_definition_and_provenance(folder: Path) -> None:
    text = (folder / "overview.md").read_text()
    for word in ("bert (2, 64) → (4, 128)", "n = 3", "2 % of the largest budget", "abc123def456", "[S2] second hand"):
        assert word in text


def cells(line: str) -> list[str]:
    """Return the cells of a row, not split at an escaped &."""
    assert line.endswith(r" \\"), line
    return re.split(r"(?<!\\)&", line[:-3])


@pytest.mark.parametrize("name", GROWING)
def test_latex_is_well_formed(folder: Path, name: str) -> None:
    text = (folder / f"{name}.tex").read_text(encoding="utf-8")
    assert text.isascii()
    plain = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
    assert "#" not in plain and "^" not in plain.replace("$^2$", "") and "_" not in plain.partition(r"\toprule")[2]
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    align = re.search(r"\\begin\{tabular\}\{(.*)\}$", text, re.MULTILINE)
    assert align
    columns = len(re.sub(r"p\{[^}]*\}", "p", align[1]))
    body = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if line != r"\midrule"]
    assert {len(cells(line)) for line in lines} == {columns}
    assert f"\\label{{tab:made:{name}}}" in text and len(lines) == len(read(folder, name)) + 1
