"""The entropy floors: the loss of a predictor that knows the grammar exactly, in nats per predicted token.

Both are computed by Bayesian inference (forward and backward messages on the automaton) over windows of the packed
text as models see it: cut anywhere, documents separated by [SEP], topic, mood and focus unknown.

clm: minus the mean log-probability of a token given the tokens before it in its window. No model can do better.

mlm: the mean entropy of a chosen token given its window, in which the other chosen tokens that show [MASK] are hidden
as well. [SEP] is never chosen, and the predictor knows it. Of the chosen tokens, 80 % show [MASK], 10 % a random token and 10 % themselves. The loss on the last two kinds
is what remains unknown after seeing a token that is right or random with equal chance. The predictor has one advantage
over a model: it knows which of the *other* tokens are false, and their true values. The value is therefore a lower
bound, and a tight one (random tokens are 1.5 % of the text at mask rate 0.15).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from growbench.synthetic.grammar import Automaton, automaton
from growbench.synthetic.lexicon import LATENTS, SEP, classes, emissions, vocabulary
from growbench.synthetic.text import draw

HIDDEN = -1
NEGLIGIBLE = 1e-14
WINDOWS = 320
KEPT, RANDOM = 0.1, 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One token of a window, over the states and latents that are possible after the text before it.

    arcs: the arcs that may have been taken, [arcs].
    weights: the probability of each arc and the token, [arcs, live].
    before: the row of `alpha` from which each arc leaves, [arcs].
    alpha: the forward message before the token, [states, live].
    live: the numbers of the possible latents.
    """

    arcs: np.ndarray
    weights: np.ndarray
    before: np.ndarray
    alpha: np.ndarray
    live: np.ndarray


class Reader:
    """Exact inference for one language."""

    def __init__(self, seed: int) -> None:
        self.net: Automaton = automaton()
        self.table = emissions(seed)
        self.first = np.searchsorted(self.net.source, np.arange(self.net.states + 1))
        self.sep = classes().index(SEP)
        self.prior = np.outer(stationary(), np.full(len(LATENTS), 1 / len(LATENTS)))

    def forward(self, window: np.ndarray) -> tuple[list[Step], list[float]]:
        """Read the word numbers of a window cut from running text, HIDDEN for unknown words.

        A hidden word is not [SEP]. Returns a Step and the log-probability of each token given those before it. Stops at
        the first impossible token, whose log-probability is -inf.
        """
        keep = self.prior.sum(axis=1) > 0
        states, live, alpha = np.flatnonzero(keep), np.arange(len(LATENTS)), self.prior[keep]
        steps, scores = [], []
        for word in window:
            step = self._arcs(states, live, alpha, int(word))
            steps.append(step)
            states, live, alpha = self._advance(step)
            total = alpha.sum()
            scores.append(float(np.log(total)) if total > 0 else -np.inf)
            if total <= 0:
                break
            alpha = alpha / total
            keep, likely = alpha.sum(axis=1) > NEGLIGIBLE, alpha.sum(axis=0) > NEGLIGIBLE
            states, live, alpha = states[keep], live[likely], alpha[keep][:, likely]
        return steps, scores

    def _arcs(self, states: np.ndarray, live: np.ndarray, alpha: np.ndarray, word: int) -> Step:
        first, count = self.first[states], self.first[states + 1] - self.first[states]
        before = np.repeat(np.arange(len(states)), count)
        arcs = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[before]
        if word == HIDDEN:
            words = self.net.emits[arcs] != self.sep
            arcs, before = arcs[words], before[words]
            return Step(arcs, np.repeat(self.net.p[arcs][:, None], len(live), axis=1), before, alpha, live)
        likelihood = self.table[:, live, word]
        possible = np.asarray(likelihood.any(axis=1))[self.net.emits[arcs]]
        arcs, before = arcs[possible], before[possible]
        return Step(arcs, self.net.p[arcs][:, None] * likelihood[self.net.emits[arcs]], before, alpha, live)

    def _advance(self, step: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return states (ascending), latents and message [states, latents] after a token. A separator draws a latent."""
        mass, live = step.alpha[step.before] * step.weights, step.live
        ends = self.net.emits[step.arcs] == self.sep
        if ends.any():
            mass, narrow = np.zeros((len(mass), len(LATENTS))), mass
            mass[:, live], live = narrow, np.arange(len(LATENTS))
            mass[ends] = mass[ends].mean(axis=1, keepdims=True)
        targets = self.net.target[step.arcs]
        order = np.argsort(targets, kind="stable")
        states, starts = np.unique(targets[order], return_index=True)
        return states, live, np.add.reduceat(mass[order], starts, axis=0) if len(states) else mass

    def posteriors(self, window: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the distribution over words [words] at each place, last first, given the window without these places."""
        hidden = window.copy()
        hidden[places] = HIDDEN
        steps, _ = self.forward(hidden)
        beta = np.ones((self.net.states, len(LATENTS)))
        known = np.arange(self.net.states)
        for place in range(len(window) - 1, -1, -1):
            step = steps[place]
            after = beta[np.ix_(self.net.target[step.arcs], step.live)]
            after[self.net.emits[step.arcs] == self.sep] = beta[0].mean()
            flow = step.weights * after
            if hidden[place] == HIDDEN:
                yield self._words(step, flow)
            states = self.net.source[step.arcs]
            starts = np.flatnonzero(np.diff(states, prepend=-1))
            beta[known], known = 0.0, states[starts]
            beta[np.ix_(known, step.live)] = np.add.reduceat(flow, starts, axis=0) / flow.max()

    def _words(self, step: Step, flow: np.ndarray) -> np.ndarray:
        taken = flow * step.alpha[step.before]
        found = np.zeros(self.table.shape[2])
        emits = self.net.emits[step.arcs]
        for number in np.unique(emits):
            found += taken[emits == number].sum(axis=0) @ self.table[number, step.live]
        return found / found.sum()


@cache
def stationary() -> np.ndarray:
    """Return the share of running text in each state, [states]."""
    net = automaton()
    share = np.full(net.states, 1 / net.states)
    for _ in range(2000):
        new = np.bincount(net.target, weights=share[net.source] * net.p, minlength=net.states)
        if np.abs(new - share).sum() < 1e-12:
            break
        share = new
    return share


def entropy(p: np.ndarray) -> float:
    """Return the entropy of a distribution in nats."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def unknown(posterior: np.ndarray, vocab: int) -> float:
    """Return the expected loss at a chosen token: hidden (80 %), or shown right or random with equal chance (20 %).

    posterior: the distribution over words given all other tokens, [words].
    vocab: the number of ids from which a random token is drawn, none of them special.
    """
    false = 0.5 / vocab
    shown_given_word = entropy(np.array([0.5 + false] + [false] * (vocab - 1)))
    shown = entropy(np.concatenate([0.5 * posterior + false, np.full(vocab - len(posterior), false)]))
    hidden = entropy(posterior)
    return (1 - KEPT - RANDOM) * hidden + (KEPT + RANDOM) * (hidden + shown_given_word - shown)


def floors(seed: int, mask_rate: float, length: int, windows: int = WINDOWS) -> dict[str, float]:
    """Return both floors and their standard errors.

    They are means over `windows` windows of length - 1 tokens of a text that is drawn for this purpose.
    """
    reader, rng = Reader(seed), np.random.default_rng([seed, 1 << 20])
    body, vocab, sep = length - 1, len(vocabulary()), vocabulary().index(SEP)  # [SEP] is not drawn, [UNK] is
    ids = draw(seed, rng, count=max(64, windows * body // 40)).words
    rows = ids[: len(ids) // body * body].reshape(-1, body)[:windows]
    masked, causal = [], []
    for row in rows:
        causal.append(-np.mean(reader.forward(row)[1]))
        chosen = rng.permutation(np.flatnonzero(row != sep))[: max(1, round(mask_rate * body))]
        places = chosen[rng.random(len(chosen)) < 1 - KEPT - RANDOM]
        masked += [unknown(p, vocab) for p in reader.posteriors(row, places)]
    error = {"mlm": np.std(masked) / len(masked) ** 0.5, "clm": np.std(causal) / len(causal) ** 0.5}
    values = {"mlm": np.mean(masked), "clm": np.mean(causal)}
    return {k: float(v) for k, v in values.items()} | {f"{k}_standard_error": float(v) for k, v in error.items()}
