"""Test sets of language models, in their official layouts below data.dir or from the hub, read as they stand.

WikiText-2 (Merity et al., 2017) and PTB (Marcus et al., 1993, as Mikolov et al., 2010, cut and filtered it) are running
text, in which `<unk>`, `N` and ` @-@ ` are text like any other; LAMBADA (Paperno et al., 2016) is one passage a line, whose
last word is asked for. No torch here: files are checked without it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from growbench.errors import GrowBenchError

if TYPE_CHECKING:
    from growbench.study.study import Study

UNKNOWN_WORD = "<unk>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Official:
    """Where a test set lies and what the official file holds.

    file: below data.dir. lines: of the file. words: between blanks, line ends not counted (None: lines alone are compared).
    last_word: whether only the last word of each line is asked for. hub: dataset, configuration, column and revision.
    """

    file: str
    lines: int
    words: int | None
    last_word: bool
    hub: tuple[str, str, str, str | None]


OFFICIAL = {
    "WikiText-2": Official(
        file="wikitext-2/wiki.test.tokens", lines=4_358, words=241_211, last_word=False,
        hub=("Salesforce/wikitext", "wikitext-2-v1", "text", None),
    ),
    "PTB": Official(
        file="ptb/ptb.test.txt", lines=3_761, words=78_669, last_word=False,
        hub=("ptb-text-only/ptb_text_only", "penn_treebank", "sentence", "refs/convert/parquet"),
    ),
    "LAMBADA": Official(
        file="lambada/lambada_test_plain_text.txt", lines=5_153, words=None, last_word=True,
        hub=("cimec/lambada", "plain_text", "text", None),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A test set's text. lines: without their line ends. subset: its counts are not the official file's."""

    name: str
    lines: tuple[str, ...]
    last_word: bool
    subset: bool

    @property
    def running(self) -> str:
        """The text as the file has it, every line with its end."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def words(self) -> int:
        """Words between blanks that are scored: all of running text, the last one of each passage. Line ends are none."""
        return len(self.lines) if self.last_word else sum(len(line.split()) for line in self.lines)

    @property
    def passages(self) -> list[tuple[str, str]]:
        """Each passage cut into what is given and its last word, which keeps the blank before it."""
        cuts = [(line, line.rstrip().rfind(" ")) for line in self.lines]
        return [(line[:cut], line[cut:].rstrip()) for line, cut in cuts]


def load(name: str, study: "Study") -> Text:
    """Return a test set of this name from `zeroshot.source`.

    Raises GrowBenchError for a folder, file or dataset that cannot be read and for one that is no such test set.
    """
    known = OFFICIAL[name]
    where, lines = _hub(name, known) if study.zeroshot.source == "hub" else _local(name, known, study)
    if known.last_word:
        lines = [line.strip() for line in lines if line.strip()]
        for number, line in enumerate(lines, 1):
            if len(line.split()) < 2:
                raise GrowBenchError(
                    f"{where}: passage {number} has no words before its last; use {name}'s official file"
                )
    words = sum(len(line.split()) for line in lines)
    if not words:
        raise GrowBenchError(f"{where}: holds no words; use {name}'s official file")
    subset = len(lines) != known.lines or known.words not in (None, words)
    return Text(name=name, lines=tuple(lines), last_word=known.last_word, subset=subset)


def check(study: "Study") -> None:
    """Raise what load() would raise for local files, before anything is spent."""
    if study.zeroshot.source == "local":
        for name in study.zeroshot.names:
            load(name, study)


def _local(name: str, known: Official, study: "Study") -> tuple[str, list[str]]:
    if study.data.dir is None:
        raise GrowBenchError(
            "data.dir: not set, but zeroshot.source is local; set data.dir or GROWBENCH_DATA to the data folder"
        )
    path = Path(study.data.dir) / known.file
    try:
        with open(path, encoding="utf-8", newline="\n") as handle:
            lines = handle.read().removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: cannot be read ({reason}); put {name}'s official file there") from error
    return str(path), lines


def _hub(name: str, known: Official) -> tuple[str, list[str]]:
    """A dataset's rows as the official file's lines: a blank around each of them, and blank lines for empty rows."""
    import datasets

    path, subset, column, revision = known.hub
    try:
        rows = datasets.load_dataset(path, subset, split="test", revision=revision)
        texts = [str(row[column]).strip() for row in rows]
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise GrowBenchError(
            f"zeroshot.source: {name} cannot be fetched from {path} ({reason}); use local files or mend the network"
        ) from error
    return path, [f" {text} " if text else " " for text in texts]
