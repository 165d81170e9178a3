"""Studies and files of language models' test sets, and a model whose probabilities are known."""

from pathlib import Path
from typing import Any

import torch
from support import tiny
from transformers import PreTrainedTokenizerFast

from growbench.pipeline.corpus import tokenizer as trained
from growbench.study.study import Study
from growbench.tasks import language


def study(
    folder: Path | None, *names: str, length: int = 16, stride: int = 5, source: str = "local", family: str = "gpt2"
) -> Study:
    """Return a study that is scored on these test sets, whose files are below `folder`."""
    return tiny.study(
        data={"dir": folder and str(folder)},
        corpus={"tokenizer": "bpe"},
        objective={"length": length},
        target={"family": family},
        zeroshot={
            "source": source,
            "names": list(names),
            "points": [1.0],
            "pairs": 80,
            "stride": stride,
            "batch": 3,
            "threads": 1,
        },
        methods={"scratch": None},
    )


def put(folder: Path, name: str, text: str) -> Path:
    """Write a test set's file and return its path."""
    path = folder / language.OFFICIAL[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def letters(folder: Path, unk: str = "[UNK]", **special: Any) -> PreTrainedTokenizerFast:
    """A tokenizer in which every byte is a token; saved where a corpus leaves it."""
    core = trained.train("bpe", ["x"], 256 + 5, special.pop("lowercase", False))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=unk, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", **special
    )
    fast.save_pretrained(str(folder))
    tiny.sign(folder.parent, vocab=len(fast))
    return fast


class Table:
    """A family whose model is a table of log-probabilities [previous id, next id]: only the last id matters."""

    def encode(self, model: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(inputs, len(model)).double()

    def head(self, model: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ model


def certain(vocab: int, following: dict[int, int]) -> torch.Tensor:
    """Return a table in which the given ids are most likely after their keys, and id 0 after all other ids."""
    table = torch.zeros(vocab, vocab, dtype=torch.float64)
    for before in range(vocab):
        table[before, following.get(before, 0)] = 2.0
    return table.log_softmax(-1)
