"""What finished points are scored on: their record, their documents, and a count by hand agree."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny import ROOT, SEP, result, tiny

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import setup, validation
from growbench.pipeline.search import run as search
from growbench.records import documents
from growbench.study import config, timeline
from growbench.study.study import Study


def changed(study: Study, **sections: dict[str, Any]) -> Study:
    """Return a study with values of its sections changed."""
    from dataclasses import replace

    return replace(study, **{name: replace(getattr(study, name), **values) for name, values in sections.items()})


def windows(study: Study, purpose: Any) -> Any:
    found = corpus.load(study.layout.corpus)
    objective = setup.objective_of(study, found.manifest["special"], found.manifest["vocab"])
    return validation.of(study, found, objective, purpose)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_losses_by_document_are_those_of_the_finished_model(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each next token of each odd document, in windows of 16, scored with the stock class; bf16 is used in training alone."""
    monkeypatch.chdir(tmp_path)
    study = changed(tiny(tmp_path, "gpt2", steps=20), train={"precision": precision})
    record = result(pretrain.run(study, "scratch", 0))
    found = documents.read(study.layout.documents("scratch", 0), record["documents"])
    folder = study.layout.run("scratch", 0).point("p100")
    model = families.load("gpt2").model_class().from_pretrained(folder).double().eval()
    ids = np.asarray(corpus.load(study.layout.corpus).valid).astype(np.int64)
    owner, body = np.cumsum(ids == SEP) - (ids == SEP), 15
    nats, tokens = dict.fromkeys(range(len(ids)), 0.0), dict.fromkeys(range(len(ids)), 0)
    for first in range(0, len(ids) // body * body, body):
        row = torch.from_numpy(np.concatenate([[2], ids[first : first + body]]))[None]
        with torch.no_grad():
            scores = torch.log_softmax(model(input_ids=row).logits[0], -1)
        for i in range(body):
            nats[owner[first + i]] -= float(scores[i, row[0, i + 1]])
            tokens[owner[first + i]] += 1
    assert found.numbers.tolist() == list(range(1, 80, 2)) and found.points == ("p60", "p80", "p100")
    assert found.tokens.tolist() == [tokens[number] for number in found.numbers]
    np.testing.assert_allclose(found.nats[-1], [nats[number] for number in found.numbers], rtol=1e-5)
    np.testing.assert_allclose(found.losses, [point["loss"] for point in record["points"]], rtol=1e-6)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_what_chooses_is_not_reported_and_the_trunk_sees_both(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = changed(tiny(tmp_path, family), train={"eval_sequences": 10_000, "final_sequences": 10_000})
    trunk, chosen, reported = (windows(study, purpose) for purpose in ("trunk", "choose", "report"))
    assert set(chosen.numbers % 2) == {0} and set(reported.numbers % 2) == {1}
    assert trunk.numbers.tolist() == list(range(80)) and trunk.tokens.sum() > 1.9 * reported.tokens.sum() > 0
    few = changed(study, train={"eval_sequences": 20, "final_sequences": 30})
    fewer = windows(few, "trunk")
    assert fewer.count == 20 and {0, 79} <= set(fewer.numbers.tolist()) and len(fewer.numbers) >= 20
    assert windows(few, "choose").count == windows(few, "report").count == 30


def test_methods_share_the_text_and_the_masks_of_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path)

    def batch(method: str, seed: int) -> list[Any]:
        found = corpus.load(study.layout.corpus)
        made = setup.stages_of(study, method, seed, timeline.of(study, method), found).batches.of(7)
        return [part.tolist() for part in (made.inputs, made.positions, made.labels)]

    assert batch("scratch", 0) == batch("bert2bert_fpi", 0) == batch("stackbert", 0)
    assert all(own != other for own, other in zip(batch("scratch", 0), batch("scratch", 1), strict=True))


def test_with_test_text_all_of_valid_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path, "gpt2")
    found = corpus.load(study.layout.corpus)
    tested = replace(found, test=np.array([9, 9, SEP] * 40, dtype=np.uint16))
    chosen, reported = (validation.of(study, tested, setup.CausalLM(), name) for name in ("choose", "report"))
    assert chosen.numbers.tolist() == list(range(80)) and reported.tokens.tolist() == [3] * 40
    assert {int(label) for batch in reported.batches for label in batch.labels} == {9, SEP}
    with pytest.raises(GrowBenchError, match=r"corpus\.test: nothing to predict in all documents; give more text"):
        empty = replace(found, test=np.full(40, SEP, dtype=np.uint16))
        validation.of(study, empty, setup.MaskedLM(0.3, 4, 64, frozenset({SEP})), "report")


def test_a_search_looks_at_no_reported_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = changed(tiny(tmp_path, steps=20), search={"lrs": (1e-3, 2e-3)})
    asked, honest = set(), validation.of

    def watched(study: Study, found: Any, objective: Any, purpose: Any) -> Any:
        asked.add(purpose)
        return honest(study, found, objective, purpose)

    monkeypatch.setattr(validation, "of", watched)
    search.run(study, "scratch")
    assert asked == {"trunk", "choose"}
    pretrain.run(study, "scratch", 0)
    assert asked == {"trunk", "choose", "report"}


def test_old_studies_keep_their_digest_and_another_test_text_changes_it() -> None:
    words = [
        "corpus.source=local",
        "corpus.train=a",
        "corpus.tokenizer=bpe",
        "tasks.source=local",
        "tasks.names=[CoLA]",
    ]
    plain, tested, more = (
        config.gather([ROOT / "config/demo.yaml"], [*words, *own]).trained_part()
        for own in ([], ["corpus.test=b"], ["train.final_sequences=4096"])
    )
    assert "test" not in plain["corpus"] and "final_sequences" not in plain["train"]
    assert tested["corpus"]["test"] == "b" and more["train"]["final_sequences"] == 4096
