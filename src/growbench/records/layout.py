"""Where everything of a study lies: the only module that spells these paths.

Everything is relative to the folder that the commands run in. The workflow passes "{study}", "{method}", "{seed}" and
"{point}" as arguments, so that its templates come from here as well.
"""

from dataclasses import dataclass
from pathlib import Path

Seed = int | str


def run_name(method: str, seed: Seed) -> str:
    """Return the name of a run."""
    return f"{method}-s{seed}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, or of one trial of a search."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.path / ".lock"

    @property
    def state(self) -> Path:
        """The folder of the last checkpoint, from which the run resumes."""
        return self.path / "state"

    @property
    def points(self) -> Path:
        """The folder of the finished points."""
        return self.path / "points"

    def point(self, name: str) -> Path:
        """Return the folder of a finished point: a checkpoint in Hugging Face layout."""
        return self.points / name

    @property
    def restored(self) -> Path:
        """Written when models were trained again for a record that came without them."""
        return self.path / "restored.json"

    @property
    def diverged(self) -> Path:
        """Written when a trial has diverged: its identity."""
        return self.path / "diverged.json"

    def finetuned(self, point: str) -> Path:
        """Return the folder of the finished fine-tunings of a point, from which their record can be made again."""
        return self.path / "finetune" / point


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one study."""

    study: str

    @property
    def root(self) -> Path:
        """Everything except figures, logs and benchmarks."""
        return Path("results") / self.study

    # Text and tasks

    @property
    def corpus(self) -> Path:
        """The folder of the tokenized text."""
        return self.root / "corpus"

    @property
    def corpus_manifest(self) -> Path:
        """Written last: a corpus without it is not complete."""
        return self.corpus / "manifest.json"

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer."""
        return self.corpus / "tokenizer"

    @property
    def tasks(self) -> Path:
        """The folder of the generated tasks; each has a folder of its own in it."""
        return self.root / "tasks"

    @property
    def tasks_manifest(self) -> Path:
        """Written last: tasks without it are not complete."""
        return self.tasks / "manifest.json"

    @property
    def hub(self) -> Path:
        """The folder of hub downloads, used only if Hugging Face's own cache cannot be written."""
        return self.root / "hub"

    @property
    def corpus_lock(self) -> Path:
        """Held by the process that tokenizes the text."""
        return self.root / ".corpus.lock"

    @property
    def tasks_lock(self) -> Path:
        """Held by the process that generates the tasks."""
        return self.root / ".tasks.lock"

    # Models

    def run(self, method: str, seed: Seed) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.root / "runs" / run_name(method, seed))

    def search(self, method: str) -> RunFolder:
        """Return the folder that holds the trials of a search until its record is written."""
        return RunFolder(self.root / "search" / method)

    def trial(self, method: str, share: float, lr: float, warmup: int | None) -> RunFolder:
        """Return the folder of one trial: share of the budget, peak learning rate, steps of the warm-up if it is in steps."""
        steps = "" if warmup is None else f"-{warmup}"
        return RunFolder(self.search(method).path / f"{share:g}-{lr:g}{steps}")

    # Records

    @property
    def records(self) -> Path:
        """The folder of all records."""
        return self.root / "records"

    def search_record(self, method: str) -> Path:
        """Return the record of the search for a method's learning rate."""
        return self._record("search", method)

    def run_record(self, method: str, seed: Seed) -> Path:
        """Return the record of a run."""
        return self._record("pretrain", run_name(method, seed))

    def curve(self, method: str, seed: Seed) -> Path:
        """Return the curve of a run, which lies beside its record."""
        return self.run_record(method, seed).with_suffix(".csv")

    def documents(self, method: str, seed: Seed) -> Path:
        """Return the losses of a run's finished points by document, which lie beside its record."""
        return self.run_record(method, seed).with_suffix(".documents.csv")

    def finetune_record(self, method: str, seed: Seed, point: str) -> Path:
        """Return the record of the fine-tunings of a finished point."""
        return self._record("finetune", f"{run_name(method, seed)}-{point}")

    def zeroshot_record(self, method: str, seed: Seed, point: str) -> Path:
        """Return the record of a finished point's zero-shot evaluation."""
        return self._record("zeroshot", f"{run_name(method, seed)}-{point}")

    def attention_record(self, seed: Seed) -> Path:
        """Return the record of where the heads of one seed's models look."""
        return self._record("attention", f"s{seed}")

    def lock(self, kind: str, name: str) -> Path:
        """Return the lock of a job that writes records of a kind. name: a method, or a seed as s0."""
        return self._records(kind) / f".{name}.lock"

    # What is made of the records

    @property
    def tables(self) -> Path:
        """The folder of the tables."""
        return self.root / "tables"

    @property
    def tables_lock(self) -> Path:
        """Held by the process that writes the tables."""
        return self.tables / ".lock"

    @property
    def explorer(self) -> Path:
        """The page on which a reader asks his own question."""
        return self.root / "explorer.html"

    def page(self, name: str) -> Path:
        """Return a page of the report."""
        return self.root / "report" / f"{name}.html"

    def figure(self, name: str, ending: str) -> Path:
        """Return a figure. ending: png or pdf."""
        return Path("figures") / self.study / f"{name}.{ending}"

    # What the workflow's jobs leave

    def log(self, step: str, job: str = "") -> Path:
        """Return the log of a step of the pipeline, or of one job of it."""
        return self._of_job("logs", step, job, ".log")

    def benchmark(self, step: str, job: str = "") -> Path:
        """Return the time and memory that a step took, or one job of it."""
        return self._of_job("benchmarks", step, job, ".tsv")

    def _records(self, kind: str) -> Path:
        return self.records / kind

    def _record(self, kind: str, name: str) -> Path:
        return self._records(kind) / f"{name}.json"

    def _of_job(self, folder: str, step: str, job: str, ending: str) -> Path:
        place = Path(folder) / self.study / step
        return place / f"{job}{ending}" if job else place.with_name(f"{step}{ending}")
