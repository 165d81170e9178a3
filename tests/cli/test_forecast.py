"""growbench plan: a table with one row per method, the stages on request, and the totals of a study."""

import re
from pathlib import Path

import pytest

from growbench.cli import arguments, cluster
from growbench.cli import forecast as text
from growbench.cli import main as cli
from growbench.cli.speed import MEASURED, Speed
from growbench.pipeline import forecast
from growbench.study import config

ROOT = Path(__file__).resolve().parents[2]
DEMO = str(ROOT / "config/demo.yaml")


def test_one_row_per_method(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.main(["plan", "--config", DEMO, "--no-timing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("method"))
    rows = [line.split()[0] for line in lines[head + 1 : lines.index("", head)]]
    assert rows == ["source", *config.load(DEMO).methods]
    assert all(len(line) <= 100 for line in lines)
    scratch = next(line for line in lines if line.startswith("scratch "))
    assert scratch.split()[1:4] == ["1", "125.2", "k"] and " 1.00 " in scratch
    assert not any("parameters learn" in line for line in lines)


def test_stages_are_listed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--config", DEMO, "--no-timing", "--stages"]) == 0
    out = capsys.readouterr().out
    stages = out[out.index("\nmslt:") : out.index("\nplacebo:")].splitlines()[2:]
    assert len([line for line in stages if "parameters learn" in line]) == 3
    assert "top 1 learn" in out and "in ELECTRA's convention" in out


@pytest.mark.parametrize("name", ["base", "base-gpt"])
def test_totals_are_of_all_seeds(name: str) -> None:
    study = config.load(ROOT / f"config/{name}.yaml")
    rows = forecast.run(study, timing=False)
    spent = sum(3 * row["flops"] for row in rows)
    told = "\n".join(text.lines(study, rows, speed=Speed(1e14)))
    assert f"{spent:.4g} FLOPs, {spent / 1e14 / 86400:.4g} GPU-days at an assumed 1e+14 FLOP/s" in told
    assert "at most 16 GB of corpus" in told


def test_the_longest_chain_of_jobs_is_the_source_a_search_and_a_run() -> None:
    searched = {"optimizer.batch": 32, "search.lrs": [1e-3, 2e-3]}
    changes = [f"{key}={value}" for key, value in searched.items()]
    study = config.gather([DEMO], [*changes, "train.together=false", "train.processes=2", "train.nodes=2"])
    whole = {"flops": 100.0, "search_flops": 50.0, "seeds": [0, 1, 2], "disk_bytes": 3e9}
    rows = [{"method": name, **whole} for name in ("source", "scratch", "bert2bert_fpi")]
    hours = {"source": 1.0, "scratch": 8.0, "bert2bert_fpi": 9.0}
    told = list(cluster.lines(study, rows, hours))
    assert told == [
        "Longest chain of jobs: source, then search of bert2bert_fpi, then bert2bert_fpi: 15 hours",
        "All runs one after the other: 63 hours; more than 5 at a time cannot end sooner",
        "Disk fills by up to 3 GB with each run, 10.29 GB a day with one run at a time",
        "A preemption costs 1 minute(s) of 4 process(es) after SIGTERM, and up to 1 more without",
    ]
    together = config.gather([DEMO], [*changes, "train.together=true"])
    assert cluster.chain(together, rows[2], rows, hours) == 3 * (1 + 9) + 0.5 + 4.5


def test_a_step_takes_its_flops_but_no_less_than_its_launches() -> None:
    stages = [{"flops": 60.0, "steps": 2}, {"flops": 40.0, "steps": 1}]
    row = {"flops": 100.0, "stages": stages, "plan": [{"spec": {"layers": 5}}, {"spec": {"layers": 3}}]}
    assert Speed(10.0).seconds(row, gpus=1) == 10
    assert Speed(10.0, launch=0.1).seconds(row, gpus=1) == 10
    assert Speed(10.0, launch=1.0).seconds(row, gpus=1) == 2 * 5 + 4
    assert Speed(10.0, launch=1.0).seconds(row, gpus=10) == 2 * 5 + 3


def test_the_measured_speed_is_that_of_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    page, speed = (ROOT / "docs/BENCHMARKS.md").read_text(encoding="utf-8"), MEASURED["h200"]
    (rate,) = re.findall(r"^\| pre-training, compiled \| 512 \|[^|]*\|[^|]*\| ([\d.]+) ", page, re.MULTILINE)
    (step,) = re.findall(r"^\| \(6, 384\) \| compiled \| ([\d.]+) ", page, re.MULTILINE)
    assert speed.rate == pytest.approx(1e12 * float(rate), rel=1e-3)
    assert speed.launch == pytest.approx(float(step) / 1000 / 6, rel=1e-2)
    assert arguments._speed("H200") == speed and arguments._speed("3.87e14") == Speed(3.87e14)
    study = config.gather([str(ROOT / "config/base.yaml")], ["train.processes=1", "methods={scratch: null}"])
    rows = forecast.run(study, timing=False)
    told = [next(text.sums([(study, rows)], each)) for each in (Speed(speed.rate), speed)]
    floor, most = (float(re.findall(r" FLOPs, ([\d.]+) GPU-days at ", line)[0]) for line in told)
    assert floor <= most < 1.1 * floor  # steps of one GPU are large enough
    assert told[1].endswith(
        "GPU-days at 3.87e+14 FLOP/s, and at least 3.8 ms per layer and step, measured on an H200 (docs/BENCHMARKS.md)"
    )


def test_methods_that_all_leaves_out_are_listed_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--config", DEMO, "--no-timing"]) == 0
    listed = capsys.readouterr().out.partition("\nleft out ")[2].partition("\n\n")[0]
    reasons = config.load(DEMO).left_out
    assert [line.split()[0] for line in listed.splitlines()[1:] if line[0] != " "] == list(reasons)
    assert re.search(r"^stack +target\.hidden: stack grows layers, not hidden; keep 32$", listed, re.MULTILINE)


def test_points_that_a_method_does_not_have_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--config", str(ROOT / "config/mini-gpt.yaml"), "--no-timing"]) == 0
    assert (
        "stackbert: only at 0.4, 0.6, 0.8, 1.0; its last stage starts after the other points" in capsys.readouterr().out
    )


def test_a_target_that_reads_too_little_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--config", DEMO, "--no-timing"]) == 0
    assert "Warning: a target at 1.2 tokens per parameter" in capsys.readouterr().out
    enough = ["--set", "budget={steps: null, points: null, tokens_per_parameter: [2, 5.05]}"]
    assert cli.main(["plan", "--config", DEMO, "--no-timing", *enough, "--set", "data.repeat=true"]) == 0
    out = capsys.readouterr().out
    assert "Warning" not in out
    assert "Finished models at 0.396, 1.0 of the budget: 2, 5.05 tokens per parameter of the target" in out


def test_tokens_per_parameter_are_those_of_the_last_finished_model() -> None:
    study = config.load(ROOT / "config/demo.yaml")
    rows = {row["method"]: row for row in forecast.run(study, timing=False)}
    steps, tokens = study.budget.steps, study.optimizer.batch * study.objective.length
    scratch, source = rows["scratch"], rows["source"]
    assert scratch["tokens_per_parameter"] == pytest.approx(
        steps * tokens / scratch["stages"][0]["parameters"], rel=1e-2
    )
    assert scratch["tokens"] > steps * tokens  # the other points' cool-downs are no part of it
    assert source["tokens_per_parameter"] == pytest.approx(source["tokens"] / source["stages"][0]["parameters"])


def test_a_source_that_takes_no_steps_has_no_search_to_wait_for() -> None:
    assert cluster._search({"method": "source", "flops": 0.0, "search_flops": 0.0}, {"source": 0.0}) == 0.0
