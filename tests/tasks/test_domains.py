"""Domains: WikiText is put together again, texts are whole and from all over a domain, and files are the official ones."""

import json
from pathlib import Path

import pytest
from support.testsets import put, study

from growbench.errors import GrowBenchError
from growbench.tasks import detokenize, domains, testsets


@pytest.mark.parametrize(
    ("split", "whole"),
    [
        (" a guest @-@ starring role in 1 @,@ 000 or 2 @.@ 5 films ", "a guest-starring role in 1,000 or 2.5 films"),
        ("In 2006 , he left ; why ? No !", "In 2006, he left; why? No!"),
        (
            "Teddy 's Story , the Jones ' house , they 'll go , did n't",
            "Teddy's Story, the Jones' house, they'll go, didn't",
        ),
        ('the episode " Teddy \'s Story " of " The Long Firm " .', 'the episode "Teddy\'s Story" of "The Long Firm".'),
        ("( 1990 – 2000 ) [ sic ] , 5 % of $ 3", "(1990 – 2000) [sic], 5% of $3"),
        (" = = Early life = = ", "Early life"),
        (" = Robert <unk> = ", "Robert <unk>"),
        ("a = b", "a = b"),
        ("", ""),
        (' one " quote', 'one " quote'),
    ],
)
def test_wikitext_reads_like_ordinary_text_again(split: str, whole: str) -> None:
    assert detokenize.wikitext(split) == whole
    assert detokenize.wikitext(f"{split}\n{split}") == f"{whole}\n{whole}"


def test_wikitext_s_articles_are_the_texts(tmp_path: Path) -> None:
    put(tmp_path, "WikiText-2", " \n = One = \n \n = = Part = = \n \n A , b . \n \n = Two = \n \n C @-@ d . \n")
    found = domains.load("bytes/WikiText-2", study(tmp_path, "bytes/WikiText-2"))
    assert [text.split("\n")[0] for text in found.texts] == ["One", "Two"]
    assert "Part" in found.texts[0] and "A, b." in found.texts[0] and "C-d." in found.texts[1]
    assert found.subset and list(found.files) == ["test"]


def test_sentences_and_passages_are_those_of_dev_each_once(tmp_path: Path) -> None:
    made = study(tmp_path, "bytes/MRPC", "bytes/SQuAD")
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    (tmp_path / "glue/MRPC").mkdir(parents=True)
    (tmp_path / "glue/MRPC/train.tsv").write_text(header + "1\t0\t0\ttrain\ttrain too\n")
    (tmp_path / "glue/MRPC/dev.tsv").write_text(header + "1\t0\t0\ta b\tc d\n0\t0\t0\ta b\te\n")
    found = domains.load("bytes/MRPC", made)
    assert found.texts == ["a b", "c d", "e"] and found.subset and set(found.files) == {"train.tsv", "dev.tsv"}
    answers = [{"text": "x", "answer_start": 0}]
    entries = [{"id": str(n), "question": "q", "answers": answers} for n in range(2)]
    for split in ("train", "dev"):
        data = {"data": [{"paragraphs": [{"context": f"x {split}", "qas": entries}]}]}
        (tmp_path / "squad").mkdir(exist_ok=True)
        (tmp_path / f"squad/{split}.json").write_text(json.dumps(data))
    assert domains.load("bytes/SQuAD", made).texts == ["x dev"]
    testsets.check(made)
    assert all((tmp_path / path).is_file() for name in made.zeroshot.names for path in testsets.paths(name))
    (tmp_path / "squad/dev.json").unlink()
    with pytest.raises(GrowBenchError, match=r"dev\.json: cannot be read"):
        testsets.check(made)


def test_a_limit_takes_whole_texts_from_all_over_the_list_in_order() -> None:
    texts = [f"{n:04d} " + "x" * 95 for n in range(1000)]
    found = domains.limited(texts, 10_000)
    assert len(found) == 100 and found == sorted(found) and set(found) <= set(texts)
    assert found[0] < texts[100] and found[-1] > texts[900]
    assert domains.limited(texts, 10**9) == texts
    assert len(domains.limited(["é" * 60, "é" * 60], 100)) == 1
    large = domains._domain("x", (f"{n:05d}" + "x" * 95 for n in range(20_000)), False, {})
    assert sum(len(text.encode()) for text in large.texts) == 1_500_000
