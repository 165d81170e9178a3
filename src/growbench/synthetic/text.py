"""Drawing documents of the synthetic language: many at once, each by a random walk on the automaton."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from growbench.synthetic.grammar import automaton
from growbench.synthetic.lexicon import LATENTS, SEP, classes, emissions, vocabulary

BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Drawn:
    """Documents one after another, including their separators.

    words: numbers in vocabulary(), [tokens].
    classes: numbers in classes(), [tokens].
    lengths: of the documents, [documents].
    latents: numbers in LATENTS, [documents].
    """

    words: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray
    latents: np.ndarray


def documents(seed: int, stream: int = 0) -> Iterator[str]:
    """Yield documents endlessly: words separated by spaces, without [SEP]. Streams of a language are independent."""
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
    """Draw `count` documents of the language with this seed."""
    net, table = automaton(), emissions(seed)
    leaves, moves = _ladder(net.source, net.p), table.reshape(-1, table.shape[2])
    word_rows, word_ids = np.nonzero(moves)
    words = _ladder(word_rows, moves[word_rows, word_ids])
    sep = classes().index(SEP)
    latent = rng.integers(len(LATENTS), size=count)
    alive, state = np.arange(count), np.zeros(count, dtype=np.int64)
    owners, chosen, meant = [], [], []
    while len(alive):
        arc = _pick(leaves, net.source, state, rng)
        row = net.emits[arc] * len(LATENTS) + latent[alive]
        owners.append(alive)
        chosen.append(word_ids[_pick(words, word_rows, row, rng)])
        meant.append(net.emits[arc])
        continues = net.emits[arc] != sep
        alive, state = alive[continues], net.target[arc][continues]
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return Drawn(np.concatenate(chosen)[order], np.concatenate(meant)[order], np.bincount(owner), latent)


def _ladder(rows: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return ascending thresholds for _pick: row number plus cumulative probability within the row. rows: sorted."""
    total = np.cumsum(p)
    before = np.concatenate([[0.0], total[:-1]])[np.searchsorted(rows, rows)]
    return rows + np.minimum(total - before, 1.0)


def _pick(ladder: np.ndarray, rows: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one entry of each given row. Rounding at the end of a row never leads into the next row."""
    entry = np.searchsorted(ladder, row + rng.random(len(row)), side="right")
    last = np.searchsorted(rows, row, side="right") - 1
    return np.minimum(entry, last)
