"""The grammar of the synthetic language: a probabilistic context-free grammar of bounded depth, as an automaton.

    Text    -> Sentence .   (again with probability 7/8, else the document ends: its length is geometric)
    Sentence-> Clause | Clause Conj Clause | Adv , Clause
    Clause  -> NP[n, k] VP[n, k]                              number n: singular, plural; kind k: agent, thing
    NP      -> Det[n] (Adj) Noun[n, k] (PP | Relative[n, k] | ( Clause ))
    PP      -> Prep NP
    Relative-> that VP[n, k]  |  that NP[m, agent] Take[m]    the second nests subjects inside subjects
    VP      -> (never) Take[n] Object[n] (Adv) | (never) Stand[n, k] (Adv | PP) | Cop[n] Adj        Take: agents only
    Object  -> NP | Poss[n] Noun | Refl[n]

A verb, a reflexive or a possessive agrees in number with its subject, no matter how many clauses of another number come
between them. Depth is bounded: an NP inside an NP has one level less, and at level 0 nothing follows its noun. The
left-to-right derivation is therefore a finite automaton. Its states are the stacks of symbols still to come. All
quantities of the text can be computed exactly on it (see floor.py).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from growbench.synthetic.lexicon import KINDS, NUMBERS, SEP, classes

Symbol = tuple[str, ...]
Rule = tuple[float, tuple[Symbol, ...]]
CONTINUES = 7 / 8
START: tuple[Symbol, ...] = (("Sentence",),)
OTHER_KIND = {"agent": 0.5, "thing": 0.5}


def t(name: str) -> Symbol:
    """Return the terminal symbol of a word class."""
    return ("t", name)


def _sentence() -> list[Rule]:
    clause, after = ("Clause", "2"), ("After",)
    return [
        (0.72, (clause, t("."), after)),
        (0.18, (clause, t("Conj"), ("Clause", "1"), t("."), after)),
        (0.10, (t("Adv"), t(","), clause, t("."), after)),
    ]


def _after() -> list[Rule]:
    return [(CONTINUES, START), (1 - CONTINUES, (t(SEP), *START))]


def _clause(depth: str) -> list[Rule]:
    share = {"agent": 0.7, "thing": 0.3}
    return [
        (share[k] / 2, (("NP", n, k, depth), ("VP", n, k, str(max(int(depth) - 1, 0))))) for n in NUMBERS for k in KINDS
    ]


def _np(n: str, k: str, depth: str) -> list[Rule]:
    noun, det, level = t(f"{k} {n}"), t(f"Det {n}"), int(depth)
    tail = (("Tail", n, k, str(level - 1)),) if level else ()
    return [(0.7, (det, noun, *tail)), (0.3, (det, t("Adj"), noun, *tail))]


def _tail(n: str, k: str, depth: str) -> list[Rule]:
    return [
        (0.55, ()),
        (0.16, (("PP", depth),)),
        (0.08, (t(f"Rel {k}"), ("VP", n, k, "0"))),
        (0.16, (t(f"Rel {k}"), ("Inner", depth))),
        (0.05, (t("("), ("Clause", "0"), t(")"))),
    ]


def _inner(depth: str) -> list[Rule]:
    return [(0.5, (("NP", n, "agent", depth), t(f"take {n}"))) for n in NUMBERS]


def _pp(depth: str) -> list[Rule]:
    return [(OTHER_KIND[k] / 2, (t("Prep"), ("NP", n, k, depth))) for n in NUMBERS for k in KINDS]


def _vp(n: str, k: str, depth: str) -> list[Rule]:
    stand, adverb = t(f"stand {k} {n}"), ("MaybeAdv",)
    rules: list[Rule] = [(0.35, (t(f"Cop {n}"), t("Adj")))]
    kinds: list[Rule] = [(0.65, (t(f"take {n}"), ("Object", n, depth), adverb))] if k == "agent" else []
    kinds += [((0.25 if k == "agent" else 0.9), (stand, adverb)), (0.10, (stand, ("PP", "0")))]
    for p, body in kinds:
        rules += [(0.65 * p * 0.85, body), (0.65 * p * 0.15, (t("Never"), *body))]
    return rules


def _maybe_adv() -> list[Rule]:
    return [(0.75, ()), (0.25, (t("Adv"),))]


def _object(n: str, depth: str) -> list[Rule]:
    free = [(0.65 * OTHER_KIND[k] / 2, (("NP", m, k, depth),)) for m in NUMBERS for k in KINDS]
    possessed = [(0.20 * OTHER_KIND[k] / 2, (t(f"Poss {n}"), t(f"{k} {m}"))) for m in NUMBERS for k in KINDS]
    return [*free, *possessed, (0.15, (t(f"Refl {n}"),))]


RULES: dict[str, Callable[..., list[Rule]]] = {
    "Sentence": _sentence, "After": _after, "Clause": _clause, "NP": _np, "Tail": _tail, "Inner": _inner, "PP": _pp,
    "VP": _vp, "MaybeAdv": _maybe_adv, "Object": _object,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Automaton:
    """Arcs between states, sorted by source. State 0 begins a document, and arcs that emit SEP lead there.

    states: the number of states.
    source: the state that each arc leaves, [arcs].
    target: the state to which it leads, [arcs].
    emits: the class of the word that it emits, a number in classes(), [arcs].
    p: its probability in its source state, [arcs].
    """

    states: int
    source: np.ndarray
    target: np.ndarray
    emits: np.ndarray
    p: np.ndarray


def _first(stack: tuple[Symbol, ...]) -> Iterator[tuple[float, str, tuple[Symbol, ...]]]:
    """Yield all ways to emit the next word: probability, class, and the stack that remains."""
    head, rest = stack[0], stack[1:]
    if head[0] == "t":
        yield 1.0, head[1], rest
        return
    for p, body in RULES[head[0]](*head[1:]):
        for q, name, remains in _first(body + rest):
            yield p * q, name, remains


@cache
def automaton() -> Automaton:
    """Return the automaton of the grammar, found by breadth-first search from the start of a document."""
    number = {name: i for i, name in enumerate(classes())}
    states: dict[tuple[Symbol, ...], int] = {START: 0}
    queue, arcs = [START], []
    for stack in queue:
        joint: dict[tuple[int, int], float] = {}
        for p, name, remains in _first(stack):
            if remains not in states:
                states[remains] = len(states)
                queue.append(remains)
            key = (states[remains], number[name])
            joint[key] = joint.get(key, 0.0) + p
        arcs += [(states[stack], target, emits, p) for (target, emits), p in joint.items()]
    columns = [np.array(column) for column in zip(*arcs, strict=True)]
    return Automaton(len(states), *columns)


def accepts(readings: Iterable[Collection[int]]) -> bool:
    """Return whether a document can begin with these words.

    readings: for each word, the classes (numbers in classes()) to which it can belong.
    """
    net = automaton()
    states = np.arange(net.states) == 0
    for possible in readings:
        taken = states[net.source] & np.isin(net.emits, list(possible))
        states = np.zeros(net.states, dtype=bool)
        states[net.target[taken]] = True
    return bool(states.any())
