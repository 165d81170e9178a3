"""Downstream tasks: the layout of their files and how they are scored. Suites: glue.py, squad.py, toyglue.py.

language.py has the test sets that need no fine-tuning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task: classification or regression in GLUE's TSV layout, or spans of a context (SQuAD, see squad.py).

    name: of the task and its folder.
    suite: "GLUE", "SQuAD" or "toyglue".
    text_columns: one column for a single sentence, two for a pair.
    label_column: the column to predict.
    num_labels: number of classes; 1 means regression.
    labels: the strings of the label column in the order of the class ids; None for a regression or spans.
    limits: the smallest and the largest label of a regression.
    metrics: names among those of metrics/scores.py.
    main: the metric that is quoted.
    train_file, dev_file: names of the files.
    second: a second set of dev rows on which the main metric is measured, too: the metric's name there, the file, which may be
        missing, and the split on the hub.
    header: True if the first line names the columns, else the names of all columns of a file without such a line.
    skips_short: whether the official readers skip lines that lack columns; otherwise such a line is an error.
    subset: whether the files hold only part of the official rows; reported wherever a score is printed.
    skipped: the number of lines or questions of both files that were left out as broken.
    files: the SHA-256 of what was read, by the name of the file, or of the split of a dataset.
    """

    name: str
    suite: str
    text_columns: tuple[str, ...]
    label_column: str
    num_labels: int
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...]
    main: str
    train_file: str = "train.tsv"
    dev_file: str = "dev.tsv"
    second: tuple[str, str, str] | None = None
    header: bool | tuple[str, ...] = True
    limits: tuple[float, float] = (0.0, 5.0)
    skips_short: bool = False
    subset: bool = False
    skipped: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def regression(self) -> bool:
        return self.num_labels == 1
