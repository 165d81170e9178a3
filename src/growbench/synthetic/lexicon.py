"""Words of the synthetic language, and how likely each is given a document's topic, mood and focus.

Inflection is regular: a plural noun ends in -s, a verb with a singular subject ends in -s.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

# topic: agents / things / verbs with an object / verb without one, of agents / of things / adjectives
TOPICS = {
    "sea": "sailor captain diver whale gull/boat sail net anchor harbor/steer row board haul/dive/drift/salty deep wet",
    "farm": "farmer shepherd horse cow goat/field barn plow fence wagon/plant feed milk tend/graze/ripen/green muddy dry",
    "music": "singer drummer pianist composer fiddler/song violin drum concert chord/play rehearse tune sing/hum/resound/"
    "loud tuneful slow",
    "space": "astronaut pilot alien robot explorer/rocket planet comet moon orbit/track scan detect probe/hover/glow/"
    "distant starry dark",
    "kitchen": "cook baker waiter guest chef/soup oven plate recipe spoon/bake stir taste serve/snack/boil/hot spicy sweet",
    "city": "driver tourist banker painter student/street bridge train market tram/visit tour build rent/stroll/close/"
    "crowded busy modern",
}
SHARED = "child friend stranger/thing place picture/see like follow need/wait/change/"
GROUPS = ("agent", "thing", "take", "stand agent", "stand thing", "adjective")
MOODS = {"good": "happy kind bright lovely calm/gladly gently well safely",
         "bad": "angry cruel gloomy ugly rough/sadly badly rudely harshly"}  # fmt: skip
FOCI = 4
NUMBERS, KINDS = ("s", "p"), ("agent", "thing")
SEP = "[SEP]"
FIXED = {
    "Det s": "the a this each", "Det p": "the some these many", "Poss s": "its", "Poss p": "their",
    "Refl s": "itself", "Refl p": "themselves", "Cop s": "is", "Cop p": "are",
    "Rel agent": "that who", "Rel thing": "that which", "Prep": "near behind with under above",
    "Conj": "and but while", "Never": "never", "(": "(", ")": ")", ",": ",", ".": ".", SEP: SEP,
}  # fmt: skip
TOPICAL, FOCUSED, MOODY = 0.95, 0.75, 0.95


@dataclass(frozen=True, slots=True)
class Latent:
    """What is constant in a document.

    topic: decides most words. mood: decides adjectives and adverbs.
    focus: the number of its favorite word in every group.
    """

    topic: str
    mood: str
    focus: int


LATENTS = tuple(Latent(*t) for t in product(TOPICS, MOODS, range(FOCI)))


@cache
def lemmas(topic: str | None) -> dict[str, tuple[str, ...]]:
    """Return the uninflected words of a topic by group; None: the words that all topics share."""
    line = SHARED if topic is None else TOPICS[topic]
    return {group: tuple(words.split()) for group, words in zip(GROUPS, line.split("/"), strict=True)}


def mood_words(mood: str, name: str) -> tuple[str, ...]:
    """Return the adjectives (Adj) or adverbs (Adv) of a mood."""
    adjectives, adverbs = MOODS[mood].split("/")
    return tuple((adjectives if name == "Adj" else adverbs).split())


def inflect(lemma: str, group: str, number: str) -> str:
    """Return a noun (groups agent, thing) in this number, or a verb (other groups) for a subject of this number."""
    return lemma + "s" if (group in KINDS) == (number == "p") else lemma


def classes() -> list[str]:
    """Return all word classes. A class and a latent together fix the distribution of a word."""
    inflected = [f"{group} {number}" for group in GROUPS[:5] for number in NUMBERS]
    return [*inflected, "Adj", "Adv", *FIXED]


@cache
def vocabulary() -> list[str]:
    """Return all words, each once, in a fixed order."""
    words: dict[str, None] = {}
    for latent in LATENTS:
        for name in classes():
            words.update(dict.fromkeys(_weights(name, latent, None)))
    return list(words)


@cache
def emissions(seed: int) -> np.ndarray:
    """Return P(word | class, latent), [classes, latents, words]. The seed ranks the words of each group."""
    names, words = classes(), {word: i for i, word in enumerate(vocabulary())}
    table = np.zeros((len(names), len(LATENTS), len(words)))
    for c, name in enumerate(names):
        for z, latent in enumerate(LATENTS):
            for word, weight in _weights(name, latent, seed).items():
                table[c, z, words[word]] += weight
    return table


def _weights(name: str, latent: Latent, seed: int | None) -> dict[str, float]:
    """Return P(word | class, latent) by word. Without a seed the probabilities have no meaning, only the words."""
    if name in FIXED:
        return _focused(tuple(FIXED[name].split()), name, latent, seed)
    if name in ("Adj", "Adv"):
        share = {mood: MOODY if mood == latent.mood else 1 - MOODY for mood in MOODS}
        moods = {w: share[m] * p for m in MOODS for w, p in _focused(mood_words(m, name), name, latent, seed).items()}
        topical = (
            _focused(lemmas(latent.topic)["adjective"], f"{latent.topic} Adj", latent, seed) if name == "Adj" else {}
        )
        half = 0.5 if topical else 1.0
        return {**{w: half * p for w, p in moods.items()}, **{w: (1 - half) * p for w, p in topical.items()}}
    group, number = name.rsplit(" ", 1)
    topical = _focused(lemmas(latent.topic)[group], f"{latent.topic} {group}", latent, seed)
    shared = _zipf(lemmas(None)[group], group, seed)
    mixed = {**{w: TOPICAL * p for w, p in topical.items()}, **{w: (1 - TOPICAL) * p for w, p in shared.items()}}
    return {inflect(w, group, number): p for w, p in mixed.items()}


def _focused(words: tuple[str, ...], name: str, latent: Latent, seed: int | None) -> dict[str, float]:
    """Return the probabilities of a group's words; the favorite of the document's focus has a share FOCUSED."""
    favorite = words[latent.focus % len(words)]
    return {w: (1 - FOCUSED) * p + FOCUSED * (w == favorite) for w, p in _zipf(words, name, seed).items()}


@cache
def _zipf(words: tuple[str, ...], name: str, seed: int | None) -> dict[str, float]:
    """Return weights 1 / rank^0.7, ranks permuted by the seed; all inflected forms of a group share them."""
    ranks = np.arange(1, len(words) + 1, dtype=float)
    if seed is not None:
        ranks = np.random.default_rng([seed, *name.encode()]).permutation(ranks)
    weights = ranks**-0.7
    return dict(zip(words, weights / weights.sum(), strict=True))
