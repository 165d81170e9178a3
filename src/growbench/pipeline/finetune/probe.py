"""Probes: a linear model on a frozen model's features, beside two floors, a random model and a bag of words.

A probe says what a model knows without training it, in seconds, so that every finished point can be probed. The floors say
what the same linear model reaches with the features of a random model of the same spec, and with counts of tokens.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from growbench import families
from growbench.families import Family
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune import cut_rows, features, linear
from growbench.pipeline.finetune.classify import kind, labels, majority, results
from growbench.pipeline.finetune.rows import cut
from growbench.pipeline.finetune.tokenized import PreparedTask
from growbench.records import predictions
from growbench.study.sections import FinetuneConfig
from growbench.study.study import Study
from growbench.tasks import Task, glue
from growbench.train import kernels
from growbench.train.device import Compute

VERSION = 2  # raise it if a probe's scores change


@dataclass(frozen=True)
class Texts:
    """The rows of a split. Each text of a row is read on its own.

    columns: the token ids of each row's text, for each text column. labels: [rows].
    cut: number of rows of which a text was cut.
    """

    columns: Sequence[Sequence[Sequence[int]]]
    labels: np.ndarray
    cut: int

    def longer(self, length: int) -> int:
        """Return how many rows have a text of more than `length` tokens."""
        return sum(any(len(ids) > length for ids in row) for row in zip(*self.columns, strict=True))


@dataclass(frozen=True)
class ProbedTask(PreparedTask):
    """A task that is ready to be probed.

    vocab: size of the tokenizer's vocabulary. known: floors that were measured, by what they are of.
    """

    train: Texts
    dev: Texts
    vocab: int
    known: dict[Any, float] = field(default_factory=dict)

    def labels(self) -> dict[str, Any]:
        return predictions.pack(self.dev.labels, kind(self.task))

    def predict(self, of: Callable[[Any], Any], seed: int) -> tuple[np.ndarray, float]:
        """Return a linear model's predictions on the dev rows, and its strength. of: the features of one column of texts."""
        train, dev = (features.joined([of(column) for column in split.columns]) for split in (self.train, self.dev))
        return linear.predict(
            train, self.train.labels, dev, regression=self.task.regression, seed=seed, score=self.main
        )

    def main(self, predicted: np.ndarray, gold: np.ndarray) -> float:
        """Return the main metric."""
        return results(self.task, predicted, gold)[self.task.main]

    def floor(self, key: Any, of: Callable[[Any], Any], seed: int) -> float:
        """Return the main metric with other features, which are measured once for all models of a job. key: names them."""
        if (key, seed) not in self.known:
            self.known[key, seed] = self.main(self.predict(of, seed)[0], self.dev.labels)
        return self.known[key, seed]


def prepare(study: Study, tokenizer: PlainTokenizer, name: str, settings: FinetuneConfig) -> ProbedTask:
    """Read and tokenize one task. If settings.max_train cuts its training rows, it becomes a subset."""
    task, train, dev = glue.load(glue.task(name, study), study)
    train, less = cut(train, settings.max_train)
    if less:
        task = replace(task, subset=True)
    made, held = (
        _texts(tokenizer, rows, task, split, settings, study.reached)
        for split, rows in zip(cut_rows.SPLITS, (train, dev), strict=True)
    )
    return ProbedTask(task, made, held, study.reached, tokenizer.vocab)


def _texts(
    tokenizer: PlainTokenizer, rows: Any, task: Task, split: str, settings: FinetuneConfig, reached: int
) -> Texts:
    """Tokenize the rows of a split. Raises GrowBenchError if more of them are cut than allowed."""
    limit, most = settings.max_length, settings.most_cut
    found = [cut_rows.tokenized(tokenizer, [column], limit) for column in zip(*(row[0] for row in rows), strict=True)]
    before = np.max([lengths for _, _, lengths in found], axis=0)
    cut_rows.of_rows(task.name, split, before, limit, most, reached).check(most)
    return Texts([ids for ids, _, _ in found], labels(task, rows), int((before > limit).sum()))


@dataclass(frozen=True)
class Prober:
    """The frozen model of one finished point.

    folder: of the point. threads: CPU threads of the linear models.
    """

    family: Family
    folder: Path
    compute: Compute
    threads: int

    @classmethod
    def of(cls, study: Study, folder: Path, compute: Compute) -> "Prober":
        return cls(families.load(study.target.family), folder, compute, study.finetune.threads)

    @functools.cached_property
    def model(self) -> Any:
        return self._placed(self.family.model_class().from_pretrained(self.folder))

    def fit(self, task: ProbedTask, seed: int) -> dict[str, Any]:
        """Probe a task and return the run's entry in the record. A run fails if all of its predictions are the same."""
        began = time.perf_counter()
        with threadpool_limits(self.threads):
            shown, strength = task.predict(self._features(self.model), seed)
            floors = {
                "random_model": task.floor(self.family.spec(self.model.config), self._random(seed), seed),
                "bag_of_words": task.floor("words", lambda ids: features.counts(ids, task.vocab), seed),
            }
        about, found = task.task, results(task.task, shown, task.dev.labels)
        return {
            "task": about.name, "seed": seed, **task.rows, "subset": about.subset, "metrics": found,
            "main_metric": about.main, "score": found[about.main],
            "majority": majority(about, task.train.labels, task.dev.labels), "floors": floors, "strength": strength,
            "failed": bool(np.ptp(shown) == 0), "epochs": 0, "lr": 0.0, "batch": None,
            "seconds": round(time.perf_counter() - began, 2), "predictions": predictions.pack(shown, kind(about)),
        }  # fmt: skip

    def _placed(self, model: Any) -> Any:
        return kernels.choose(self.compute.place(model)).eval()

    def _features(self, model: Any) -> Callable[[Any], Any]:
        return lambda ids: features.pooled(self.family, model, ids, self.compute)

    def _random(self, seed: int) -> Callable[[Any], Any]:
        """Return the features of a model of the same config with weights drawn from the seed, made when they are needed."""
        made = functools.cache(lambda: self._placed(self.family.build(self.model.config, seed=seed)))
        return lambda ids: features.pooled(self.family, made(), ids, self.compute)
