"""Single sentences of the synthetic language, with the class of each word, and ways to change them."""

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
    """A sentence.

    words: including the period. classes: the class of each word, a name in classes().
    latent: the number of its document's latent in LATENTS.
    """

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
        """Return the positions of nouns, verbs, adjectives and adverbs."""
        return [i for i, name in enumerate(self.classes) if is_content(name)]

    def with_words(self, changes: dict[int, str]) -> "Sentence":
        return replace(self, words=tuple(changes.get(i, word) for i, word in enumerate(self.words)))

    def without(self, places: set[int]) -> "Sentence":
        rest = [i for i in range(len(self.words)) if i not in places]
        return Sentence(tuple(self.words[i] for i in rest), tuple(self.classes[i] for i in rest), self.latent)


def is_content(name: str) -> bool:
    return name in ("Adj", "Adv") or name.rpartition(" ")[0] in INFLECTED


def sentences(seed: int, rng: np.random.Generator) -> Iterator[Sentence]:
    """Yield the first sentences of documents, endlessly: only those of SHORTEST to LONGEST words, and none twice."""
    words, names, seen = vocabulary(), classes(), set()
    stop = names.index(".")
    while True:
        drawn = draw(seed, rng, 1024)
        starts = np.cumsum(drawn.lengths) - drawn.lengths
        for start, length, latent in zip(starts.tolist(), drawn.lengths.tolist(), drawn.latents.tolist(), strict=True):
            end = start + 1 + drawn.classes[start : start + length].tolist().index(stop)
            text = tuple(words[i] for i in drawn.words[start:end])
            if SHORTEST <= len(text) <= LONGEST and text not in seen:
                seen.add(text)
                yield Sentence(text, tuple(names[i] for i in drawn.classes[start:end]), latent)


def grammatical(words: tuple[str, ...]) -> bool:
    """Return whether these words are exactly one sentence of the grammar."""
    return words[-1] == "." and words.count(".") == 1 and accepts([_readings()[word] for word in words])


@cache
def _readings() -> dict[str, tuple[int, ...]]:
    """Return the classes (numbers in classes()) to which each word can belong, under any latent."""
    possible = np.asarray(emissions(0).any(axis=1))
    return {word: tuple(np.flatnonzero(possible[:, i])) for i, word in enumerate(vocabulary())}


def other_number(word: str) -> str:
    """Return the form of an inflected word or a copula in the other number."""
    if word in ("is", "are"):
        return "are" if word == "is" else "is"
    return word[:-1] if word.endswith("s") and word[:-1] in _readings() else word + "s"


def redraw(sentence: Sentence, places: list[int], latent: int, seed: int, rng: np.random.Generator) -> Sentence:
    """Replace the content words at these positions by different ones, drawn as in a document of the given latent."""
    words, names, table = vocabulary(), classes(), emissions(seed)
    changes = {}
    for place in places:
        p = table[names.index(sentence.classes[place]), latent].copy()
        p[words.index(sentence.words[place])] = 0.0
        changes[place] = words[rng.choice(len(words), p=p / p.sum())]
    return sentence.with_words(changes)


def foreign(latent: int, rng: np.random.Generator) -> int:
    """Return a random latent of another topic."""
    topic = LATENTS[latent].topic
    return int(rng.choice([i for i, other in enumerate(LATENTS) if other.topic != topic]))
