"""Minimal pairs made from held-out text: a sentence, and the same sentence with one thing wrong. No torch, no network.

A model is right about a pair if the sentence is more likely than the changed one. The first and the last word stay in
their places, so that capital letters and full stops tell nothing, and both words of an exchange are the right one
equally often, so that counting words tells nothing either.

Kinds: all words between the first and the last shuffled; two adjacent ones of them swapped; `a` for `an`, `was` for
`were`, `is` for `are`, `has` for `have` or `this` for `these`, and the reverse; a word replaced by another one that
occurs about as often. The idea is BLiMP's (Warstadt et al., TACL 2020), with sentences that need no license or network.
"""

import hashlib
import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from growbench.errors import GrowBenchError

VERSION = 1  # to be raised when the same text gives other pairs
SHORTEST, LONGEST = 5, 18  # words of a sentence
EXCHANGES = (("a", "an"), ("was", "were"), ("is", "are"), ("has", "have"), ("this", "these"))
KINDS = ("shuffled", "swapped", *(f"{one}/{other}" for one, other in EXCHANGES), "replaced")
NEAR, FACTOR = (
    10,
    2,
)  # a word is replaced by one of its NEAR neighbors in order of frequency, at most FACTOR times as common
QUOTES = "\"'”’)]"
INITIALS = re.compile(r"\W*(?:[A-Za-z]\.)+\W*")
SHORT_FORMS = {
    "Mr.", "Mrs.", "Ms.", "Dr.", "St.", "Sr.", "Jr.", "Prof.", "Rev.", "Gen.", "Col.", "Capt.", "Lt.", "Sgt.", "Gov.", "Sen.",
    "Rep.", "Mt.", "Ft.", "No.", "no.", "vs.", "ca.", "cf.", "etc.", "al.", "Inc.", "Ltd.", "Co.", "Corp.", "Bros.", "Jan.",
    "Feb.", "Mar.", "Apr.", "Jun.", "Jul.", "Aug.", "Sep.", "Sept.", "Oct.", "Nov.", "Dec.",
}  # fmt: skip
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences of one kind that differ in one respect."""

    kind: str
    right: str
    wrong: str


def make(documents: Iterable[str], most: int) -> list[Pair]:
    """Return up to `most` pairs, at most as many of one kind as of another; kinds of which the text has none are left out.

    The same documents give the same pairs, and no sentence occurs twice in one kind. Raises GrowBenchError if the documents
    give no pair.
    """
    sentences = list(dict.fromkeys(words for document in documents for words in split(document)))
    each, neighbors = most // len(KINDS), _Neighbors(sentences)
    found = _changed(sentences, "shuffled", _shuffle, each) + _changed(sentences, "swapped", _swap, each)
    for one, other in EXCHANGES:
        found += _exchanged(sentences, one, other, each // 2)
    found += _changed(sentences, "replaced", neighbors.replace, each)
    if not found:
        raise GrowBenchError(
            f"zeroshot.names: pairs need held-out sentences of {SHORTEST} to {LONGEST} words that end in a full stop, and this "
            "text has none; use other text or leave pairs out"
        )
    return found


def split(document: str) -> Iterator[Words]:
    """Yield the words of each sentence of a usual length. A line without a full stop at its end, as a heading, is none."""
    for line in document.split("\n"):
        words, begun = line.split(), 0
        for place, word in enumerate(words, 1):
            if _ends(word, words[place] if place < len(words) else ""):
                if SHORTEST <= place - begun <= LONGEST:
                    yield tuple(words[begun:place])
                begun = place


def _ends(word: str, following: str) -> bool:
    """Return whether a sentence ends in this word: with a mark that belongs to no short form, before no small letter."""
    bare = word.rstrip(QUOTES)
    if not bare or bare[-1] not in ".!?" or bare in SHORT_FORMS or INITIALS.fullmatch(bare):
        return False
    return len(bare) == 1 or not following[:1].islower()


def _changed(
    sentences: Sequence[Words], kind: str, change: Callable[[Words, random.Random, int], Words | None], most: int
) -> list[Pair]:
    """Return pairs of one kind. change: returns the changed words, or None if a sentence cannot be changed so."""
    found: list[Pair] = []
    for words in _drawn(sentences, kind):
        if len(found) == most:
            break
        if wrong := change(words, random.Random(f"{kind} {' '.join(words)}"), len(found)):
            found.append(Pair(kind, " ".join(words), " ".join(wrong)))
    return found


def _drawn(sentences: Iterable[Words], kind: str) -> list[Words]:
    """Return the sentences in an order that looks random, so that the first ones come from all of the text."""

    def key(words: Words) -> bytes:
        return hashlib.blake2b(f"{kind} {' '.join(words)}".encode(), digest_size=8).digest()

    return sorted(sentences, key=key)


def _exchanged(sentences: Sequence[Words], one: str, other: str, most: int) -> list[Pair]:
    """Return at most `most` pairs in which `one` is right, and as many in which `other` is."""
    kind = f"{one}/{other}"
    ways = [_changed(sentences, kind, _exchange(word, new), most) for word, new in ((one, other), (other, one))]
    count = min(map(len, ways))
    return [pair for way in ways for pair in way[:count]]


def _exchange(word: str, new: str) -> Callable[[Words, random.Random, int], Words | None]:
    def change(words: Words, rng: random.Random, number: int) -> Words | None:
        places = [place for place in range(1, len(words) - 1) if words[place] == word]
        return _put(words, rng.choice(places), new) if places else None

    return change


def _put(words: Words, place: int, *new: str) -> Words:
    return (*words[:place], *new, *words[place + len(new) :])


def _shuffle(words: Words, rng: random.Random, number: int) -> Words | None:
    inner = list(words[1:-1])
    if len(set(inner)) < 2:
        return None
    while tuple(inner) == words[1:-1]:
        rng.shuffle(inner)
    return _put(words, 1, *inner)


def _swap(words: Words, rng: random.Random, number: int) -> Words | None:
    places = [place for place in range(1, len(words) - 2) if words[place] != words[place + 1]]
    if not places:
        return None
    place = rng.choice(places)
    return _put(words, place, words[place + 1], words[place])


class _Neighbors:
    """The words of a text in order of frequency: small letters only, so that a replacement looks like what it replaces."""

    def __init__(self, sentences: Iterable[Words]) -> None:
        self.counts = Counter(word for words in sentences for word in words[1:-1] if word.isalpha() and word.islower())
        self.order = sorted((count, word) for word, count in self.counts.items())

    def replace(self, words: Words, rng: random.Random, number: int) -> Words | None:
        """Replace a word by a more frequent one if the number of the pair is even, and by a rarer one if it is odd."""
        places = [place for place in range(1, len(words) - 1) if words[place] in self.counts]
        rng.shuffle(places)
        for place in places:
            if near := self._near(words[place], more=number % 2 == 0):
                return _put(words, place, rng.choice(near))
        return None

    def _near(self, word: str, more: bool) -> list[str]:
        count = self.counts[word]
        at = bisect_left(self.order, (count, word))
        near = self.order[at + 1 : at + 1 + NEAR] if more else self.order[max(0, at - NEAR) : at]
        return [new for other, new in near if max(count, other) <= FACTOR * min(count, other)]
