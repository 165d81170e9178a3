"""Minimal pairs: one thing wrong in each, nothing that counting words would tell, and the same text gives the same pairs."""

import random
from collections import Counter

import pytest

from growbench import synthetic
from growbench.errors import GrowBenchError
from growbench.tasks import pairs

NOUNS = ["cat", "dog", "bird", "fish", "horse", "mouse", "owl", "bear", "wolf", "deer", "goat", "duck"]
VERBS = ["sees", "hears", "finds", "likes", "meets", "helps"]


def text(count: int = 4000, seed: int = 0) -> list[str]:
    """Documents of made-up sentences that hold every word of an exchange."""
    rng = random.Random(seed)
    lead = [word for pair in pairs.EXCHANGES for word in pair]
    sentences = [
        f"The {rng.choice(NOUNS)} {rng.choice(VERBS)} {rng.choice(lead)} {rng.choice(NOUNS)} near {rng.choice(NOUNS)} {n}."
        for n in range(count)
    ]
    return ["\n".join(sentences[n : n + 10]) for n in range(0, count, 10)]


def test_each_kind_changes_one_thing_and_leaves_both_ends() -> None:
    for pair in pairs.make(text(), 800):
        right, wrong = pair.right.split(), pair.wrong.split()
        assert right[0] == wrong[0] and right[-1] == wrong[-1] and len(right) == len(wrong) and right != wrong
        changed = [place for place, (one, other) in enumerate(zip(right, wrong, strict=True)) if one != other]
        if pair.kind in ("shuffled", "swapped"):
            assert sorted(right) == sorted(wrong)
        if pair.kind == "swapped":
            assert len(changed) == 2 and changed[1] == changed[0] + 1
        if pair.kind == "replaced":
            assert len(changed) == 1
        if "/" in pair.kind:
            assert len(changed) == 1
            assert {right[changed[0]], wrong[changed[0]]} == set(pair.kind.split("/"))


def test_kinds_are_balanced_and_so_are_the_two_words_of_an_exchange() -> None:
    found = pairs.make(text(), 800)
    assert Counter(pair.kind for pair in found) == dict.fromkeys(pairs.KINDS, 100)
    assert len({(pair.kind, pair.right) for pair in found}) == len(found)
    scarce = [document.replace(" an ", " one ") if n % 40 else document for n, document in enumerate(text())]
    uneven = pairs.make(scarce, 800)
    right = [pair for pair in uneven if pair.kind == "a/an"]
    assert 2 * sum(" an " in pair.right for pair in right) == len(right) > 0
    for one, other in pairs.EXCHANGES:
        right = [pair for pair in found if pair.kind == f"{one}/{other}"]
        assert sum(one in pair.right.split() for pair in right) >= 50
        assert sum(f" {one} " in pair.right and f" {other} " in pair.wrong for pair in right) == 50


def test_a_model_that_counts_words_is_right_by_chance() -> None:
    """The sum of log-counts of the words: no kind is told by it."""
    documents = text(12_000, seed=1)
    counts = Counter(word for document in documents for word in document.split())
    found = pairs.make(documents, 4_000)
    for kind in pairs.KINDS:
        gains = [_count(counts, pair.right) - _count(counts, pair.wrong) for pair in found if pair.kind == kind]
        right = sum((gain > 1e-9) + 0.5 * (abs(gain) <= 1e-9) for gain in gains) / len(gains)
        assert abs(right - 0.5) < 0.1, kind


def test_a_replacement_is_at_most_twice_or_half_as_frequent() -> None:
    """Of the words in small letters, `rare` has no neighbor in frequency."""
    documents = [f"The {'cat dog' if n else 'rare'} sees a bird {n} now." for n in range(40)]
    counts = Counter(word for document in documents for word in document.split())
    found = [pair for pair in pairs.make(documents, 400) if pair.kind == "replaced"]
    for pair in found:
        ((right, wrong),) = [
            two for two in zip(pair.right.split(), pair.wrong.split(), strict=True) if len(set(two)) > 1
        ]
        assert 0.5 <= counts[wrong] / counts[right] <= 2
    assert len(found) > 30


def _count(counts: Counter[str], sentence: str) -> float:
    return sum(float(counts[word]) ** 0.25 for word in sentence.split())


def test_the_same_text_gives_the_same_pairs_and_they_come_from_all_of_it() -> None:
    documents = text()
    found = pairs.make(documents, 80)
    assert found == pairs.make(list(documents), 80) and found != pairs.make(text(seed=3), 80)
    where = [n for n, document in enumerate(documents) for pair in found if pair.right in document]
    assert min(where) < 0.1 * len(documents) and max(where) > 0.9 * len(documents)


@pytest.mark.parametrize(
    ("document", "sentences"),
    [
        ("One two three four five. Six seven.", ["One two three four five."]),
        ("A heading of five whole words\nOne two three four five.", ["One two three four five."]),
        ("He met Mr. Smith there today. It was J. F. Kennedy there.", ["He met Mr. Smith there today.", "It was J. F. Kennedy there."]),
        ('She said "come with me now." Then they all went home!', ['She said "come with me now."', "Then they all went home!"]),
        ("They sold approx. five cows then. Why not all six cows?", ["They sold approx. five cows then.", "Why not all six cows?"]),
        ("the cats see the dog . it is a cat .", ["the cats see the dog .", "it is a cat ."]),
        ("go " * 18 + "go.", []),
        ("go " * 17 + "go.", ["go " * 17 + "go."]),
        ("One two three now. One two three four now.", ["One two three four now."]),
        ("no stop at the end here", []),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_say_so(document: str, sentences: list[str]) -> None:
    assert [" ".join(words) for words in pairs.split(document)] == sentences


def test_text_without_a_word_of_a_kind_has_the_other_kinds() -> None:
    documents = [document for _, document in zip(range(300), synthetic.documents(0), strict=False)]
    kinds = {pair.kind for pair in pairs.make(documents, 400)}
    assert {"shuffled", "swapped", "replaced", "is/are"} <= kinds and "was/were" not in kinds
    with pytest.raises(GrowBenchError, match="held-out sentences of 5 to 18 words"):
        pairs.make(["no stop", "one two."], 400)
