"""The generated tasks: labels are true by construction, balanced, reproducible, and files read back as tasks."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from growbench.errors import GrowBenchError
from growbench.study import config
from growbench.synthetic.lexicon import FIXED, LATENTS, TOPICS, lemmas
from growbench.synthetic.sentences import grammatical
from growbench.tasks import glue, toyglue

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = {word for line in FIXED.values() for word in line.split()}


def made(name: str, count: int = 300) -> list[tuple[str, ...]]:
    return list(islice(toyglue.rows(name, 5), count))


@pytest.mark.parametrize("name", list(toyglue.TASKS))
def test_rows_follow_from_the_seed_and_hold_no_tabs_or_duplicates(name: str) -> None:
    first = made(name)
    assert first == made(name)
    assert first != list(islice(toyglue.rows(name, 6), 300))
    assert all(len(row) == len(toyglue.TASKS[name].text_columns) + 1 and "\t" not in "".join(row) for row in first)
    assert len({row[0] for row in first}) == len(first)


def test_no_label_is_far_from_its_share() -> None:
    for name, task in toyglue.TASKS.items():
        if task.labels is not None:
            found = Counter(row[-1] for row in made(name))
            assert set(found) == set(task.labels)
            assert max(found.values()) < 1.6 * 300 / task.num_labels


def test_acceptable_is_what_the_grammar_accepts() -> None:
    for sentence, label in made("acceptability"):
        assert grammatical(tuple(sentence.split())) == (label == "1")


def test_single_words_do_not_give_faults_away() -> None:
    """No word is (almost) only in sentences of one label: a fault is in how words go together."""
    found = {label: Counter() for label in "01"}
    for sentence, label in made("acceptability", 2000):
        found[label].update(sentence.split())
    for word, count in (found["0"] + found["1"]).items():
        if count >= 100:
            assert 0.3 < found["1"][word] / count < 0.7, word


def test_most_words_of_a_sentence_are_of_its_topic() -> None:
    own = {t: {w for group in lemmas(t).values() for w in group} for t in TOPICS}
    right = 0
    for sentence, label in made("topic"):
        seen = {w for word in sentence.split() for w in (word, word.removesuffix("s"))}
        right += max(TOPICS, key=lambda t: len(seen & own[t])) == label
    assert right / 300 > 0.9


def test_only_paraphrases_keep_all_content_words() -> None:
    for first, second, label in made("paraphrase"):
        content = [Counter(w for w in text.split() if w not in FUNCTION) for text in (first, second)]
        assert (content[0] == content[1]) == (label == "1")
        assert first != second


def test_contradictions_differ_by_one_never_and_entailments_by_none() -> None:
    for premise, hypothesis, label in made("entailment"):
        nevers = abs(premise.split().count("never") - hypothesis.split().count("never"))
        assert nevers == (label == "contradiction")
        if label == "entailment":
            assert set(hypothesis.split()) <= set(premise.split())


def test_similarity_is_the_share_of_content_words_kept() -> None:
    scores = []
    for first, second, score in made("similarity"):
        pairs = [(a, b) for a, b in zip(first.split(), second.split(), strict=True) if a not in FUNCTION]
        assert float(score) == pytest.approx(5 * np.mean([a == b for a, b in pairs]), abs=1e-3)
        scores.append(float(score))
    assert 1.0 < np.std(scores) < 2.5 and min(scores) == 0.0 and max(scores) == 5.0


def test_files_read_back_as_tasks_and_are_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = config.load(ROOT / "config/demo.yaml", {"tasks": {"names": ["topic", "similarity"]}})
    manifest = toyglue.build(study)
    before = manifest.read_bytes()
    for name in study.tasks.names:
        task, train, dev = glue.load(glue.task(name, study), study)
        assert (len(train), len(dev)) == (toyglue.TRAIN, toyglue.DEV)
        assert not task.subset
        assert not {row[0] for row in train} & {row[0] for row in dev}
    assert toyglue.build(study).read_bytes() == before
    assert len(LATENTS) > len(TOPICS)


def test_files_that_were_changed_or_not_made_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toyglue, "TRAIN", 4)
    monkeypatch.setattr(toyglue, "DEV", 2)

    def refusal(**changes: Any) -> str:
        made = config.load(ROOT / "config/demo.yaml", {"tasks": {"names": ["topic"]}} | changes)
        with pytest.raises(GrowBenchError, match="growbench corpus") as caught:
            glue.load(glue.task(made.tasks.names[0], made), made)
        return str(caught.value)

    study = config.load(ROOT / "config/demo.yaml", {"tasks": {"names": ["topic"]}})
    assert "no generated tasks here" in refusal()
    manifest = toyglue.build(study)
    assert glue.load(glue.task("topic", study), study)[0].files.keys() == {"train.tsv", "dev.tsv"}
    assert "similarity is not among the generated tasks" in refusal(tasks={"names": ["similarity"]})
    assert "made from seed 0, but corpus.seed is 1" in refusal(corpus={"seed": 1})
    path = study.layout.tasks / "topic/train.tsv"
    path.write_text(path.read_text().replace("sentence\ttopic", "sentence\ttopic ") + "x\tsea\n")
    assert "train.tsv: its SHA-256 does not match" in refusal()
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 0.0'))
    assert "manifest.json: its digest does not match" in refusal()
