"""Running text and passages as token ids, cut into windows for a causal model, and what a model makes of them.

A test set is tokenized as plain text: `<unk>` is five characters, never a special token. It follows the token that ends
a document in training, and every window begins with [CLS], as training sequences do.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot.likelihood import Likelihood, ScoredWindow, begun, score, windows
from growbench.pipeline.zeroshot.sentences import Scorer
from growbench.study.study import Study
from growbench.tasks import language
from growbench.tasks.language import Text


@dataclass(frozen=True, slots=True)
class TokenizedTest:
    """A tokenized test set.

    text: the test set.
    windows: its tokens; each token is scored once.
    unknown: for each window, how many of its scored tokens are the tokenizer's unknown token, [windows].
    cut: the number of passages whose beginning did not fit into a window.
    """

    text: Text
    windows: list[ScoredWindow]
    unknown: np.ndarray
    cut: int

    @property
    def name(self) -> str:
        return self.text.name

    @property
    def files(self) -> dict[str, str]:
        return {"test": self.text.sha256}

    def measured(self, scorer: Scorer, model: Any) -> dict[str, Any]:
        """Return the metrics of a causal model, and the counts behind them."""
        return measured(self, score(scorer.family, model, self.windows, scorer.batch, scorer.compute))


def description(study: Study, tokenizer: PlainTokenizer) -> dict[str, Any]:
    """Return what is needed to compare perplexities: the kind of tokens, and which differences in text they lose."""
    corpus = study.corpus
    lower, upper = (tokenizer.text(letter)[0] for letter in "aA")
    unknown, _ = tokenizer.text(language.UNKNOWN_WORD)
    return {
        "kind": corpus.tokenizer_name or corpus.tokenizer,
        "vocab": tokenizer.vocab,
        "letter_case": upper != lower,
        "line_ends": bool(tokenizer.text("\n")[0]),
        "unknown_word": tokenizer.fast.convert_ids_to_tokens(unknown),
    }


def prepare(study: Study, tokenizer: PlainTokenizer, text: Text) -> TokenizedTest:
    """Tokenize a test set and cut it into windows. Raises GrowBenchError if a last word is longer than a window."""
    length = study.objective.length
    if text.last_word:
        cut, shortened = _passages(tokenizer, length, text)
    else:
        ids = np.asarray([tokenizer.fast.sep_token_id, *tokenizer.text(text.running)[0]])
        cut, shortened = windows(ids, length, study.zeroshot.stride, tokenizer.fast.cls_token_id), 0
    if not cut:
        raise GrowBenchError(f"zeroshot.names: {text.name} has no tokens with this tokenizer; leave it out")
    unknown = [int(np.sum(w.ids[len(w.ids) - w.scored :] == tokenizer.fast.unk_token_id)) for w in cut]
    return TokenizedTest(text, cut, np.asarray(unknown), shortened)


def _passages(tokenizer: PlainTokenizer, length: int, text: Text) -> tuple[list[ScoredWindow], int]:
    """Return one window per passage, and how many were cut. Only the last word is scored: tokens that end in it."""
    found, shortened, most = [], 0, length - 2
    for number, (context, last) in enumerate(text.passages, 1):
        tokens, spans = tokenizer.text(context + last)
        scored = sum(end > len(context) for _, end in spans)
        if not 0 < scored <= most:
            raise GrowBenchError(
                f"zeroshot.names: the last word of {text.name}'s passage {number} is {scored} tokens, but a window of "
                f"{length} scores {most}; raise objective.length or leave {text.name} out"
            )
        ids = np.asarray([tokenizer.fast.sep_token_id, *tokens])
        shortened += len(ids) >= length
        found.append(ScoredWindow(begun(ids, length, tokenizer.fast.cls_token_id), scored))
    return found, shortened


def measured(test: TokenizedTest, scored: list[Likelihood]) -> dict[str, Any]:
    """Return the metrics of one test set, and the counts behind them.

    perplexity: per token.
    word_perplexity: per word separated by spaces, so that different tokenizers can be compared.
    word_perplexity_eos: per word and line end, as word-level models count.
    accuracy: the share of last words of which greedy decoding gets every token right; a word with an unknown token is
    wrong.
    """
    text, nats = test.text, math.fsum(float(part.nats.sum()) for part in scored)
    tokens, words = sum(len(part.nats) for part in scored), text.words
    metrics: dict[str, float | None] = {"perplexity": _exp(nats, tokens), "word_perplexity": _exp(nats, words)}
    main = "word_perplexity"
    if text.last_word:
        right = [bool(part.right.all()) for part in scored]
        metrics["accuracy"], main = float(np.mean(np.asarray(right) & (test.unknown == 0))), "accuracy"
    else:
        metrics["word_perplexity_eos"] = _exp(nats, words + len(text.lines))
    failed = None in metrics.values()
    counts = {"n_tokens": tokens, "n_words": words, "n_lines": len(text.lines), "n_unknown": int(test.unknown.sum())}
    return {
        "task": text.name, "subset": text.subset, **counts, "n_cut": test.cut,
        "nats": nats if math.isfinite(nats) else None, "metrics": metrics, "main_metric": main, "score": metrics[main],
        "failed": failed, "n_pairs": 0, "n_bytes": 0, "error": None, "outcomes": {},
    }  # fmt: skip


def _exp(nats: float, count: int) -> float | None:
    """Return exp(nats / count), None if that is not a finite number."""
    value = nats / count
    return math.exp(value) if value < 700 else None
