"""growbench corpus: from text to memory-mapped token ids, once per study.

Three sources behind one interface, an iterator of documents: local files, a hub data set (streamed), and the
built-in synthetic language. The manifest is written last: where it stands, the files are whole.
"""

import gzip
import io
import itertools
import json
import logging
import lzma
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from growbench import record
from growbench.errors import GrowBenchError

log = logging.getLogger(__name__)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NAMES = ("pad", "unk", "cls", "sep", "mask")
VOCABULARY_BYTES = 20_000_000  # of text that a vocabulary is trained on
BATCH = 256


@dataclass(frozen=True, slots=True)
class Corpus:
    """A built corpus. train, valid: flat token ids; a document is its tokens followed by the id of [SEP]."""

    manifest: dict[str, Any]
    train: np.ndarray
    valid: np.ndarray


def load(folder: Path) -> Corpus:
    """Open a built corpus; raise GrowBenchError when it is missing or a file is not what the manifest says."""
    folder = Path(folder)
    if not (folder / "manifest.json").exists():
        raise GrowBenchError(f"{folder}/manifest.json: no corpus there; run `growbench corpus --config ...` first")
    manifest = record.read(folder / "manifest.json")
    return Corpus(manifest, _open(folder, manifest, "train"), _open(folder, manifest, "valid"))


def _open(folder: Path, manifest: dict[str, Any], part: str) -> np.ndarray:
    path, dtype = folder / manifest[part]["file"], np.dtype(manifest["dtype"])
    expected = manifest[part]["tokens"] * dtype.itemsize
    size = path.stat().st_size if path.exists() else -1
    if size != expected:
        raise GrowBenchError(f"{path}: {max(size, 0)} bytes where the manifest says {expected}; build the corpus again")
    return np.memmap(path, dtype=dtype, mode="r")


def check(study: Any) -> None:
    """Raise what `build` would raise about missing folders, files and empty text, before anything is spent."""
    if study.corpus.source == "local":
        for key in ("train", "valid"):
            if getattr(study.corpus, key) is not None:
                next(iter(_local(study, key)))


def build(study: Any) -> Path:
    """Build results/<study>/corpus and return the path of its manifest."""
    folder = Path("results") / study.study / "corpus"
    begun = time.perf_counter()
    temporary = folder.with_name("corpus.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    tokenizer = _tokenizer(study, temporary / "tokenizer")
    special = {name: tokenizer.token_to_id(token) for name, token in zip(NAMES, SPECIAL, strict=True)}
    dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32)
    train, valid = _split(study)
    parts = {}
    for part, documents, limit in (("valid", valid(), None), ("train", train(), study.corpus.max_tokens)):
        parts[part] = _pack(documents, tokenizer, special["sep"], temporary / f"{part}.bin", dtype, limit)
        log.info("corpus %s: %d tokens in %d documents", part, parts[part]["tokens"], parts[part]["documents"])
    manifest = {
        "version": 1,
        "tokenizer": "tokenizer",
        "vocab": tokenizer.get_vocab_size(),
        "dtype": dtype.name,
        "special": special,
        **parts,
        "unigram_entropy": _unigram(temporary, dtype, tokenizer.get_vocab_size(), special["sep"]),
        "entropy_floor": _floor(study),
        "source": {"kind": study.corpus.source, "train": study.corpus.train, "valid": study.corpus.valid},
        "seconds": round(time.perf_counter() - begun, 1),
    }
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    record.write(folder / "manifest.json", manifest)
    return folder / "manifest.json"


def _floor(study: Any) -> float | None:
    if study.corpus.source != "synthetic":
        return None
    from growbench import synthetic

    return synthetic.entropy_floor(study)


def _split(study: Any):
    """Return functions that start the training and the validation documents; without `valid`, split by document."""
    every = round(1 / study.corpus.valid_fraction)

    def chosen(validation: bool) -> Iterator[str]:
        for number, document in enumerate(_documents(study, "train")):
            if (number % every == every - 1) == validation:
                yield document

    if study.corpus.valid is not None:
        return lambda: _documents(study, "train"), lambda: _documents(study, "valid")
    held_out = 10_000 if study.corpus.source != "local" else None
    return lambda: chosen(False), lambda: itertools.islice(chosen(True), held_out)


def _documents(study: Any, key: str) -> Iterator[str]:
    """Iterate over the documents of one source."""
    if study.corpus.source == "local":
        return _local(study, key)
    if study.corpus.source == "hub":
        return _hub(study, key)
    from growbench import synthetic

    return synthetic.documents(study)


def _hub(study: Any, key: str) -> Iterator[str]:
    from datasets import load_dataset

    name = getattr(study.corpus, key)
    try:
        rows = load_dataset(name, study.corpus.subset, split="train", streaming=True)
    except Exception as error:
        raise GrowBenchError(f"corpus.{key}: data set {name!r} cannot be opened ({error}); check its name and the network") from error
    for row in rows:
        if study.corpus.text_key not in row:
            raise GrowBenchError(f"corpus.text_key: {name} has no '{study.corpus.text_key}'; it has {', '.join(row)}")
        yield row[study.corpus.text_key]


def _local(study: Any, key: str) -> Iterator[str]:
    empty = True
    for path in _files(study, key):
        for document in _read(path, study):
            empty = False
            yield document
    if empty:
        raise GrowBenchError(f"corpus.{key}: {getattr(study.corpus, key)} holds no text; point it at files with documents")


def _files(study: Any, key: str) -> list[Path]:
    if study.data.dir is None:
        raise GrowBenchError("data.dir: not set, but corpus.source is local; set data.dir or GROWBENCH_DATA to the data folder")
    root = Path(study.data.dir)
    if not root.is_dir():
        raise GrowBenchError(f"data.dir: {root} is no folder; set data.dir or GROWBENCH_DATA to the data folder")
    patterns = getattr(study.corpus, key)
    found: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns or []:
        matches = sorted(p for p in root.glob(pattern) if p.is_file())
        if not matches:
            raise GrowBenchError(f"corpus.{key}: no file matches {root}/{pattern}; mend the pattern or data.dir")
        found += matches
    return found


def _read(path: Path, study: Any) -> Iterator[str]:
    try:
        with _text(path) as lines:
            if ".jsonl" in path.suffixes:
                yield from _jsonl(path, lines, study.corpus.text_key)
            elif study.corpus.documents == "line":
                yield from (line.strip() for line in lines if line.strip())
            else:
                for blank, group in itertools.groupby(lines, lambda line: not line.strip()):
                    if not blank:
                        yield "\n".join(line.strip() for line in group)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise GrowBenchError(f"{path}: cannot be read ({error}); replace the file") from error


def _text(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    if path.suffix == ".zst":
        import zstandard

        return io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(open(path, "rb")), encoding="utf-8")
    return open(path, encoding="utf-8")


def _jsonl(path: Path, lines: Iterable[str], key: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)[key]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise GrowBenchError(f"{path}:{number}: no JSON object with '{key}'; set corpus.text_key or mend the line") from error


def _sample(study: Any) -> Iterator[str]:
    """The first VOCABULARY_BYTES of the training text."""
    size = 0
    for document in _split(study)[0]():
        yield document
        size += len(document)
        if size > VOCABULARY_BYTES:
            return


def _tokenizer(study: Any, folder: Path) -> Any:
    """Train or fetch the tokenizer, save it in Hugging Face layout, and return its fast core."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if study.corpus.tokenizer == "pretrained":
        fast = AutoTokenizer.from_pretrained(study.corpus.tokenizer_name)
        fast.save_pretrained(folder)
        return fast.backend_tokenizer
    core = _trained(study)
    names = {f"{name}_token": token for name, token in zip(NAMES, SPECIAL, strict=True)}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(folder)
    return core


def _trained(study: Any) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    settings: dict[str, Any] = {"vocab_size": study.corpus.vocab, "special_tokens": list(SPECIAL), "show_progress": False}
    if study.corpus.tokenizer == "bpe":
        core, trainer = Tokenizer(models.BPE(unk_token="[UNK]")), trainers.BpeTrainer(**settings)
        core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    elif study.corpus.tokenizer == "word":
        core, trainer = Tokenizer(models.WordLevel(unk_token="[UNK]")), trainers.WordLevelTrainer(**settings)
        core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        core, trainer = Tokenizer(models.WordPiece(unk_token="[UNK]")), trainers.WordPieceTrainer(**settings)
        core.normalizer = normalizers.BertNormalizer(lowercase=study.corpus.lowercase)
        core.pre_tokenizer, core.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    core.train_from_iterator(_sample(study), trainer)
    ids = [(token, core.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return core


def _pack(documents: Iterator[str], tokenizer: Any, sep: int, path: Path, dtype: np.dtype, limit: int | None) -> dict[str, Any]:
    """Tokenise documents in parallel, a batch at a time, and append them to one flat file."""
    tokens = count = 0
    with open(path, "wb") as handle:
        while batch := list(itertools.islice(documents, BATCH)):
            for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):
                if limit is not None and tokens >= limit:
                    break
                ids = np.asarray([*encoding.ids, sep], dtype=dtype)
                handle.write(ids.tobytes())
                tokens, count = tokens + len(ids), count + 1
            if limit is not None and tokens >= limit:
                break
    return {"file": path.name, "tokens": tokens, "documents": count, "sha256": record.file_digest(path)}


def _unigram(folder: Path, dtype: np.dtype, vocab: int, sep: int) -> float:
    """Nats per token of the validation text under the add-one smoothed unigrams of the training text, without [SEP]."""
    counts = np.bincount(np.memmap(folder / "train.bin", dtype=dtype, mode="r"), minlength=vocab) + 1.0
    counts[sep] = 0
    valid = np.bincount(np.memmap(folder / "valid.bin", dtype=dtype, mode="r"), minlength=vocab).astype(float)
    valid[sep] = 0
    share, kept = valid / valid.sum(), valid > 0
    return float(-(share[kept] * np.log(counts[kept] / counts.sum())).sum())
