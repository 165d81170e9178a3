"""Windows over contexts: they overlap, cover the context, and hold the answer where it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.downstream import study
from support.questions import WORDS, ask, words
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune.windows import answer_tokens, context_windows, cuts
from growbench.study.sections import FinetuneConfig


def settings(max_length: int) -> FinetuneConfig:
    return replace(study(Path(), "SQuAD1.1").finetune, max_length=max_length)


def test_cuts_overlap_and_cover_the_context() -> None:
    assert cuts(5, 8, 3) == [(0, 5)]
    assert cuts(10, 6, 3) == [(0, 6), (3, 9), (6, 10)]
    assert cuts(12, 6, 6) == [(0, 6), (6, 12)]
    assert cuts(0, 6, 3) == [(0, 0)]


@pytest.mark.parametrize("causal", [False, True])
def test_windows_hold_the_answer_where_it_is(causal: bool) -> None:
    context = "A b c d e f g h i j k l"
    made = context_windows(
        PlainTokenizer(words()), [ask("y z", context, "d e"), ask("z", context)], settings(11), causal
    )
    rows = [[WORDS[i] for i in ids] for ids in made.ids]
    assert rows[0] == ["[CLS]", "y", "z", "[SEP]", *"abcdef", "[SEP]"]
    assert rows[1] == ["[CLS]", "y", "z", "[SEP]", *"efghij", "[SEP]"]
    assert made.types[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    null = 10 if causal else 0
    assert made.labels[:2].tolist() == [[7, 8], [null, null]], "the second window holds only half of the answer"
    assert made.question.tolist() == [0, 0, 0, 1, 1, 1]
    last = np.flatnonzero(made.question == 1)
    assert (made.labels[last] == made.null[last][:, None]).all(), "no answer anywhere"
    assert all(rows[r][made.null[r]] == ("[SEP]" if causal else "[CLS]") for r in range(len(rows)))
    assert [context[slice(*pair)] for pair in made.spans[1]] == list("efghij")


def test_a_long_question_is_cut_and_a_bare_tokenizer_gets_a_null_token() -> None:
    question = ask(" ".join("abcdefghijkl"), "x y z", "y")
    for causal, row in ((True, [*"abcdef", "[SEP]", *"xyz", "[SEP]"]), (False, ["[CLS]", *"abcdef", "[SEP]", *"xyz"])):
        made = context_windows(PlainTokenizer(words(template=False)), [question], settings(12), causal)
        assert [WORDS[i] for i in made.ids[0]] == row
        assert made.labels[0].tolist() == [row.index("y")] * 2


def byte_level() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(["the old café is shut"] * 3, BpeTrainer(vocab_size=400, initial_alphabet=letters))
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="!", sep_token="!")


@pytest.mark.parametrize("answer", ["café", " café ", "old café is", "the", "x", "naïve x"])
def test_bytes_and_spaces_do_not_move_an_answer(answer: str) -> None:
    """The text of the labeled tokens, without surrounding spaces, is the answer. Accented letters are two tokens here."""
    question = ask("where", "the old café is shut naïve x", answer)
    fast = byte_level()
    pairs = np.asarray(fast([question.context], return_offsets_mapping=True)["offset_mapping"][0])
    first, last = answer_tokens(question, pairs)
    assert question.context[pairs[first, 0] : pairs[last, 1]].strip() == answer.strip()
