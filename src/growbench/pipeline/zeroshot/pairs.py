"""Scoring minimal pairs: the share of pairs in which a model finds the right sentence more likely than the wrong one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot.sentences import Scorer, Sentence, tokenized
from growbench.records import outcomes
from growbench.tasks.pairs import Pair


@dataclass(frozen=True, slots=True)
class TokenizedPairs:
    """Minimal pairs as token ids.

    name: of the test set. subset: whether it is not the official one. files: the digests of what it was made from.
    sentences: each different one, once. kinds: of each pair. right, wrong: numbers of its sentences.
    groups: for each group of kinds, its kinds; None if only the kinds are reported.
    words: in all sentences of all pairs. unknown: unknown tokens likewise.
    cut: pairs that were left out, since a sentence is too long or both are the same tokens.
    """

    name: str
    subset: bool
    files: dict[str, str]
    sentences: list[Sentence]
    kinds: list[str]
    right: np.ndarray
    wrong: np.ndarray
    groups: Mapping[str, Sequence[str]] | None
    words: int
    unknown: int
    cut: int

    def measured(self, scorer: Scorer, model: Any) -> dict[str, Any]:
        """Return the metrics of a model, and the counts and outcomes behind them."""
        return measured(self, scorer.nats(model, self.sentences))


def prepare(
    name: str, pairs: Sequence[Pair], tokenizer: PlainTokenizer, longest: int, files: dict[str, str],
    subset: bool = False, groups: Mapping[str, Sequence[str]] | None = None,
) -> TokenizedPairs:  # fmt: skip
    """Tokenize pairs. longest: tokens of a sentence. Raises GrowBenchError if no pair is left."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.right, pair.wrong)))
    known = dict(zip(texts, tokenized(tokenizer, texts), strict=True))
    kept = [pair for pair in pairs if _apart(known[pair.right], known[pair.wrong], longest)]
    if not kept:
        raise GrowBenchError(
            f"zeroshot.names: no pair of {name} fits into objective.length and differs in its tokens; leave it out"
        )
    used = list(dict.fromkeys(text for pair in kept for text in (pair.right, pair.wrong)))
    place = {text: number for number, text in enumerate(used)}
    both = [text for pair in kept for text in (pair.right, pair.wrong)]
    return TokenizedPairs(
        name=name, subset=subset, files=files, sentences=[known[text] for text in used], kinds=[p.kind for p in kept],
        right=np.asarray([place[p.right] for p in kept]), wrong=np.asarray([place[p.wrong] for p in kept]), groups=groups,
        words=sum(len(text.split()) for text in both),
        unknown=sum(known[text].ids.count(tokenizer.fast.unk_token_id) for text in both), cut=len(pairs) - len(kept),
    )  # fmt: skip


def _apart(one: Sentence, other: Sentence, longest: int) -> bool:
    return 0 < len(one.ids) <= longest and 0 < len(other.ids) <= longest and one.ids != other.ids


def measured(test: TokenizedPairs, nats: np.ndarray) -> dict[str, Any]:
    """Return the metrics of one set of pairs, and the counts and outcomes behind them. nats: of each sentence.

    accuracy: the mean over kinds of the share of pairs in which the right sentence is more likely; a tie is not right.
    Beside it, the share of each kind, or the mean of each group of kinds. error: the standard error of the accuracy, if
    the pairs are a draw from many (binomial).
    """
    right, wrong = nats[test.right], nats[test.wrong]
    failed = not bool(np.isfinite(nats).all())
    won = {kind: (right < wrong)[_places(test.kinds, kind)] for kind in dict.fromkeys(test.kinds)}
    share = {kind: float(outcome.mean()) for kind, outcome in won.items()}
    variance = sum(p * (1 - p) / len(won[kind]) for kind, p in share.items())
    accuracy, groups = float(np.mean(list(share.values()))), test.groups or {kind: [kind] for kind in share}
    parts = {
        group: float(np.mean([share[k] for k in kinds if k in share]))
        for group, kinds in groups.items()
        if any(k in share for k in kinds)
    }
    lengths = np.asarray([len(sentence.ids) for sentence in test.sentences])
    metrics: dict[str, float | None] = {"accuracy": accuracy, **parts}
    return {
        "task": test.name, "subset": test.subset, "n_tokens": int(lengths[test.right].sum() + lengths[test.wrong].sum()),
        "n_words": test.words, "n_lines": 2 * len(test.kinds), "n_unknown": test.unknown, "n_cut": test.cut,
        "n_pairs": len(test.kinds), "n_bytes": 0, "nats": None if failed else math.fsum(right) + math.fsum(wrong),
        "metrics": dict.fromkeys(metrics) if failed else metrics, "main_metric": "accuracy",
        "score": None if failed else accuracy, "failed": failed,
        "error": None if failed else math.sqrt(variance) / len(share),
        "outcomes": {kind: outcomes.packed(outcome) for kind, outcome in won.items()},
    }  # fmt: skip


def _places(kinds: Sequence[str], kind: str) -> np.ndarray:
    return np.asarray([other == kind for other in kinds])
