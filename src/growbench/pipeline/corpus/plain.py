"""A study's tokenizer, set to read text as text: `[MASK]` in a text is six characters, never the special token.

The setting is not stored with a tokenizer, so that everything that reads text for a study loads it here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError


class PlainTokenizer:
    """A stock fast tokenizer for which no text holds a special token.

    Some models have the names of special tokens among their own words, so that a text that spells one is that word.
    Such a word becomes the unknown token.

    fast: the stock tokenizer.
    backend: its encoder.
    special: the ids that no text may become; the unknown token is not one of them.
    """

    def __init__(self, fast: Any) -> None:
        fast.split_special_tokens = True
        self.fast, self.backend = fast, fast.backend_tokenizer
        self.backend.encode_special_tokens = True
        named = {number for number, token in fast.added_tokens_decoder.items() if token.special}
        self.special = frozenset(named | set(fast.all_special_ids)) - {fast.unk_token_id}
        self.apart = _separates(self.backend) or _separate(fast)

    @property
    def vocab(self) -> int:
        """The number of entries, special tokens included."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def documents(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of texts, in parallel threads."""
        return [self._plain(found.ids) for found in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def text(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text, and the characters (from, to) of each."""
        found = self.backend.encode(text, add_special_tokens=False)
        return self._plain(found.ids), found.offsets

    def words(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Return the ids of texts, in parallel threads, and the number of the word that each is a part of."""
        found = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [(self._plain(one.ids), [number or 0 for number in one.word_ids]) for one in found]

    def rows(self, *columns: Sequence[str], **options: Any) -> Any:
        """Return what the stock tokenizer returns for rows of text: input_ids, token_type_ids and what options ask for.

        columns: one text per row, or two. The special tokens around them are the stock tokenizer's. If it puts none between
        two texts, its sep or end-of-text token goes there (GPT, section 3.3). Raises GrowBenchError if it has neither.
        """
        if len(columns) > 1 and not self.apart:
            raise GrowBenchError(
                "corpus.tokenizer: it has no sep and no end-of-text token to put between two texts; use one that has"
            )
        given = {"return_special_tokens_mask": True, "return_token_type_ids": True, "return_attention_mask": False}
        found = self.fast(*columns, **given, **options)
        masks = found.pop("special_tokens_mask")
        for row, (ids, mask) in enumerate(zip(found["input_ids"], masks, strict=True)):
            if sum(map(self.special.__contains__, ids)) != sum(mask):
                found["input_ids"][row] = [i if m else self._word(i) for i, m in zip(ids, mask, strict=True)]
        return found

    def _plain(self, ids: list[int]) -> list[int]:
        return ids if self.special.isdisjoint(ids) else [self._word(i) for i in ids]

    def _word(self, number: int) -> int:
        """Return an id of a text, the unknown token's for a word that is spelled like a special token."""
        if number not in self.special:
            return number
        unknown = self.fast.unk_token_id
        if unknown is None:
            name = self.fast.convert_ids_to_tokens(number)
            raise GrowBenchError(
                f"corpus.tokenizer: it reads '{name}' in a text as a special token and has no unknown token to put in its "
                "place; use another tokenizer"
            )
        return int(unknown)


def _separates(backend: Any) -> bool:
    """Whether a tokenizer puts a special token between two texts: it then adds more to two than to one."""
    return bool(backend.num_special_tokens_to_add(True) > backend.num_special_tokens_to_add(False))


def _separate(fast: Any) -> bool:
    """Make a tokenizer that glues two texts together put its sep or end-of-text token between them; return whether it has one."""
    from tokenizers.processors import Sequence, TemplateProcessing

    token = fast.sep_token or fast.eos_token
    if token is None:
        return False
    backend = fast.backend_tokenizer
    found = backend.encode("a")
    first = found.special_tokens_mask.index(0) if 0 in found.special_tokens_mask else len(found.tokens)
    last = len(found.tokens) - sum(found.special_tokens_mask[first:])
    before, after = found.tokens[:first], found.tokens[last:]
    around = {name: fast.convert_tokens_to_ids(name) for name in (*before, token, *after)}
    template = TemplateProcessing(
        single=[*before, "$A", *after],
        pair=[*before, "$A", token, "$B:1", *(f"{name}:1" for name in after)],
        special_tokens=list(around.items()),
    )
    own = [] if before or after or backend.post_processor is None else [backend.post_processor]
    backend.post_processor = Sequence([*own, template])
    return True


def load(folder: Path) -> PlainTokenizer:
    """Return the tokenizer in a folder. Raises GrowBenchError, naming the folder, if there is none."""
    from transformers import AutoTokenizer

    try:
        return PlainTokenizer(AutoTokenizer.from_pretrained(folder, local_files_only=True))
    except GrowBenchError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(f"{folder}: no tokenizer here ({reason}); run `growbench corpus` again") from error
