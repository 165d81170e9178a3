"""The inputs on which a source and its target are compared: random ones, or the beginning of a text."""

from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.preservation import Sample, hidden_tokens, next_tokens
from growbench.pipeline.grow.files import TOKENIZER

ROWS = 4  # sequences at most
LENGTH = 128  # tokens of a sequence at most
TEXT_BYTES = 1 << 16  # bytes read of a text


def sample_of(family: Family, config: Any, model: Any, folder: Path, text: Path | None, seed: int) -> Sample:
    """Return the inputs for both models: random ones, or the beginning of a text read by the folder's tokenizer.

    model: a stock model, with or without storage. Raises GrowBenchError if the text or the tokenizer cannot be used.
    """
    length = min(LENGTH, family.spec(config).max_length)
    labelled = family.objective in ("mlm", "clm") and model.get_output_embeddings() is not None
    mask, special = None, ()
    if text is None:
        rows = [family.inputs(config, batch=ROWS, length=length, seed=seed)]
        words = "random tokens" if model.main_input_name == "input_ids" else "random images"
    else:
        if model.main_input_name != "input_ids":
            raise GrowBenchError(f"--text {text}: {family.name} does not read text; leave --text out")
        tokenizer = tokenizer_of(folder)
        rows = _rows(tokenizer, text, length)
        words, mask, special = str(text), tokenizer.mask_token_id, tokenizer.all_special_ids
        if (largest := max(int(row.max()) for row in rows)) >= config.vocab_size:
            raise GrowBenchError(
                f"{folder}: the tokenizer makes token id {largest}, beyond vocab_size; fix the tokenizer"
            )
    if not labelled:
        return Sample(tuple(rows), (), words)
    if family.objective == "clm":
        return next_tokens(rows, words)
    return hidden_tokens(rows, words, mask=mask, special=special)


def tokenizer_of(folder: Path) -> Any:
    """Return the tokenizer of a directory. Raises GrowBenchError if there is none, or if it cannot be loaded."""
    from transformers import AutoTokenizer

    if not any(any(folder.glob(pattern)) for pattern in TOKENIZER):
        raise GrowBenchError(f"{folder}: no tokenizer, which --text needs; leave --text out")
    try:
        return AutoTokenizer.from_pretrained(folder.resolve(), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise GrowBenchError(
            f"{folder}: the tokenizer, which --text needs, cannot be loaded; leave --text out"
        ) from error


def _rows(tokenizer: Any, path: Path, length: int) -> list[torch.Tensor]:
    """Return the first token ids of a text, at most ROWS pieces of them, as batches [B, T] of pieces of one length."""
    try:
        with open(path, "rb") as file:
            text = file.read(TEXT_BYTES).decode("utf-8", errors="ignore")
    except OSError as error:
        raise GrowBenchError(f"--text {path}: {error.strerror}; name a text file") from error
    found = tokenizer(text, truncation=True, max_length=length, return_overflowing_tokens=True, verbose=False)
    ids = found["input_ids"]
    pieces = [piece for piece in (ids if ids and isinstance(ids[0], list) else [ids]) if piece][:ROWS]
    if not pieces or not set(pieces[0]) - set(tokenizer.all_special_ids):
        raise GrowBenchError(f"--text {path}: it has no tokens; name a file with text")
    return [torch.tensor(list(batch)) for _, batch in groupby(pieces, key=len)]
