"""Bits per byte of a domain: what a causal model needs to write its texts, whatever the tokens are."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot.likelihood import ScoredWindow, score, windows
from growbench.pipeline.zeroshot.sentences import Scorer
from growbench.tasks.domains import Domain


@dataclass(frozen=True, slots=True)
class TokenizedDomain:
    """The texts of a domain, cut into windows. unknown: tokens that are the tokenizer's unknown one."""

    domain: Domain
    windows: list[ScoredWindow]
    unknown: int

    @property
    def name(self) -> str:
        return self.domain.name

    @property
    def files(self) -> dict[str, str]:
        return self.domain.files

    def measured(self, scorer: Scorer, model: Any) -> dict[str, Any]:
        """Return the metric of a causal model, and the counts behind it."""
        parts = score(scorer.family, model, self.windows, scorer.batch, scorer.compute)
        return measured(self, math.fsum(float(part.nats.sum()) for part in parts))


def prepare(domain: Domain, tokenizer: PlainTokenizer, length: int, stride: int) -> TokenizedDomain:
    """Tokenize a domain. Every text is read on its own, after the token that ends a document in training."""
    start, cls, unk = tokenizer.fast.sep_token_id, tokenizer.fast.cls_token_id, tokenizer.fast.unk_token_id
    texts = [np.asarray([start, *ids]) for ids, _ in tokenizer.words(domain.texts)]
    cut = [window for ids in texts if len(ids) > 1 for window in windows(ids, length, stride, cls)]
    if not cut:
        raise GrowBenchError(f"zeroshot.names: {domain.name} has no tokens with this tokenizer; leave it out")
    return TokenizedDomain(domain, cut, sum(int((ids[1:] == unk).sum()) for ids in texts))


def measured(test: TokenizedDomain, nats: float) -> dict[str, Any]:
    """Return nats / ln 2 / bytes of the texts in UTF-8, and the counts behind it. nats: of all tokens."""
    failed, texts = not math.isfinite(nats), test.domain.texts
    size = sum(len(text.encode()) for text in texts)
    bits = None if failed else nats / math.log(2) / size
    return {
        "task": test.name, "subset": test.domain.subset, "n_tokens": sum(w.scored for w in test.windows),
        "n_words": sum(len(text.split()) for text in texts), "n_lines": len(texts), "n_unknown": test.unknown, "n_cut": 0,
        "n_bytes": size, "nats": None if failed else nats, "metrics": {"bits_per_byte": bits},
        "main_metric": "bits_per_byte", "score": bits, "failed": failed, "n_pairs": 0,
        "error": None, "outcomes": {},
    }  # fmt: skip
