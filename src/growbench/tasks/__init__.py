"""Downstream tasks: what a task's files look like and how it is scored. The suites are glue.py, squad.py and toyglue.py."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task: classification or regression in GLUE's TSV layout, or spans of a context (SQuAD, see squad.py).

    name: of the task and its folder. suite: "GLUE", "SQuAD" or "toyglue". text_columns: one column (single sentence) or two
    (pair). label_column: the column to predict. num_labels: classes; 1 means regression. labels: the strings of the
    label column in the order of the class ids; None where the column already holds the ids or a real number.
    metrics: names among accuracy, f1, matthews, pearson, spearman. main: the one that is quoted.
    header: True if the first line names the columns, else the names of all columns of a file without such a line.
    subset: the files hold only a part of the official rows, which is said wherever a score is printed.
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
    header: bool | tuple[str, ...] = True
    subset: bool = False

    @property
    def regression(self) -> bool:
        return self.num_labels == 1
