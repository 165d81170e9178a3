"""The search's trials: short runs with a seed of their own, found again after an end, whose choice trains all seeds."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.tiny import result, tiny

from growbench.analysis.frames import search as search_frame
from growbench.errors import GrowBenchError
from growbench.pipeline import forecast, triggers
from growbench.pipeline.aggregate import fit
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.search import choice
from growbench.pipeline.search import run as search
from growbench.records import record
from growbench.study import search_check, timeline
from growbench.study.optimizer import SearchConfig
from growbench.study.study import Study
from growbench.study.timeline import CONFIGURED, Peak
from growbench.train.segment import Diverged

SEED = 7


def searching(study: Study, **changes: Any) -> Study:
    values: dict[str, Any] = {"lrs": (4e-3,), "warmups": (4,), "share": 0.5, "seed": SEED, "most": 24}
    return dataclasses.replace(study, search=SearchConfig(**{**values, **changes}))


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    made = tiny(tmp_path, set={"of": "scratch", "lr": 1e-3, "warmup": 3}, half={"of": "scratch", "lr": 1e-3})
    return dataclasses.replace(made, optimizer=dataclasses.replace(made.optimizer, warmup=2))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int | None]]:
    """Let trials tell a constructed loss, lowest at LR 1.2e-3 and 2 steps, without training; return those that are asked."""
    asked = []

    def loss(self: search.Trials, lr: float, warmup: int | None) -> float:
        run = pretrain.Run(self.study, self.method, self.study.search.seed, self.ranks, Peak(lr, warmup), share=0.5)
        value = 3.0 + abs(lr - 1.2e-3) + 1e-3 * abs((warmup or 2) - 2)
        asked.append((lr, warmup))
        self.identity = run.identity
        self.taken.append({"lr": lr, "warmup": warmup, "loss": value, "flops": 1.0})
        return value

    monkeypatch.setattr(search.Trials, "loss", loss)
    return asked


def test_what_the_search_chose_trains_every_seed(plain: Study) -> None:
    study = searching(plain)
    values = result(search.run(study, "scratch"))
    losses = {(trial["lr"], trial["warmup"]): trial["loss"] for trial in values["trials"]}
    best = min(losses, key=losses.__getitem__)
    assert values["seed"] == SEED and values["bracketed"] in (True, False) and (4e-3, 4) in losses
    assert values["warmup"] == best[1] and best[0] / 1.42 <= values["lr"] <= best[0] * 1.42
    assert losses[best[0] / 2, best[1]] > losses[best] < losses[best[0] * 2, best[1]]
    assert not study.layout.search("scratch").path.exists()
    chosen = choice.chosen(study, "scratch")
    assert chosen == Peak(values["lr"], values["warmup"])
    found = result(pretrain.run(study, "scratch", 0, chosen))
    assert {key: found["options"][key] for key in ("lr", "warmup")} == dataclasses.asdict(chosen)
    assert {key: found["identity"][key] for key in ("lr", "warmup")} == dataclasses.asdict(chosen)
    assert fit.run(study, study.layout.run_record("scratch", 0), found)
    rates = pd.read_csv(study.layout.curve("scratch", 0)).query("phase == 'trunk'")
    assert rates["lr"].max() == pytest.approx(values["lr"])
    for trial in values["trials"]:
        assert trial["flops"] == pytest.approx(0.5 * found["points"][-1]["flops"], rel=0.06)


def test_a_trial_has_as_many_warmup_steps_as_a_run(plain: Study) -> None:
    run, trial, source = (
        pretrain.Run(plain, name, SEED, pretrain.ranks.ALONE, share=share).timeline
        for name, share in (("scratch", 1.0), ("scratch", 0.5), ("source", 1.0))
    )
    for line in (run, trial, source):
        rates = line.schedule(0, 0.0)
        assert [rates.lr_of_step(0.0, line.costs[0].flops, step) for step in range(4)] == pytest.approx(
            [rates.peak / 2, rates.peak, rates.peak, rates.peak]
        )


def test_methods_trials_start_from_the_source_of_the_searchs_seed(plain: Study) -> None:
    study = searching(plain, warmups=())
    assert study.trial_seed() == SEED and searching(plain, lrs=(), warmups=()).trial_seed() is None
    with pytest.raises(GrowBenchError, match=rf"source-s{SEED}\.json"):
        search.run(study, "bert2bert_fpi")
    values = result(search.run(study, "source"))
    pretrain.run(study, "source", SEED, choice.chosen(study, "source"))
    source = result(study.layout.run_record("source", SEED))
    assert source["options"]["lr"] == values["lr"]
    assert values["config_hash"] == record.config_hash(study.trained_part(study.search.share)) != source["config_hash"]
    grown = result(search.run(study, "bert2bert_fpi"))
    assert grown["identity"]["source"] == source["points"][-1]["model"] and grown["warmup"] == 2
    assert choice.chosen(study, "bert2bert_fpi") == Peak(grown["lr"]), "the warm-up is the config's"


def test_the_forecast_of_a_search_is_an_estimate(plain: Study) -> None:
    planned = {row["method"]: row for row in forecast.run(searching(plain), timing=False)}
    assert planned["scratch"]["trials"] == 8 and planned["half"]["trials"] == 3 and planned["set"]["trials"] == 0
    whole = {name: timeline.of(plain, name).budget for name in ("scratch", "source")}
    assert planned["scratch"]["search_flops"] == pytest.approx(8 * 0.5 * whole["scratch"])
    assert planned["source"]["search_flops"] == pytest.approx((8 * 0.5 + 1) * whole["source"]), (
        "8 halves and a whole one"
    )
    assert planned["set"]["search_flops"] == 0, "it names both itself"


def test_one_of_the_two_can_be_fixed(plain: Study, told: list[tuple[float, int | None]]) -> None:
    study = searching(plain)
    assert result(search.run(study, "half"))["lr"] == 1e-3 and {lr for lr, _ in told} == {1e-3}
    assert choice.chosen(study, "half") == Peak(warmup=2)
    assert choice.chosen(study, "set") == CONFIGURED, "the method names both itself"
    with pytest.raises(GrowBenchError, match="nothing to search for set"):
        search.run(study, "set")
    none = searching(plain, lrs=(), warmups=())
    assert choice.chosen(none, "scratch") == CONFIGURED == choice.chosen(none, "source")
    with pytest.raises(GrowBenchError, match=r"search/scratch\.json: no such file"):
        choice.chosen(study, "scratch")


def test_a_trial_that_diverges_is_kept_and_not_trained_again(plain: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study, honest, ran = searching(plain, warmups=(), most=2), pretrain.Run.train, list[float]()

    def wild(self: pretrain.Run) -> Any:
        ran.append(self.timeline.options["lr"])
        if ran[-1] >= 4e-3:
            raise Diverged("optimizer.lr: the loss is not finite at step 3; use a smaller LR")
        return honest(self)

    monkeypatch.setattr(pretrain.Run, "train", wild)
    with pytest.raises(
        GrowBenchError, match=r"scratch: search\.most: 2 trials do not bracket .* finished trials are kept"
    ):
        search.run(study, "scratch")
    assert ran == [4e-3, 2e-3] and not study.layout.search_record("scratch").exists()
    ran.clear()
    values = result(search.run(searching(plain, warmups=()), "scratch"))
    assert 4e-3 not in ran, "it is known to diverge"
    assert {trial["lr"] for trial in values["trials"] if trial["loss"] is None} == {4e-3} and values["lr"] < 4e-3
    table = search_frame.build([values])
    assert list(table.loc[table["failed"], "lr"]) == [4e-3] and table["chosen"].sum() == 1


@pytest.mark.slow
def test_an_interrupted_search_finds_its_finished_trials(plain: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study, steps = searching(plain, warmups=()), list[int]()
    whole = search.run(study, "scratch").read_bytes()
    study.layout.search_record("scratch").unlink()
    honest = search.Trials.loss

    def stopped(self: search.Trials, lr: float, warmup: int | None) -> float | None:
        if len(self.taken) == 2:
            raise KeyboardInterrupt
        return honest(self, lr, warmup)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(search.Trials, "loss", stopped)
        search.run(study, "scratch")
    counted = pretrain.Run._steps

    def counting(self: pretrain.Run, count: int, lr: Any) -> None:
        steps.append(count)
        counted(self, count, lr)

    monkeypatch.setattr(pretrain.Run, "_steps", counting)
    again = result(search.run(study, "scratch"))
    before = json.loads(whole)
    assert again["trials"] == before["trials"] and again["lr"] == before["lr"]
    fresh = len(steps)
    study.layout.search_record("scratch").unlink()
    steps.clear()
    search.run(study, "scratch")
    assert fresh < len(steps), "two trials were not trained again"


def test_a_record_of_other_trials_is_refused(plain: Study, told: list[tuple[float, int | None]]) -> None:
    study = searching(plain)
    path = search.run(study, "scratch")
    before, values = (path.read_bytes(), path.stat().st_mtime_ns), result(path)
    assert (values["lr"], values["warmup"]) == (9.69e-4, 2) and fit.search(study, path, values)
    told.clear()
    search.run(study, "scratch")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before and not told
    for changed, words in (
        (searching(plain, share=0.4), r"the share of the budget \(0\.5, now 0\.4\) changed since"),
        (dataclasses.replace(study, optimizer=dataclasses.replace(study.optimizer, clip=0.5)), "the config"),
        (searching(plain, lrs=(3e-3,)), r"did not try LR 0\.003 with a warm-up of 4 steps, as search\.lrs \[0\.003\]"),
        (searching(plain, warmups=(16,)), "with a warm-up of 16 steps"),
        (searching(plain, lrs=(2e-3,)), r"tried LR 0\.004 with a warm-up of 4 steps, for which .* do not ask"),
        (searching(plain, warmups=()), r"did not try LR 0\.004 with a warm-up of 2 steps"),
    ):
        with pytest.raises(GrowBenchError, match=rf"scratch\.json: .*{words}.*; run `growbench search"):
            choice.chosen(changed, "scratch")
    for wrong in ({"lr": 1.5e-3}, {"trials": values["trials"][:-1]}):
        with pytest.raises(GrowBenchError, match=r"scratch\.json: it (chose|did not try) .*; run its job again"):
            fit.search(study, path, {**values, **wrong})
    search.run(searching(plain, lrs=(2e-3,)), "scratch")
    assert told[0] == (2e-3, 4)


def test_the_table_holds_the_losses_one_step_to_either_side(plain: Study, told: list[tuple[float, int | None]]) -> None:
    values = result(search.run(searching(plain), "scratch"))
    table = search_frame.build([values])
    best = table[table["chosen"]].iloc[0]
    assert (best["lr"], best["warmup"], best["lr_used"], best["warmup_used"]) == (1e-3, 2, 9.69e-4, 2)
    assert best["loss_lr_half"] == pytest.approx(3.0007) and best["loss_lr_double"] == pytest.approx(3.0008)
    assert best["loss_warmup_half"] == pytest.approx(3.0012) and best["loss_warmup_double"] == pytest.approx(3.0022)
    assert best["margin"] == pytest.approx(0.0005) and best["bracketed"]


@pytest.mark.parametrize("tokens", [False, True])
def test_a_new_finished_point_leaves_a_search_as_it_is(plain: Study, tokens: bool) -> None:
    """Trials have one point, at their end. The runs that take what the search chose are trained again."""

    def pointed(*shares: float, budget: float = 0.5) -> Study:
        given = {"steps": None, "points": None, "tokens_per_parameter": tuple(budget * share for share in shares)}
        changed = dataclasses.replace(plain.budget, **(given if tokens else {"points": shares}))
        return searching(dataclasses.replace(plain, budget=changed))

    before, after = pointed(0.5, 1.0), pointed(0.25, 0.5, 1.0)
    path = search.run(before, "scratch")
    values = result(path)
    chosen = choice.chosen(before, "scratch")
    assert choice.chosen(after, "scratch") == chosen and fit.search(after, path, values)
    assert triggers.search(before, "scratch") == triggers.search(after, "scratch")
    assert triggers.run(before, "scratch") != triggers.run(after, "scratch")
    other = pointed(0.5, 1.0, budget=0.6) if tokens else searching(plain, share=0.4)
    whole = searching(before, share=1)
    assert whole.trained_part(whole.search.share) == whole.trained_part() != before.trained_part(before.search.share)
    for changed in (other, whole):
        with pytest.raises(GrowBenchError, match=r"scratch\.json: .* changed since"):
            choice.chosen(changed, "scratch")


def test_a_fixed_list_of_an_older_study_is_taken_as_it_is(plain: Study) -> None:
    """Its search was never bracketed: the record says nothing of it, and holds the list's trials."""
    study = searching(plain, lrs=(1e-3, 2e-3), warmups=(), seed=0)
    trials = [{"lr": 1e-3, "loss": 3.0, "flops": 1.0}, {"lr": 2e-3, "loss": 2.9, "flops": 1.0}]
    assert choice.other_trials(study, "scratch", {"trials": trials, "lr": 2e-3}) == ""
    other = dataclasses.replace(study, search=dataclasses.replace(study.search, lrs=(1e-3,)))
    assert "search.lrs is [0.001]" in choice.other_trials(other, "scratch", {"trials": trials, "lr": 2e-3})
    table = search_frame.build([{"study": "s", "method": "scratch", "seed": 0, "share": 0.4, "lr": 2e-3, "trials": trials,
                                 "provenance": {"commit": "x", "dirty": False}}])  # fmt: skip
    assert list(table["chosen"]) == [False, True] and list(table["loss_lr_double"].dropna()) == [2.9]


def test_a_method_may_take_what_the_search_of_another_one_chose(
    plain: Study, told: list[tuple[float, int | None]]
) -> None:
    study = searching(
        dataclasses.replace(plain, methods={**plain.methods, "again": {"of": "scratch", "tuned_as": "half"}})
    )
    assert study.tuner("again") == "half" and study.tuner("source") == "source" and not study.searched("again")
    with pytest.raises(GrowBenchError, match="nothing to search for again"):
        search.run(study, "again")
    search.run(study, "half")
    assert choice.chosen(study, "again") == choice.chosen(study, "half") == Peak(warmup=2)
    found = result(pretrain.run(study, "again", 0, choice.chosen(study, "again")))
    assert found["identity"]["warmup"] == 2 and fit.run(study, study.layout.run_record("again", 0), found)
    with pytest.raises(GrowBenchError, match=r"warm-up \(4, now 2\) changed"):
        fit.run(study, study.layout.run_record("again", 0), found | {"identity": found["identity"] | {"warmup": 4}})


def test_the_warmups_of_a_search_fit_into_the_runs_that_take_its_choice(plain: Study) -> None:
    study = dataclasses.replace(
        plain, methods={**plain.methods, "early": {"of": "scratch", "budget": 0.1, "tuned_as": "scratch"}}
    )
    room, alone = search_check.Room(study, "scratch"), search_check.Room(plain, "scratch")
    assert room.fault(12) and not alone.fault(12)
