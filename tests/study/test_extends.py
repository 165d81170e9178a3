"""Configs that extend one another, what set each value, and what `all` stands for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.configs import ROOT, minilm
from support.workflow import snakemake

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.study import config, files, ladder

DEEP = '''"""Add copies of the layers below."""

from growbench.methods._contract import Method


class Deeper(Method):
    title, paper, grows = "Deeper", "none", ("layers",)


METHOD = Deeper()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "config/demo.yaml", tmp_path / "base.yaml")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(GrowBenchError) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_holds_only_what_differs_from_the_one_it_extends(folder: Path) -> None:
    one = write(folder / "one.yaml", "extends: base.yaml\nstudy: one\nseeds: [7]\noptimizer: {lr: 1e-3}\n")
    base, study = config.load(folder / "base.yaml"), config.load(one)
    assert (study.study, study.seeds, study.optimizer.lr) == ("one", (7,), 0.001)
    assert study.optimizer.source_lr == base.optimizer.source_lr and study.methods == base.methods


def test_files_extend_one_another_from_their_own_folders(folder: Path) -> None:
    write(folder / "one.yaml", "extends: base.yaml\nstudy: one\nseeds: [7]\nbudget: {steps: 500}\n")
    two = write(folder / "inner/two.yaml", "extends: ../one.yaml\nstudy: two\nbudget: {steps: 600}\n")
    study = config.load(two)
    assert (study.study, study.seeds, study.budget.steps) == ("two", (7,), 600)
    found = [Path(name).resolve() for name in config.files_of([two])]
    assert found == [folder / "base.yaml", folder / "one.yaml", two]


def test_methods_and_the_values_of_a_key_are_replaced_not_merged(folder: Path) -> None:
    write(folder / "one.yaml", "extends: base.yaml\nstudy: one\nfinetune: {tasks: {similarity: {epochs: 3}}}\n")
    text = "extends: one.yaml\nstudy: two\nmethods: {scratch: null}\nfinetune: {tasks: {paraphrase: {epochs: 2}}}\n"
    study = config.load(write(folder / "two.yaml", text))
    assert study.methods == {"scratch": {}} and study.finetune.tasks == {"paraphrase": {"epochs": 2}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("extends: none.yaml\nstudy: one\n", "extends: {folder}/none.yaml: No such file"),
        ("extends: one.yaml\nstudy: one\n", "extends: {folder}/one.yaml extends itself; remove"),
        ("extends: back.yaml\nstudy: one\n", "extends: {folder}/one.yaml extends itself; remove"),
        ("extends: 3\nstudy: one\n", "extends: 3 is not allowed; use the path of a config file"),
        ("extends: base.yaml\n", "study: missing; give it a name"),
        ("extends: base.yaml\nstudy: one\noptimiser: {lr: 1e-3}\n", "optimiser: unknown key; did you mean 'optimizer'"),
        ("extends: base.yaml\nstudy: one\noptimizer: {lrr: 1e-3}\n", "optimizer.lrr: unknown key; did you mean 'lr'"),
        ("extends: base.yaml\nstudy: one\noptimizer: 3\n", "optimizer: 3 is not allowed; use a mapping (key: value)"),
    ],
)
def test_a_file_that_extends_wrongly_is_refused_in_one_line(folder: Path, text: str, wanted: str) -> None:
    write(folder / "back.yaml", "extends: one.yaml\nstudy: back\n")
    line = refusal(write(folder / "one.yaml", text))
    assert line.startswith(f"{folder / 'one.yaml'}: ") and wanted.format(folder=folder) in line


def test_each_value_is_printed_with_what_set_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.DATA_VARIABLE, str(folder))
    one = write(folder / "one.yaml", "extends: base.yaml\nstudy: one\noptimizer: {lr: 1e-3}\n")
    text = config.printed([one], ["data.repeat=true"])
    origins = {line.split(":")[0].strip(): line.split("  # ")[-1] for line in text.splitlines() if "  # " in line}
    assert (origins["study"], origins["source_lr"], origins["mslt"]) == (str(one), *[str(folder / "base.yaml")] * 2)
    assert (origins["dir"], origins["repeat"]) == (config.DATA_VARIABLE, "--set")


def test_methods_that_replace_others_are_printed_with_their_own_file(folder: Path) -> None:
    write(folder / "one.yaml", "extends: base.yaml\nstudy: one\nmethods: {scratch: null, mslt: null}\n")
    two = write(folder / "two.yaml", "extends: one.yaml\nstudy: two\nmethods: {all: null}\n")
    rows = [row for row in config.printed([two]).splitlines() if row.startswith(("  mslt:", "  scratch:"))]
    assert len(rows) == 2 and all(row.endswith(f"# {two}") for row in rows)


@pytest.mark.slow
def test_the_printed_study_is_a_config_of_the_same_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minilm(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in sorted((ROOT / "config").glob("*.yaml")):
        if ladder.given([path]):
            continue
        study = config.load(path)
        again = config.load(write(tmp_path / "printed.yaml", config.printed([path])))
        assert again.trained_part() == study.trained_part() and again.methods == study.methods
        assert again.finetuned_part() == study.finetuned_part() and again.zeroshot_part() == study.zeroshot_part()


def test_all_stands_for_the_methods_that_can_make_the_target() -> None:
    demo = files.read(ROOT / "config/demo.yaml")
    study = config.load({**demo, "methods": {"all": None}})
    growing = {name for name in methods.names() if not methods.load(name).shrinks}
    unable = {"composable", "drop_upcycling", "interpolate", "layers", "stack", "upcycle"}
    assert set(study.left_out) == unable | {"scratch_iso"} == growing - set(study.methods)
    assert study.left_out["stack"] == "target.hidden: stack grows layers, not hidden; keep 32"
    assert study.left_out["scratch_iso"].startswith("budget.total is true, ")
    study = config.load(files.merged({**demo, "methods": {"all": None}}, {"budget": {"total": False}}))
    assert set(study.left_out) == unable and "scratch_iso" in study.methods
    assert config.load({**demo, "methods": {"scratch": None}}).left_out == {}
    with pytest.raises(GrowBenchError, match=r"methods\.stack: target\.hidden: stack grows layers"):
        config.load({**demo, "methods": {"all": None, "stack": None}})


@pytest.mark.slow
def test_a_new_method_that_only_adds_layers_leaves_the_demo_as_it_is(tmp_path: Path) -> None:
    for name in ("src", "workflow", "config", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    write(tmp_path / "src/growbench/methods/deeper.py", DEEP)
    words = [sys.executable, "-m", "growbench", "check", "--config", "config/demo.yaml"]
    done = subprocess.run(
        words, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    done = snakemake(tmp_path, "--cores", "1", "-n", "--quiet", "all")
    assert done.returncode == 0, done.stderr
