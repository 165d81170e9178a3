"""Drawing documents of the synthetic language: many at once, one random walk on the automaton each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from growbench.synthetic.grammar import automaton
from growbench.synthetic.lexicon import LATENTS, SEP, classes, emissions, vocabulary

BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Drawn:
    """Documents one after the other: words [tokens] (numbers in vocabulary()) and their classes [tokens] (numbers in
    classes()), the separators included; lengths [documents]; latents [documents], numbers in LATENTS.
    """

    words: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray
    latents: np.ndarray


def documents(seed: int, stream: int = 0) -> Iterator[str]:
    """Yield documents without end: words and blanks, without the separator. Streams of one language are independent."""
    words = np.array(vocabulary(), dtype=object)
    block = 0
    while True:
        drawn = draw(seed, np.random.default_rng([seed, stream, block]), BLOCK)
        text = words[drawn.words].tolist()
        end = np.cumsum(drawn.lengths)
        for first, last in zip((end - drawn.lengths).tolist(), end.tolist(), strict=True):
            yield " ".join(text[first : last - 1])
        block += 1


def draw(seed: int, rng: np.random.Generator, count: int) -> Drawn:
    """Draw `count` documents of the language `seed`."""
    net, table = automaton(), emissions(seed)
    leaves, moves = _ladder(net.source, net.p), table.reshape(-1, table.shape[2])
    word_rows, word_ids = np.nonzero(moves)
    words = _ladder(word_rows, moves[word_rows, word_ids])
    sep = classes().index(SEP)
    latent = rng.integers(len(LATENTS), size=count)
    alive, state = np.arange(count), np.zeros(count, dtype=np.int64)
    owners, said, meant = [], [], []
    while len(alive):
        arc = _pick(leaves, net.source, state, rng)
        row = net.emits[arc] * len(LATENTS) + latent[alive]
        owners.append(alive)
        said.append(word_ids[_pick(words, word_rows, row, rng)])
        meant.append(net.emits[arc])
        goes_on = net.emits[arc] != sep
        alive, state = alive[goes_on], net.target[arc][goes_on]
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return Drawn(np.concatenate(said)[order], np.concatenate(meant)[order], np.bincount(owner), latent)


def _ladder(rows: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Ascending thresholds for _pick: row number plus the probability accumulated within the row (rows sorted)."""
    total = np.cumsum(p)
    before = np.concatenate([[0.0], total[:-1]])[np.searchsorted(rows, rows)]
    return rows + np.minimum(total - before, 1.0)


def _pick(ladder: np.ndarray, rows: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one entry of each given row; rounding at a row's end never leads into the next row."""
    entry = np.searchsorted(ladder, row + rng.random(len(row)), side="right")
    last = np.searchsorted(rows, row, side="right") - 1
    return np.minimum(entry, last)
