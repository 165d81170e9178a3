"""The workflow, through snakemake itself: which jobs are planned, what is rerun, and how bad input ends."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.workflow import ROOT, snakemake

from growbench.records.layout import Layout
from growbench.study import config, timeline

DEMO = Layout("demo")


def planned(done: subprocess.CompletedProcess[str]) -> Counter[str]:
    """Count the planned jobs of a dry run by rule."""
    assert done.returncode == 0, done.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):$", done.stdout + done.stderr, re.MULTILINE)
    return Counter(jobs)


def outputs(done: subprocess.CompletedProcess[str], rule: str) -> set[str]:
    """Return the first output of every planned job of a rule."""
    text = done.stdout + done.stderr
    return set(re.findall(rf"^(?:local)?rule {rule}:\n(?:    input: .*\n)?    output: ([^,\n]+)", text, re.MULTILINE))


@pytest.mark.parametrize("profile", [[], ["--profile", "slurm"]], ids=["local", "slurm"])
def test_the_default_study_is_planned(tree: Path, profile: list[str]) -> None:
    study = config.load(tree / "config/demo.yaml")
    jobs_each = 1 if study.train.together else len(study.seeds)
    runs = len(study.methods) * jobs_each
    needs = any(study.reads_source(name) for name in study.methods)
    jobs = planned(snakemake(tree, "--cores", "all", "-n", *profile))
    scripts = (ROOT / "workflow/figures").glob("[!_]*.py")
    figures = len([path for path in scripts if path.stem != "zeroshot" or study.zeroshot.names])
    expected = {"corpus": 1, "tasks": 1, "source": jobs_each * needs, "pretrain": runs, "finetune": len(study.methods)}
    assert study.finetune.source
    assert jobs == {
        **expected,
        "finetune_source": 1,
        "attention": 1,
        "aggregate": 1,
        "figures": figures,
        "pages": 1,
        "all": 1,
    }


def test_every_job_of_a_cluster_says_what_it_needs_and_asks_for_no_gpu(tree: Path) -> None:
    done = snakemake(tree, "--cores", "all", "-n", "--profile", "slurm")
    jobs = dict(
        re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", done.stdout + done.stderr, re.MULTILINE)
    )
    assert {*jobs} >= {"corpus", "source", "pretrain", "finetune", "attention"}
    for rule, resources in jobs.items():
        if rule in ("all", "tasks", "aggregate", "figures", "pages"):  # where Snakemake runs
            continue
        assert {"cpus_per_task", "mem_mb", "runtime"} <= set(re.findall(r"(\w+)=", resources)), rule
        assert "slurm_extra=--signal=TERM@120" in resources and "gpu" not in resources
    for path in (ROOT / "workflow/rules").glob("*.smk"):  # a shell in between would die of SIGTERM before training has
        assert not re.search(r"(?<!exec )python -m growbench", path.read_text(encoding="utf-8")), path


def test_another_study_stands_alone(tree: Path) -> None:
    """Methods, seeds and paths of the demo do not leak into a study given by --configfile."""
    text = (tree / "config/demo.yaml").read_text(encoding="utf-8")
    other = re.sub(r"^methods:.*?^budget:", "methods:\n  scratch:\n\nbudget:", text, flags=re.MULTILINE | re.DOTALL)
    other = other.replace("study: demo", "study: other")
    assert set(config.load(tree / "config/demo.yaml").methods) > {"scratch"}
    (tree / "config/other.yaml").write_text(other, encoding="utf-8")
    done = snakemake(tree, "-n", "-p", "--configfile", "config/other.yaml", "--config", "seeds=[4]")
    assert outputs(done, "pretrain") == {str(Layout("other").run_record("scratch", 4))}
    assert "demo" not in re.sub(r"Command: .*|Config.*", "", done.stdout)
    assert "--config config/other.yaml --set 'seeds=[4]' --method scratch --seed 4" in done.stdout + done.stderr


def test_the_mini_study_is_planned_and_ends_in_one_line_without_its_data(tree: Path) -> None:
    (tree / "nowhere").mkdir()
    study = config.load(tree / "config/mini.yaml")
    jobs = planned(snakemake(tree, "-n", "--configfile", "config/mini.yaml"))
    assert jobs["pretrain"] == len(study.methods) * len(study.seeds)
    done = snakemake(tree, "--cores", "1", "--configfile", "config/mini.yaml", GROWBENCH_DATA=str(tree / "none"))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("growbench: data.dir: ") and "GROWBENCH_DATA" in last
    assert not (tree / "results").exists()
    assert not list((tree / ".snakemake/locks").glob("*"))


@pytest.mark.parametrize("name", ["base", "base-gpt"])
def test_a_base_study_is_planned_without_a_network_for_nodes_of_eight_gpus(tree: Path, name: str) -> None:
    study = config.load(tree / f"config/{name}.yaml")
    done = snakemake(tree, "-n", "-p", "--profile", "slurm", "--configfile", f"config/{name}.yaml")
    assert planned(done)["pretrain"] == len(study.methods) * len(study.seeds) == 21
    text = done.stdout + done.stderr
    found = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", text, re.MULTILINE)
    training = [resources for rule, resources in found if rule in ("pretrain", "source")]
    assert len(training) == 24
    assert all({"cpus_per_task=32", "gpu=8"} <= set(resources.split(", ")) for resources in training)
    assert all("gpu=1" in resources.split(", ") for rule, resources in found if rule in ("finetune", "attention"))
    assert "exec python -m growbench pretrain --config" in text and "torchrun" not in text


@pytest.mark.slow
def test_zero_shot_is_planned_if_a_causal_study_names_test_sets(tree: Path) -> None:
    study = config.load(tree / "config/demo-gpt.yaml")
    words = ("-n", "--configfile", "config/demo-gpt.yaml")
    assert "zeroshot" not in planned(snakemake(tree, *words))
    changes = ("zeroshot={names: [PTB, LAMBADA], points: [0.8, 1.0]}", "seeds=[3, 4]")
    done = snakemake(tree, *words, "-p", "--config", *changes)
    assert planned(done)["finetune"] == len(study.methods) and planned(done)["zeroshot"] == 2 * len(study.methods)
    text = done.stdout + done.stderr
    assert "growbench zeroshot --config config/demo-gpt.yaml" in text
    assert all(f"--method scratch --seed 3 4 --points {point} " in text for point in ("p80", "p100"))
    made = re.findall(r"results/demo-gpt/records/zeroshot/scratch-s\d-p\d+\.json", text)
    assert {Path(name).stem for name in made} == {f"scratch-s{s}-{p}" for s in (3, 4) for p in ("p80", "p100")}
    assert str(Layout("demo-gpt").tables / "zeroshot.md") in text
    refused = snakemake(tree, "-n", "--config", "zeroshot={names: [PTB]}").stderr.strip().splitlines()[-1]
    assert refused.startswith("growbench: config/demo.yaml + command line: zeroshot.names: PTB needs a causal model")
    missing = snakemake(tree, "--cores", "1", *words[1:], "--config", *changes, GROWBENCH_DATA=str(tree / "none"))
    assert "ptb.test.txt: cannot be read" in missing.stderr.strip().splitlines()[-1] and missing.returncode


def test_a_wrong_config_ends_in_one_line_before_the_plan(tree: Path) -> None:
    done = snakemake(tree, "--cores", "1", "--config", "optimizer={lrr: 1}")
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("growbench: config/demo.yaml + command line: optimizer.lrr: unknown key; did you mean 'lr'?")
    )
    assert "Traceback" not in done.stderr
    path = tree / "config/demo.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "seeds: [1]\n", encoding="utf-8")
    assert "seeds appears twice; give it once" in snakemake(tree, "-n").stderr


def test_seeds_are_trained_in_one_job_or_in_one_each(tree: Path) -> None:
    """The records are the same files; logs and benchmarks are one per job."""
    study, said = config.load(tree / "config/demo.yaml"), {}
    for together in (True, False):
        done = snakemake(tree, "-n", "-p", "--config", f"train={{together: {str(together).lower()}}}")
        each, text = 1 if together else len(study.seeds), done.stdout + done.stderr
        assert planned(done)["pretrain"] == len(study.methods) * each and planned(done)["source"] == each
        files = re.findall(r"results/demo/records/pretrain/[^\s,]+", "".join(re.findall(r"    output: .*\n", text)))
        said[together] = text
        assert set(files) == {
            str(path(name, seed))
            for name in (*study.methods, "source")
            for seed in study.seeds
            for path in (DEMO.run_record, DEMO.curve, DEMO.documents)
        }
    seeds = " ".join(map(str, study.seeds))
    assert f"--method scratch --seed {seeds} --log logs/demo/pretrain/scratch.log" in said[True]
    assert "--method scratch --seed 1 --log logs/demo/pretrain/scratch-s1.log" in said[False]
    assert "--method source --seed 1 --log logs/demo/pretrain/source-s1.log" in said[False]


def test_a_copy_of_a_method_file_gets_its_jobs(tree: Path) -> None:
    folder = tree / "src/growbench/methods"
    shutil.copy(folder / "scratch.py", folder / "another.py")
    done = snakemake(tree, "-n")
    assert str(DEMO.run_record("another", 0)) in outputs(done, "pretrain")
    assert any("another-s" in name for name in outputs(done, "finetune"))


def test_a_variant_gets_its_jobs_and_its_plan_file_is_checked_before_them(tree: Path) -> None:
    plan = tree / "plan.json"
    plan.write_text(
        json.dumps(timeline.of(config.load(tree / "config/demo.yaml"), "mslt").plan.to_list()), encoding="utf-8"
    )
    words = ("-n", "--config", "methods={early: {of: mslt, partial: 0.3}, given: {of: mslt, plan: plan.json}}")
    done = snakemake(tree, *words)
    for name in ("early", "given"):
        assert str(DEMO.run_record(name, 0)) in outputs(done, "pretrain")
    plan.write_text("[]", encoding="utf-8")
    assert "methods.given.plan: plan.json: not a list of stages" in snakemake(tree, *words).stderr


def test_a_study_that_searches_tries_every_method_and_the_source_first(tree: Path) -> None:
    study = config.load(tree / "config/demo.yaml")
    done = snakemake(tree, "-n", "-p", "--config", "search={lrs: [1e-3, 2e-3]}", "methods={mslt: {lr: 1e-3}}")
    jobs = planned(done)
    assert jobs["search"] == len(study.methods) - 1 and jobs["search_source"] == 1, "mslt names its LR itself"
    assert str(DEMO.tables / "search.csv") in done.stdout + done.stderr
    assert outputs(done, "search_source") == {str(DEMO.search_record("source"))}
    seed = study.search.seed
    assert outputs(done, "source_of_trials") == {str(DEMO.run_record("source", seed))}
    assert str(DEMO.run_record("source", seed)) not in outputs(done, "source")
    alone = planned(snakemake(tree, "-n"))
    assert "search" not in alone and "source_of_trials" not in alone


@pytest.mark.slow
def test_attention_is_measured_only_if_the_study_asks_for_it(tree: Path) -> None:
    without = planned(snakemake(tree, "-n", "--config", "attention=false"))
    figures = [path.stem for path in (ROOT / "workflow/figures").glob("[!_]*.py") if path.stem != "zeroshot"]
    assert "attention" not in without
    assert without["figures"] == len([name for name in figures if not name.startswith("attention")]) < len(figures)
    assert outputs(snakemake(tree, "-n"), "attention") == {str(DEMO.attention_record(0))}


def committed(tree: Path, study: str) -> tuple[str, ...]:
    """Copy a study's committed records, as a clone has them: with times in no order. Return the words of its dry run."""
    folder = Layout(study).root / "records"
    shutil.copytree(ROOT / folder, tree / folder, copy_function=shutil.copyfile)
    for number, path in enumerate(sorted((tree / folder).rglob("*.*"), reverse=True)):
        os.utime(path, (1e9 + number % 3, 1e9 + number % 3))
    return "-n", "--configfile", f"config/{study}.yaml"


@pytest.mark.slow
def test_committed_records_are_drawn_without_training_again(tree: Path) -> None:
    """A study without checkpoints gets its tables, figures and pages from its records."""
    jobs = planned(snakemake(tree, *committed(tree, "mini-gpt-tuned")))
    assert set(jobs) == {"aggregate", "figures", "pages", "all"}


@pytest.mark.slow
def test_committed_records_of_older_code_are_drawn_if_nothing_else_is_allowed(tree: Path) -> None:
    words = committed(tree, "mini")
    assert {"corpus", "source", "pretrain", "finetune"} <= set(planned(snakemake(tree, *words)))
    jobs = planned(snakemake(tree, *words, "--allowed-rules", "aggregate", "figures", "pages", "all"))
    assert set(jobs) == {"aggregate", "figures", "pages", "all"}


def test_tables_from_records_need_no_text(tree: Path) -> None:
    words = ("--cores", "1", "--configfile", "config/mini.yaml", "--allowed-rules", "all")
    done = snakemake(tree, *words, GROWBENCH_DATA=str(tree / "none"))
    assert "data.dir" not in done.stderr and "MissingInputException" in done.stderr


def test_the_workflow_is_lint_free() -> None:
    done = snakemake(ROOT, "--lint")
    assert done.returncode == 0, done.stderr


def test_the_generated_blocks_of_the_readme_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "workflow/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
