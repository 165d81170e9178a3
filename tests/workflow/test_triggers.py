"""What is planned again after a change: exactly the jobs whose results depend on it. Contents count, never times."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import stubbed, workflow
from support.stubbed import AFTER, planned

from growbench.study import config, timeline
from growbench.study.files import merged

pytestmark = pytest.mark.slow
METHODS = ("scratch", "bert2bert_fpi", "bert2bert_aki", "given")
SMALL: dict[str, Any] = {
    "extends": "demo.yaml",
    "study": "small",
    "seeds": [0, 1],
    "methods": {**dict.fromkeys(METHODS), "given": {"of": "mslt", "plan": "plan.json"}},
    "finetune": {"points": [1.0]},
}
LOCAL: dict[str, Any] = {
    "extends": "demo-gpt.yaml",
    "study": "local",
    "seeds": [0],
    "attention": False,
    "data": {"dir": "data"},
    "corpus": {
        "source": "local", "train": "text/*.txt", "valid": "valid.txt", "max_tokens": None, "tokenizer": "pretrained",
        "tokenizer_name": "vocabulary",
    },
    "methods": {"scratch": None},
    "tasks": {"source": "local", "names": ["MRPC"]},
    "finetune": {"points": [1.0]},
    "zeroshot": {"names": ["PTB"]},
}  # fmt: skip
FILES = (
    "data/text/a.txt", "data/text/b.txt", "data/valid.txt", "data/glue/MRPC/train.tsv", "data/glue/MRPC/dev.tsv",
    "data/ptb/ptb.test.txt", "vocabulary/tokenizer.json",
)  # fmt: skip


def jobs(*methods: str) -> set[str]:
    """Return the jobs of these methods' runs, and all that follows from their records."""
    return {f"{rule} {name}" for rule in ("pretrain", "finetune") for name in methods} | {"attention"} | AFTER


SOURCE = {"source", "finetune_source"}
ALL = SOURCE | jobs(*METHODS)
TUNED = {job for job in ALL if job.startswith("finetune")} | AFTER


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study on generated text and tasks."""
    tree = workflow.copy(tmp_path_factory.mktemp("small"))
    plan = timeline.of(config.load(tree / "config/demo.yaml"), "mslt").plan
    (tree / "plan.json").write_text(json.dumps(plan.to_list()), encoding="utf-8")
    stubbed.build(tree, "small", SMALL)
    return tree


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study on files of the user's."""
    tree = workflow.copy(tmp_path_factory.mktemp("local"))
    for name in FILES:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"{name}\n", encoding="utf-8")
    stubbed.build(tree, "local", LOCAL)
    return tree


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """Replace text in a file for a while; an empty `old` stands for the end of the file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


CODE = {  # file, text, replacement, jobs
    "comment": ("methods/bert2bert_fpi.py", "", "\n# said better\n", set()),
    "docstring": ("methods/bert2bert_fpi.py", '"""', '"""Said better. ', set()),
    "method": ("methods/scratch.py", "", "\nCHANGED = 1\n", jobs("scratch")),
    "base method": (
        "methods/bert2bert_fpi.py", "", "\nCHANGED = 1\n", jobs("bert2bert_fpi", "bert2bert_aki"),
    ),
    "a method of no run": ("methods/stackbert.py", "", "\nCHANGED = 1\n", set()),
    "growth": ("growth/__init__.py", "VERSION = ", "VERSION = 1000 + ", ALL),
    "training": ("train/__init__.py", "VERSION = ", "VERSION = 1000 + ", ALL),
    "tables": ("analysis/frames/points.py", "", "\nCHANGED = 1\n", AFTER),
    "a comment on tables": ("analysis/frames/points.py", "", "\n# said better\n", set()),
    "figures": ("analysis/figures/axes.py", "", "\nCHANGED = 1\n", AFTER),
}  # fmt: skip


@pytest.mark.parametrize("case", CODE)
def test_code(small: Path, case: str) -> None:
    name, old, new, expected = CODE[case]
    with edited(small / "src/growbench" / name, old, new):
        assert planned(small, "small") == expected


NO_PLAN = {"methods": {"given": {"plan": None}}}  # the file's stages are of other shapes
CONFIG: dict[str, tuple[Mapping[str, Any], set[str]]] = {
    "an option": ({"methods": {"bert2bert_aki": {"lr": 1e-3}}}, jobs("bert2bert_aki")),
    "a new method": ({"methods": {"zero_pad": None}}, jobs("zero_pad")),
    "vocabulary": ({"corpus": {"vocab": 250}, **NO_PLAN}, ALL | {"corpus"}),
    "seed of the language": ({"corpus": {"seed": 5}}, ALL | {"corpus", "tasks"}),
    "a new task": ({"tasks": {"names": ["paraphrase", "similarity", "topic"]}}, TUNED | {"tasks"}),
    "a new seed": ({"seeds": [0, 1, 2]}, ALL),
    "one seed less": ({"seeds": [0]}, TUNED | {"attention", "pretrain bert2bert_fpi", "pretrain bert2bert_aki"}),
    "precision": ({"train": {"precision": "float64"}}, ALL),
    "no GPU": ({"train": {"device": "cpu"}}, ALL),
    "fine-tuning": ({"finetune": {"epochs": 9}}, TUNED),
    "max_length": ({"finetune": {"max_length": 40}, **NO_PLAN}, ALL),
    "search": (
        {"search": {"lrs": [1e-3, 2e-3]}},
        ALL | {"search_source", "source_of_trials", *(f"search {name}" for name in METHODS)},
    ),
    "search share, without a search": ({"search": {"share": 0.3}}, AFTER),
    "attention": ({"attention": False}, AFTER),
    "how fast": ({"train": {"threads": 2, "checkpoint_seconds": 7.0}}, {"pages", "all"}),
}


@pytest.mark.parametrize("case", CONFIG)
def test_config(small: Path, case: str) -> None:
    """The page of the configuration shows every value. Jobs for all seeds have other inputs if there are fewer seeds."""
    changes, expected = CONFIG[case]
    stubbed.write(small, "small", merged(SMALL, changes))
    try:
        assert planned(small, "small") == expected
    finally:
        stubbed.write(small, "small", SMALL)


def test_the_plan_of_a_variant(small: Path) -> None:
    plan = small / "plan.json"
    text = plan.read_text(encoding="utf-8")
    with edited(plan, text, json.dumps(json.loads(text), indent=1)):
        assert not planned(small, "small"), "its layout does not count"
    with edited(plan, text, json.dumps([{**json.loads(text)[0], "until": 0.07}, *json.loads(text)[1:]])):
        assert planned(small, "small") == jobs("given")


RUNS = {"pretrain scratch", "finetune scratch", "zeroshot scratch"} | AFTER


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/text/b.txt", RUNS | {"corpus"}),
        ("data/valid.txt", RUNS | {"corpus"}),
        ("vocabulary/tokenizer.json", RUNS | {"corpus"}),
        ("data/glue/MRPC/dev.tsv", {"finetune scratch"} | AFTER),
        ("data/ptb/ptb.test.txt", {"zeroshot scratch"} | AFTER),
    ],
)
def test_a_file_of_the_user(local: Path, name: str, expected: set[str]) -> None:
    with edited(local / name, "", "more\n"):
        assert planned(local, "local") == expected
    assert not planned(local, "local"), "the same bytes again"


def test_a_new_text_file_that_the_config_matches(local: Path) -> None:
    shutil.copy(local / "data/valid.txt", local / "data/text/c.txt")
    assert planned(local, "local") == RUNS | {"corpus"}
    (local / "data/text/c.txt").unlink()
    (local / "data/unread.txt").touch()
    assert not planned(local, "local")


def test_neither_times_nor_the_place_of_the_data_count(local: Path, tmp_path: Path) -> None:
    for name in FILES:
        os.utime(local / name)
    assert not planned(local, "local")
    shutil.copytree(local / "data", tmp_path / "elsewhere")
    jobs = planned(local, "local", GROWBENCH_DATA=str(tmp_path / "elsewhere"))
    assert jobs == {"pages", "all"}, "the page of the configuration shows the folder"
