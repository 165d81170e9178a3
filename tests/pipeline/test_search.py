"""The search for learning rates: every trial is a short run, the best one trains all seeds, failed ones stay in the record."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from support.tiny import result, tiny

from growbench.analysis.frames import search as search_frame
from growbench.errors import GrowBenchError
from growbench.pipeline import forecast, search
from growbench.pipeline.pretrain import run as pretrain
from growbench.study.optimizer import SearchConfig
from growbench.study.timeline import CONFIGURED
from growbench.train.segment import Diverged


def searching(lrs: tuple[float, ...], share: float) -> SearchConfig:
    return SearchConfig(lrs=lrs, warmups=(), share=share, seed=0, most=24)


LRS = (1e-7, 4e-3, 1e-5)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return dataclasses.replace(tiny(tmp_path, set={"of": "scratch", "lr": 1e-3}), search=searching(lrs=LRS, share=0.5))


def test_the_lr_with_the_lowest_loss_trains_the_method(study) -> None:
    values = result(search.run(study, "scratch"))
    trials = {trial["lr"]: trial for trial in values["trials"]}
    assert tuple(trials) == LRS and values["lr"] == 4e-3 == search.chosen(study, "scratch").lr
    assert trials[4e-3]["loss"] < trials[1e-5]["loss"] < trials[1e-7]["loss"]
    assert not study.layout.search("scratch").path.exists()
    found = result(pretrain.run(study, "scratch", 0, search.chosen(study, "scratch")))
    assert found["options"]["lr"] == 4e-3
    curve = pd.read_csv(study.layout.curve("scratch", 0))
    assert curve["lr"].max() == pytest.approx(4e-3)
    for trial in trials.values():
        assert trial["flops"] == pytest.approx(0.5 * found["points"][-1]["flops"], rel=0.06)
    table = search_frame.build([values])
    assert list(table["chosen"]) == [False, True, False] and not table["failed"].any()


def test_the_source_is_searched_with_its_own_budget(study) -> None:
    values = result(search.run(study, "source"))
    source = result(pretrain.run(study, "source", 0, search.chosen(study, "source")))
    assert source["options"]["lr"] == values["lr"] == 4e-3
    assert values["trials"][0]["flops"] == pytest.approx(0.5 * source["points"][-1]["flops"])
    assert values["config_hash"] == source["config_hash"]
    grown = result(search.run(study, "bert2bert_fpi"))
    assert grown["lr"] in LRS
    planned = {row["method"]: row["search_flops"] for row in forecast.run(study, timing=False)}
    for record in (values, grown):
        spent = sum(trial["flops"] for trial in record["trials"])
        assert planned[record["method"]] == pytest.approx(spent, rel=1e-9)
    assert planned["set"] == 0, "it names its LR itself"


def test_a_trial_that_diverges_is_kept_and_not_chosen(study, monkeypatch) -> None:
    honest = pretrain.Run.train

    def wild(self):
        if self.timeline.options["lr"] == 4e-3:
            raise Diverged("optimizer.lr: the loss is not finite at step 3; use a smaller LR")
        return honest(self)

    monkeypatch.setattr(pretrain.Run, "train", wild)
    values = result(search.run(study, "scratch"))
    assert values["lr"] == 1e-5
    assert [trial["loss"] is None for trial in values["trials"]] == [False, True, False]

    def always(self):
        raise Diverged("optimizer.lr: the loss is not finite at step 3; use a smaller LR")

    monkeypatch.setattr(pretrain.Run, "train", always)
    search.run(study, "scratch")  # nothing that it depends on has changed
    study.layout.search_record("scratch").unlink()
    with pytest.raises(GrowBenchError, match=r"search\.lrs: scratch diverges at each of them"):
        search.run(study, "scratch")


def test_what_is_not_searched_keeps_the_configs_lr(study) -> None:
    assert search.chosen(study, "set") == CONFIGURED, "the method names its LR itself"
    with pytest.raises(GrowBenchError, match="no LR to try for set"):
        search.run(study, "set")
    none = dataclasses.replace(study, search=searching(lrs=(), share=0.5))
    assert search.chosen(none, "scratch") == CONFIGURED == search.chosen(none, "source")
    with pytest.raises(GrowBenchError, match=r"search/scratch\.json: no such file"):
        search.chosen(study, "scratch")


def test_a_search_of_other_lrs_is_refused(study) -> None:
    search.run(study, "scratch")
    path = study.layout.search_record("scratch")
    before = path.read_bytes(), path.stat().st_mtime_ns
    search.run(study, "scratch")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    for changed, words in (
        (
            dataclasses.replace(study, search=searching(lrs=LRS, share=0.4)),
            r"the share of the budget \(0\.5, now 0\.4\)",
        ),
        (dataclasses.replace(study, optimizer=dataclasses.replace(study.optimizer, clip=0.5)), "the config"),
    ):
        with pytest.raises(GrowBenchError, match=rf"scratch\.json: .*{words} .*changed since; run `growbench search"):
            search.chosen(changed, "scratch")
    other = dataclasses.replace(study, search=searching(lrs=(1e-3, 2e-3), share=0.5))
    with pytest.raises(GrowBenchError, match=r"scratch\.json: it tried .* search\.lrs is \[0\.001, 0\.002\]"):
        search.chosen(other, "scratch")
    search.run(other, "scratch")
    assert search.chosen(other, "scratch").lr in (1e-3, 2e-3)
