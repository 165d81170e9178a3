"""Single sentences of the synthetic language, with what is known of each word, and ways to change them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from growbench.synthetic.grammar import accepts
from growbench.synthetic.lexicon import GROUPS, LATENTS, Latent, classes, emissions, vocabulary
from growbench.synthetic.text import draw

SHORTEST, LONGEST = 4, 14  # two of them, with [CLS] and two [SEP], are at most 31 tokens
INFLECTED = GROUPS[:5]


@dataclass(frozen=True, slots=True)
class Sentence:
    """words and their classes (names in classes()), the full stop included; latent: of the document it is from."""

    words: tuple[str, ...]
    classes: tuple[str, ...]
    latent: int

    @property
    def about(self) -> Latent:
        return LATENTS[self.latent]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def content(self) -> list[int]:
        """Places of nouns, verbs, adjectives and adverbs."""
        return [i for i, name in enumerate(self.classes) if is_content(name)]

    def with_words(self, changes: dict[int, str]) -> "Sentence":
        return replace(self, words=tuple(changes.get(i, word) for i, word in enumerate(self.words)))

    def without(self, places: set[int]) -> "Sentence":
        kept = [i for i in range(len(self.words)) if i not in places]
        return Sentence(tuple(self.words[i] for i in kept), tuple(self.classes[i] for i in kept), self.latent)


def is_content(name: str) -> bool:
    return name in ("Adj", "Adv") or name.rpartition(" ")[0] in INFLECTED


def sentences(seed: int, rng: np.random.Generator) -> Iterator[Sentence]:
    """Yield the first sentence of one document after another, those of a handy length only, none twice."""
    words, names, seen = vocabulary(), classes(), set()
    stop = names.index(".")
    while True:
        drawn = draw(seed, rng, 1024)
        starts = np.cumsum(drawn.lengths) - drawn.lengths
        for start, length, latent in zip(starts.tolist(), drawn.lengths.tolist(), drawn.latents.tolist(), strict=True):
            end = start + 1 + drawn.classes[start : start + length].tolist().index(stop)
            said = tuple(words[i] for i in drawn.words[start:end])
            if SHORTEST <= len(said) <= LONGEST and said not in seen:
                seen.add(said)
                yield Sentence(said, tuple(names[i] for i in drawn.classes[start:end]), latent)


def grammatical(words: tuple[str, ...]) -> bool:
    """Is this one whole sentence of the grammar?"""
    return words[-1] == "." and words.count(".") == 1 and accepts([_readings()[word] for word in words])


@cache
def _readings() -> dict[str, tuple[int, ...]]:
    """The classes that can say each word, under any latent."""
    possible = np.asarray(emissions(0).any(axis=1))
    return {word: tuple(np.flatnonzero(possible[:, i])) for i, word in enumerate(vocabulary())}


def other_number(word: str) -> str:
    """The other form of an inflected word or of a copula."""
    if word in ("is", "are"):
        return "are" if word == "is" else "is"
    return word[:-1] if word.endswith("s") and word[:-1] in _readings() else word + "s"


def redraw(sentence: Sentence, places: list[int], latent: int, seed: int, rng: np.random.Generator) -> Sentence:
    """Say the content words at these places as a document of another latent would, each with another word."""
    words, names, table = vocabulary(), classes(), emissions(seed)
    changes = {}
    for place in places:
        p = table[names.index(sentence.classes[place]), latent].copy()
        p[words.index(sentence.words[place])] = 0.0
        changes[place] = words[rng.choice(len(words), p=p / p.sum())]
    return sentence.with_words(changes)


def foreign(latent: int, rng: np.random.Generator) -> int:
    """A latent of another topic."""
    topic = LATENTS[latent].topic
    return int(rng.choice([i for i, other in enumerate(LATENTS) if other.topic != topic]))
