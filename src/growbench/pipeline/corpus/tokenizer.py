"""Tokenizers: trained on the study's own text, or a named one; saved in Hugging Face layout."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from growbench.errors import GrowBenchError, nearest
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.records import identity
from growbench.study.study import Study
from growbench.tasks import hub

KINDS = ("word", "wordpiece", "bpe", "pretrained")
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
SAMPLE_CHARACTERS = 20_000_000
ALPHABET_SHARE = 1 / 32


def build(study: Study, text: Iterable[str], folder: Path) -> tuple[PlainTokenizer, dict[str, int | None]]:
    """Train (or load) the tokenizer, save it to `folder`, and return it with the ids of its special tokens.

    text: documents for the vocabulary, which are read only if a tokenizer is trained.
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
    return PlainTokenizer(fast), {key: getattr(fast, f"{key}_token_id") for key in SPECIAL}


def named(study: Study) -> str | None:
    """Return a digest of the pretrained tokenizer that a study names, whatever its files are called; None if it names none."""
    if study.corpus.tokenizer != "pretrained":
        return None
    fast = _pretrained(study)
    return identity.digest([fast.backend_tokenizer.to_str(), {key: getattr(fast, f"{key}_token") for key in SPECIAL}])


def pretrained_size(study: Study) -> int:
    """Return how many tokens the named tokenizer of a study has. Raises GrowBenchError if it cannot be used."""
    return len(_pretrained(study))


def train(kind: str, text: Iterable[str], vocab: int, lowercase: bool) -> Tokenizer:
    """Train a vocabulary of at most `vocab` entries, special tokens first. The same text gives the same entries.

    kind: `word` for words between spaces, `wordpiece` for BERT's normalizer and pieces, `bpe` for bytes as in GPT-2.
    """
    lower = normalizers.Lowercase() if lowercase else None
    # The trainer is faster on short strings; the counts are the same.
    lines = (line for document in text for line in document.split("\n"))
    tokenizer = {"word": _words, "wordpiece": _wordpieces, "bpe": _bytes}[kind](lines, vocab, lower)
    cls, sep = SPECIAL["cls"], SPECIAL["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls, sep)],
    )
    return tokenizer


def _words(lines: Iterable[str], vocab: int, lower: normalizers.Normalizer | None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _trained(tokenizer, trainers.WordLevelTrainer, lines, vocab, lower)


def _bytes(lines: Iterable[str], vocab: int, lower: normalizers.Normalizer | None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer, lines, vocab, lower, initial_alphabet=alphabet)


def _wordpieces(lines: Iterable[str], vocab: int, lower: normalizers.Normalizer | None) -> Tokenizer:
    """Pieces merged by frequency, as by the library's WordPiece trainer, but with ties always broken the same way.

    That trainer numbers the continuing letters in the order of a hash map. Here they come first, sorted. Rare
    characters of other scripts become [UNK], because each costs two entries that a small vocabulary needs for words.
    """
    normal = normalizers.BertNormalizer(lowercase=lower is not None)
    text = [normal.normalize_str(line) for line in lines]
    found = Counter[str]()
    for line in text:
        found.update(line)
    room = max(64, int(vocab * ALPHABET_SHARE))
    letters = [c for c in sorted(found, key=lambda c: (-found[c], c)) if not c.isspace()][:room]
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    options = {"limit_alphabet": len(letters), "initial_alphabet": letters, "continuing_subword_prefix": "##"}
    first = [f"##{c}" for c in sorted(letters)]
    _trained(pieces, trainers.BpeTrainer, text, vocab, None, first, **options)
    tokenizer = Tokenizer(models.WordPiece(pieces.get_vocab(), unk_token=SPECIAL["unk"]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normal, pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    return tokenizer


def _trained(
    tokenizer: Tokenizer,
    trainer: Any,
    lines: Iterable[str],
    vocab: int,
    lower: Any,
    first: Sequence[str] = (),
    **more: Any,
) -> Tokenizer:
    if lower is not None:
        tokenizer.normalizer = lower
    special = [*SPECIAL.values(), *first]
    tokenizer.train_from_iterator(
        lines, trainer=trainer(vocab_size=vocab, special_tokens=special, show_progress=False, **more)
    )
    return tokenizer


def _pretrained(study: Study) -> Any:
    """Load a named fast tokenizer. Its end-of-text token replaces a missing cls, sep or pad token."""
    from transformers import AutoTokenizer

    name = study.corpus.tokenizer_name
    if not name:
        raise GrowBenchError(
            "corpus.tokenizer_name: not set, but corpus.tokenizer is pretrained; name a folder or hub id"
        )
    try:
        fast = AutoTokenizer.from_pretrained(name, use_fast=True)
    except Exception as error:
        raise GrowBenchError(
            f"corpus.tokenizer_name: '{name}' cannot be loaded ({hub.reason(error)}); name a folder or hub id"
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
