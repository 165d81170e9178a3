"""Where things lie: these paths are committed, so they do not change."""

from pathlib import Path

import pytest

from growbench.records.layout import Layout, run_name

LAYOUT = Layout("mini")
PLACES = {
    LAYOUT.root: "results/mini",
    LAYOUT.corpus: "results/mini/corpus",
    LAYOUT.corpus_manifest: "results/mini/corpus/manifest.json",
    LAYOUT.corpus_lock: "results/mini/.corpus.lock",
    LAYOUT.tokenizer: "results/mini/corpus/tokenizer",
    LAYOUT.tasks: "results/mini/tasks",
    LAYOUT.tasks_manifest: "results/mini/tasks/manifest.json",
    LAYOUT.tasks_lock: "results/mini/.tasks.lock",
    LAYOUT.run("scratch", 0).path: "results/mini/runs/scratch-s0",
    LAYOUT.run("scratch", 0).lock: "results/mini/runs/scratch-s0/.lock",
    LAYOUT.run("scratch", 0).state: "results/mini/runs/scratch-s0/state",
    LAYOUT.run("scratch", 0).point("p100"): "results/mini/runs/scratch-s0/points/p100",
    LAYOUT.run("scratch", 0).finetuned("p100"): "results/mini/runs/scratch-s0/finetune/p100",
    LAYOUT.search("scratch").path: "results/mini/search/scratch",
    LAYOUT.trial("scratch", 0.5, 1e-3, None).path: "results/mini/search/scratch/0.5-0.001",
    LAYOUT.trial("scratch", 0.5, 1e-3, 200).diverged: "results/mini/search/scratch/0.5-0.001-200/diverged.json",
    LAYOUT.records: "results/mini/records",
    LAYOUT.search_record("scratch"): "results/mini/records/search/scratch.json",
    LAYOUT.run_record("scratch", 0): "results/mini/records/pretrain/scratch-s0.json",
    LAYOUT.curve("scratch", 0): "results/mini/records/pretrain/scratch-s0.csv",
    LAYOUT.documents("scratch", 0): "results/mini/records/pretrain/scratch-s0.documents.csv",
    LAYOUT.finetune_record("scratch", 0, "p100"): "results/mini/records/finetune/scratch-s0-p100.json",
    LAYOUT.zeroshot_record("scratch", 0, "p100"): "results/mini/records/zeroshot/scratch-s0-p100.json",
    LAYOUT.attention_record(0): "results/mini/records/attention/s0.json",
    LAYOUT.lock("finetune", "scratch"): "results/mini/records/finetune/.scratch.lock",
    LAYOUT.tables: "results/mini/tables",
    LAYOUT.tables_lock: "results/mini/tables/.lock",
    LAYOUT.page("savings"): "results/mini/report/savings.html",
    LAYOUT.figure("savings", "png"): "figures/mini/savings.png",
    LAYOUT.log("corpus"): "logs/mini/corpus.log",
    LAYOUT.log("pretrain", run_name("scratch", 0)): "logs/mini/pretrain/scratch-s0.log",
    LAYOUT.benchmark("corpus"): "benchmarks/mini/corpus.tsv",
    LAYOUT.benchmark("pretrain", "scratch"): "benchmarks/mini/pretrain/scratch.tsv",
}


@pytest.mark.parametrize(("place", "expected"), PLACES.items(), ids=PLACES.values())
def test_places(place: Path, expected: str) -> None:
    assert place.as_posix() == expected


def test_wildcards_give_the_workflow_s_templates() -> None:
    layout = Layout("{study}")
    assert str(layout.run_record("{method}", "{seed}")) == "results/{study}/records/pretrain/{method}-s{seed}.json"
    point = layout.finetune_record("{method}", "{seed}", "{point}")
    assert str(point) == "results/{study}/records/finetune/{method}-s{seed}-{point}.json"
