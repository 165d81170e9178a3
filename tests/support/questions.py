"""Questions with known answers: a tokenizer of letters, SQuAD's layout, and a task that a small model can learn."""

from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from growbench.tasks.squad import Question

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
WORDS = [*SPECIAL.values(), *"abcdefghijklmnopqrstuvwxyz"]


def words(template: bool = True) -> PreTrainedTokenizerFast:
    """Return a tokenizer of lower-case words separated by spaces; it knows `a` to `z`."""
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    if template:
        core.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, **{f"{k}_token": v for k, v in SPECIAL.items()})


def ask(text: str, context: str, *answers: str) -> Question:
    return Question("q", text, context, answers, context.index(answers[0]) if answers else 0)


def layout(questions: list[Question], version: str = "v2.0") -> dict[str, Any]:
    """Return the official layout, one paragraph per question; impossible questions carry a plausible answer."""
    paragraphs = []
    for number, q in enumerate(questions):
        entry = {
            "id": f"{number}",
            "question": q.text,
            "answers": [{"text": t, "answer_start": q.start} for t in q.answers],
        }
        if version == "v2.0":
            entry["is_impossible"] = not q.answers
            if not q.answers:
                entry["plausible_answers"] = [{"text": q.context[:1], "answer_start": 0}]
        paragraphs.append({"context": q.context, "qas": [entry]})
    return {"version": version, "data": [{"title": "t", "paragraphs": paragraphs}]}


def find(count: int, seed: int, impossible: bool) -> list[Question]:
    """Return questions: find this letter in a context that is too long for one window.

    impossible: whether every third context lacks the letter.
    """
    rng, out = np.random.default_rng(seed), []
    for number in range(count):
        letters = rng.permutation(list("bcdefghijklmnopqrstuvwxyz"))[:15].tolist()
        key = letters[int(rng.integers(14))]
        out.append(
            ask(key, " ".join(w for w in letters if w != key))
            if impossible and number % 3 == 0
            else ask(key, " ".join(letters), key)
        )
    return out
