"""A ladder through snakemake: all studies in one graph, what it plans, and what it adds to what is there."""

import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import stubbed
from support.workflow import ROOT, snakemake

from growbench.records.layout import Layout

SMALL: dict[str, Any] = {
    "extends": "demo.yaml", "seeds": [0], "attention": False, "corpus": {"max_tokens": 60_000},
    "source": {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32, "steps": 20},
    "target": {"layers": 2, "hidden": 32, "heads": 4, "ffn": 64}, "budget": {"steps": 60, "points": [1.0], "total": False},
    "optimizer": {"batch": 8, "warmup": 1}, "train": {"eval_sequences": 32, "final_sequences": 32},
    "methods": {"scratch": None, "direct_copy": None}, "tasks": {"names": []},
}  # fmt: skip
STEPS = ("corpus", "source", "aggregate", "pages")  # of a study, one job each
BOTH = ("rung-a", "rung-b")
TOGETHER = {"ladder", "all"}


def write(tree: Path, *names: str) -> None:
    """Write a ladder of these studies, and their files if there are none."""
    for name in names:
        if not (tree / f"config/{name}.yaml").exists():
            stubbed.write(tree, name, SMALL | {"study": name})
    stubbed.write(tree, "rungs", {"ladder": "rungs", "studies": [f"{name}.yaml" for name in names]})


def whole(name: str, prefix: str | None = None) -> set[str]:
    """Return the jobs of one study, as rules of a ladder or (prefix "") by themselves."""
    prefix = f"{name}_" if prefix is None else prefix
    return {f"{prefix}{job}" for job in (*STEPS, "figures", "pretrain scratch", "pretrain direct_copy")}


@pytest.fixture
def rungs(tree: Path) -> Path:
    """A ladder of two studies whose steps only write their files."""
    stubbed.stub(tree)
    write(tree, *BOTH)
    return tree


def test_all_studies_are_planned_in_one_graph(rungs: Path) -> None:
    done = stubbed.run(rungs, "rungs", "-n", "-p", "--config", "seeds=[4]")
    assert stubbed.jobs(done) == whole("rung-a") | whole("rung-b") | TOGETHER
    text = done.stdout + done.stderr
    for name in BOTH:
        assert f"growbench pretrain --config config/{name}.yaml --set 'seeds=[4]' --method scratch --seed 4" in text
        assert f"--log {Layout(name).log('pretrain', 'scratch')}" in text


@pytest.mark.slow
def test_a_ladder_adds_what_is_new_to_what_is_there(rungs: Path) -> None:
    """Results of a study that ran by itself count, and a study that is added later runs alone."""
    alone = stubbed.run(rungs, "rung-a", "--cores", "2")
    assert alone.returncode == 0 and stubbed.jobs(alone) == whole("rung-a", "") | {"all"}, alone.stderr
    assert stubbed.planned(rungs, "rungs") == whole("rung-b") | TOGETHER
    done = stubbed.run(rungs, "rungs", "--cores", "2")
    assert done.returncode == 0 and stubbed.jobs(done) == whole("rung-b") | TOGETHER, done.stderr
    assert stubbed.planned(rungs, "rungs") == set() == stubbed.planned(rungs, "rung-b")
    write(rungs, *BOTH, "rung-c")
    assert stubbed.planned(rungs, "rungs") == whole("rung-c") | TOGETHER
    stubbed.write(rungs, "rung-a", SMALL | {"study": "rung-a", "methods": {"scratch": None}})
    shutil.rmtree(rungs / "results/rung-b/tables")
    late = stubbed.run(rungs, "rungs", "--cores", "2")
    assert late.returncode == 0, late.stderr
    assert {"rung-a_aggregate", "rung-b_aggregate"} <= stubbed.jobs(late)
    assert "rung-a_pretrain scratch" not in stubbed.jobs(late) and "rung-b_pretrain scratch" not in stubbed.jobs(late)
    assert "results/rung-a/records: this study does not use pretrain/direct_copy-s0" in late.stderr


@pytest.mark.slow
def test_one_study_of_a_ladder_can_be_asked_for(rungs: Path) -> None:
    assert stubbed.planned(rungs, "rungs", "rung-b_all") == whole("rung-b") | {"rung-b_all"}


@pytest.mark.slow
def test_a_job_of_a_cluster_finds_its_rule(rungs: Path) -> None:
    """A submitted job is a Snakemake of its own, which is told its rule, its wildcards and the config file."""
    target = ["--target-jobs", "rung-b_corpus:study=rung-b", "--allowed-rules", "rung-b_corpus"]
    done = stubbed.run(rungs, "rungs", *target, "--mode", "remote", "--force", "--nolock", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert (rungs / Layout("rung-b").corpus_manifest).exists() and not (rungs / Layout("rung-a").root).exists()
    planned = stubbed.run(rungs, "rungs", "-n", "--profile", "slurm")
    resources = re.findall(r"^rule rung-a_pretrain:\n(?:    .*\n)*?    resources: (.*)$", planned.stdout, re.MULTILINE)
    assert len(resources) == 2 and all("cpus_per_task=1" in text for text in resources), planned.stderr


@pytest.mark.slow
def test_tables_of_a_ladder_are_made_from_records_alone(rungs: Path) -> None:
    words = runpy.run_path(str(ROOT / "workflow/tables.py"))["words"]
    assert words(DEMO := str(ROOT / "config/demo.yaml")) == [
        "--configfile", DEMO, "--allowed-rules", "aggregate", "figures", "pages", "all", "--forcerun", "aggregate",
    ]  # fmt: skip
    assert stubbed.run(rungs, "rungs", "--cores", "2").returncode == 0
    shutil.rmtree(rungs / Layout("rung-a").corpus)
    given = words(str(rungs / "config/rungs.yaml"))
    done = snakemake(rungs, "-n", *given)
    tables = {f"{name}_{rule}" for name in BOTH for rule in ("aggregate", "figures", "pages")}
    assert done.returncode == 0 and stubbed.jobs(done) == tables | TOGETHER, done.stderr


def test_the_comparison_reads_the_tables_of_every_study(rungs: Path) -> None:
    done = stubbed.run(rungs, "rungs", "-n", "-p", "ladder")
    text = done.stdout + done.stderr
    assert done.returncode == 0 and "growbench ladder --config config/rungs.yaml --log logs/rungs/ladder.log" in text
    read = next(iter(re.findall(r"rule ladder:\n    input: (.*)", text))).split(", ")
    tables = ("points.csv", "savings.csv", "savings_by_point.csv")
    assert read == [str(Layout(name).tables / table) for name in BOTH for table in tables]


def test_a_fault_of_a_study_ends_in_one_line_before_the_plan(rungs: Path) -> None:
    stubbed.write(rungs, "rung-b", SMALL | {"study": "rung-b", "seeds": []})
    done = stubbed.run(rungs, "rungs", "-n")
    assert done.returncode and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("growbench: config/rungs.yaml: studies: config/rung-b.yaml: seeds: ")


@pytest.mark.slow
def test_two_studies_are_trained_drawn_and_reported_together(tree: Path) -> None:
    write(tree, *BOTH)
    done = stubbed.run(tree, "rungs", "--cores", "2")
    assert done.returncode == 0, done.stderr
    for name in BOTH:
        layout = Layout(name)
        for path in (layout.tables / "savings.md", layout.figure("savings", "png"), layout.page("savings")):
            assert (tree / path).stat().st_size
    page = (tree / Layout("rungs").tables / "ladder.md").read_text(encoding="utf-8")
    assert "Not run yet" not in page and all(f"| {name} |" in page for name in BOTH)
    assert (tree / Layout("rungs").figure("savings", "png")).stat().st_size
    assert stubbed.planned(tree, "rungs") == set()
    report = stubbed.run(tree, "rungs", "--report", "report.html")
    assert report.returncode == 0, report.stderr
    text = (tree / "report.html").read_text(encoding="utf-8")
    assert all(f'"study": "{name}"' in text for name in BOTH)
    stubbed.write(tree, "rung-b", SMALL | {"study": "rung-b", "methods": {"direct_copy": None, "scratch": None}})
    alone = stubbed.planned(tree, "rung-b")
    assert not {job for job in alone if "pretrain" in job}
