"""How unlikely a model finds whole sentences, in nats.

A causal model reads [CLS], as every training sequence begins, and the token that ends a document; then the sentence. A
masked model has no likelihood; its
pseudo-log-likelihood is the sum over tokens of the log-probability of each one while it is masked (Salazar et al., ACL
2020), and with it the rest of its word, which would give it away otherwise (PLL-word-l2r of Kauf and Ivanova, ACL 2023).
Sentences of the same number of tokens run together, so that none is padded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.families import Family
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot.likelihood import pieces
from growbench.train import cross_entropy
from growbench.train.device import Compute

AROUND = 2  # special tokens that a sentence is read with


@dataclass(frozen=True, slots=True)
class Sentence:
    """Token ids [n] of one sentence, without special tokens, and the number of the word that each is a part of, [n]."""

    ids: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Special:
    """The ids that stand around a sentence or in the place of its tokens: of [CLS], [SEP] and [MASK]."""

    cls: int
    sep: int
    mask: int | None


@dataclass(frozen=True, slots=True)
class Scorer:
    """How the models of a family score text: causal ones, or masked ones if `special` has a mask.

    length: ids that a model reads. batch: windows of that length that run together, or as many ids of sentences.
    """

    family: Family
    special: Special
    compute: Compute
    length: int
    batch: int

    @property
    def longest(self) -> int:
        """Tokens of the longest sentence that a model can score, beside the two special tokens.

        A causal model does not read the last one, but training never used the prediction at its last position.
        """
        return self.length - AROUND

    @torch.no_grad()
    def nats(self, model: Any, sentences: Sequence[Sentence]) -> np.ndarray:
        """Return the nats of each sentence, [sentences], float64."""
        groups: dict[int, list[int]] = defaultdict(list)
        for number, sentence in enumerate(sentences):
            groups[len(sentence.ids)].append(number)
        found = np.zeros(len(sentences))
        for count, numbers in sorted(groups.items()):
            rows: Callable[..., Rows] = _next if self.special.mask is None else _masked
            copies = 1 if self.special.mask is None else count
            size = max(1, self.batch * self.length // (copies * (count + AROUND)))
            for begin in range(0, len(numbers), size):
                chosen = numbers[begin : begin + size]
                batch = rows([sentences[i] for i in chosen], self.special)
                found[chosen] = self._scored(model, batch).reshape(len(chosen), count).sum(1)
        return found

    def _scored(self, model: Any, batch: "Rows") -> np.ndarray:
        """Return the nats of the predicted positions, [K], float64."""
        with self.compute.cast():
            hidden = self.family.encode(model, batch.inputs.to(self.compute.device)).flatten(0, 1)
            hidden, targets = hidden[batch.positions.to(hidden.device)], batch.targets.to(hidden.device)
            parts = [cross_entropy.each(*piece) for piece in pieces(self.family, model, hidden, targets)]
        return torch.cat(parts).double().cpu().numpy()


@dataclass(frozen=True, slots=True)
class Rows:
    """Ids [B, T] that are read, the predicted positions among all of them [K], and what stands there [K].

    There are as many predictions of each sentence as it has tokens, in order.
    """

    inputs: Tensor
    positions: Tensor
    targets: Tensor


def _next(sentences: Sequence[Sentence], special: Special) -> Rows:
    """Return the rows of a causal model: one for each sentence of n tokens, which reads n + 1 ids and predicts n."""
    ids = torch.tensor([sentence.ids for sentence in sentences])
    before = torch.tensor([special.cls, special.sep]).expand(len(ids), 2)
    inputs = torch.cat([before, ids[:, :-1]], dim=1)
    places = torch.arange(inputs.numel()).reshape(inputs.shape)[:, 1:]
    return Rows(inputs, places.flatten(), ids.flatten())


def _masked(sentences: Sequence[Sentence], special: Special) -> Rows:
    """Return the rows of a masked model: n for each sentence of n tokens, each of which predicts one."""
    ids = np.asarray([sentence.ids for sentence in sentences])
    words = np.asarray([sentence.words for sentence in sentences])
    count = ids.shape[1]
    hidden = (words[:, :, None] == words[:, None, :]) & (np.arange(count) >= np.arange(count)[:, None])
    assert special.mask is not None
    inner = np.where(hidden, special.mask, ids[:, None, :]).reshape(-1, count)
    ends = np.full((len(inner), 1), special.cls), np.full((len(inner), 1), special.sep)
    inputs = torch.from_numpy(np.concatenate([ends[0], inner, ends[1]], axis=1))
    places = torch.arange(count).repeat(len(ids)) + 1
    return Rows(inputs, torch.arange(len(inner)) * (count + 2) + places, torch.from_numpy(ids.flatten()))


def tokenized(tokenizer: PlainTokenizer, texts: Sequence[str]) -> Iterator[Sentence]:
    """Yield the tokens of texts."""
    for ids, words in tokenizer.words(texts):
        yield Sentence(tuple(ids), tuple(words))


def special(tokenizer: PlainTokenizer, masked: bool) -> Special:
    """Return the special ids of a tokenizer. masked: whether they are for a masked model."""
    fast = tokenizer.fast
    return Special(fast.cls_token_id, fast.sep_token_id, fast.mask_token_id if masked else None)
