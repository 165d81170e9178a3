"""Test sets of language models, in their official layouts below data.dir or from the hub, read without any change.

WikiText-2 (Merity et al., 2017) and PTB (Marcus et al., 1993, cut and filtered by Mikolov et al., 2010) are running
text, in which `<unk>`, `N` and ` @-@ ` are ordinary text. LAMBADA (Paperno et al., 2016) has one passage per line, and
the model has to predict its last word. This module imports no torch, so that files can be checked without it.
"""

from dataclasses import dataclass, field

from growbench.errors import GrowBenchError
from growbench.study.study import Study
from growbench.tasks import hub, local

UNKNOWN_WORD = "<unk>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Official:
    """Where a test set is found and what its official file holds.

    file: its path below data.dir.
    lines: number of lines.
    words: number of words separated by spaces, line ends not counted; None to compare only the lines.
    last_word: whether only the last word of each line is predicted.
    hub: dataset, configuration, column and revision.
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
    """The text of a test set.

    name: of the test set. lines: its lines, without line ends.
    last_word: whether only the last word of each line is predicted.
    subset: whether its counts differ from those of the official file.
    sha256: of the file, or of a dataset's lines; texts that differ in it alone are the same text.
    """

    name: str
    lines: tuple[str, ...]
    last_word: bool
    subset: bool
    sha256: str = field(compare=False)

    @property
    def running(self) -> str:
        """The text of the file, with line ends."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def words(self) -> int:
        """How many words, separated by spaces, are scored: all of running text, or the last one of each passage."""
        return len(self.lines) if self.last_word else sum(len(line.split()) for line in self.lines)

    @property
    def passages(self) -> list[tuple[str, str]]:
        """Each passage, split into the context and its last word with the space before it."""
        cuts = [(line, line.rstrip().rfind(" ")) for line in self.lines]
        return [(line[:cut], line[cut:].rstrip()) for line, cut in cuts]


def load(name: str, study: Study) -> Text:
    """Return the test set of this name from `zeroshot.source`.

    Raises GrowBenchError if the folder, file or dataset cannot be read or is not this test set.
    """
    known = OFFICIAL[name]
    where, lines, sha256 = _hub(name, known, study) if study.zeroshot.source == "hub" else _local(name, known, study)
    if known.last_word:
        lines = [line.strip() for line in lines if line.strip()]
        for number, line in enumerate(lines, 1):
            if len(line.split()) < 2:
                raise GrowBenchError(
                    f"{where}: passage {number} has no word before the last one; use {name}'s official file"
                )
    words = sum(len(line.split()) for line in lines)
    if not words:
        raise GrowBenchError(f"{where}: holds no words; use {name}'s official file")
    subset = len(lines) != known.lines or known.words not in (None, words)
    return Text(name=name, lines=tuple(lines), last_word=known.last_word, subset=subset, sha256=sha256)


def _local(name: str, known: Official, study: Study) -> tuple[str, list[str], str]:
    """Return the path of a test set's file, its lines, and the SHA-256 of its bytes."""
    folder = local.data_folder(study, "zeroshot.source")
    file = local.read(folder / known.file, folder, f"put {name}'s official file there")
    return str(file.path), file.text.removesuffix("\n").split("\n"), file.sha256


def _hub(name: str, known: Official, study: Study) -> tuple[str, list[str], str]:
    """Return a dataset's rows as lines of the official file: a space on both sides, and one space for an empty row."""
    path, subset, column, revision = known.hub
    try:
        rows = hub.load(study, path, subset, split="test", revision=revision)
        texts = [str(row[column]).strip() for row in rows]
    except Exception as error:
        raise GrowBenchError(
            f"zeroshot.source: {name} cannot be downloaded from {path} ({hub.reason(error)}); fix the network or use "
            "local files"
        ) from error
    return path, [f" {text} " if text else " " for text in texts], hub.digest(texts)
