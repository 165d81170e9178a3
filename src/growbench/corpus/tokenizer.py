"""Tokenizers: trained on the study's own text, or a named one; saved in Hugging Face layout."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from growbench.errors import GrowBenchError, nearest

KINDS = ("word", "wordpiece", "bpe", "pretrained")
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
SAMPLE_CHARACTERS = 20_000_000
ALPHABET_SHARE = 1 / 32


def build(study: Any, text: Iterable[str], folder: Path) -> tuple[Tokenizer, dict[str, int | None]]:
    """Train (or load) the tokenizer, save it to folder, return it and the ids of its special tokens.

    text: documents for the vocabulary; they are read only where one is trained here.
    """
    from transformers import PreTrainedTokenizerFast

    kind = study.corpus.tokenizer
    if kind == "pretrained":
        fast = _pretrained(study)
    elif kind in KINDS:
        trained = train(kind, text, study.corpus.vocab, study.corpus.lowercase)
        names = {f"{key}_token": token for key, token in SPECIAL.items()}
        fast = PreTrainedTokenizerFast(tokenizer_object=trained, **names)
    else:
        raise GrowBenchError(f"corpus.tokenizer: '{kind}' is not known; {nearest(kind, KINDS)}")
    fast.save_pretrained(str(folder))
    return fast.backend_tokenizer, {key: getattr(fast, f"{key}_token_id") for key in SPECIAL}


def train(kind: str, text: Iterable[str], vocab: int, lowercase: bool) -> Tokenizer:
    """Train a vocabulary of at most `vocab` entries, the five special tokens first.

    word: whole words between blanks. wordpiece: BERT's normaliser and pieces. bpe: bytes, as in GPT-2.
    Rare characters of other scripts become [UNK] in wordpiece: each costs two entries, which a small vocabulary
    needs for words.
    """
    special = list(SPECIAL.values())
    options: dict[str, Any] = {"vocab_size": vocab, "special_tokens": special, "show_progress": False}
    trainer: Any
    lower: Any = normalizers.Lowercase() if lowercase else None
    if kind == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL["unk"]))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.WordLevelTrainer(**options)
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk"]))
        lower = normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**options, limit_alphabet=max(64, int(vocab * ALPHABET_SHARE)))
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(**options, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    if lower is not None:
        tokenizer.normalizer = lower
    tokenizer.train_from_iterator(_pieces(text), trainer=trainer)
    cls, sep = SPECIAL["cls"], SPECIAL["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls, sep)],
    )
    return tokenizer


def _pieces(text: Iterable[str]) -> Iterator[str]:
    """Lines of the documents: the trainer is quicker on short strings, and counts the same."""
    for document in text:
        yield from document.split("\n")


def _pretrained(study: Any) -> Any:
    """Load a named fast tokenizer; its end-of-text token stands in for a missing cls, sep or pad."""
    from transformers import AutoTokenizer

    name = study.corpus.tokenizer_name
    if not name:
        raise GrowBenchError(
            "corpus.tokenizer_name: not set, but corpus.tokenizer is pretrained; name a folder or hub id"
        )
    try:
        fast = AutoTokenizer.from_pretrained(name, use_fast=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(
            f"corpus.tokenizer_name: '{name}' cannot be loaded ({reason}); name a folder or hub id"
        ) from error
    if getattr(fast, "backend_tokenizer", None) is None:
        raise GrowBenchError(f"corpus.tokenizer_name: '{name}' is not a fast tokenizer; use one with a tokenizer.json")
    if fast.mask_token is None and study.objective.kind == "mlm":
        raise GrowBenchError(f"corpus.tokenizer_name: '{name}' has no mask token; use another or objective.kind: clm")
    end = fast.eos_token or fast.sep_token
    for key in ("cls_token", "sep_token", "pad_token"):
        if getattr(fast, key) is None:
            if end is None:
                raise GrowBenchError(
                    f"corpus.tokenizer_name: '{name}' has no {key} and no end-of-text token; use another"
                )
            setattr(fast, key, end)
    fast.backend_tokenizer.no_truncation()
    fast.backend_tokenizer.no_padding()
    return fast
