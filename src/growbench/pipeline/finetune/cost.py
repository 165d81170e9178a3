"""What one fine-tuning costs: the FLOPs of its steps, by the formula that prices pre-training."""

from typing import Any

import numpy as np

from growbench import families
from growbench.pipeline.corpus import plain
from growbench.pipeline.finetune import cut_rows
from growbench.pipeline.finetune.rows import order
from growbench.pipeline.finetune.tokenized import TokenizedTask
from growbench.plan import flops
from growbench.spec import SOURCE, ModelSpec
from growbench.study.sections import FinetuneConfig
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import glue


def of(config: Any, task: TokenizedTask, settings: FinetuneConfig, seed: int) -> float:
    """Return the FLOPs of all steps, each batch padded to its longest row; scoring is not counted.

    config: of the model, with the task's head.
    """
    family = families.of(config)
    spec, lengths = family.spec(config), [len(ids) for ids in task.train.ids]
    total, known = 0.0, dict[tuple[int, int], float]()
    for rows in order(task.train, settings.batch, settings.epochs, seed):
        shape = len(rows), max(lengths[row] for row in rows)
        if shape not in known:
            batch, length = shape
            positions = length if task.train.labels.ndim > 1 else 1
            known[shape] = flops.step(
                spec, family, batch=batch, length=length, positions=positions, classes=config.num_labels
            ).flops
        total += known[shape]
    return total


def forecast(study: Study) -> float | None:
    """Return about how many FLOPs all fine-tunings of a study cost, SQuAD's left out; None if that is not known yet.

    It takes a tokenizer: that of the corpus, or of a checkpoint. Rows count with their mean length, without padding.
    """
    here = study.layout.tokenizer if study.layout.corpus_manifest.exists() else None
    folder = study.checkpoint.folder if here is None and study.checkpoint else here
    if folder is None or study.tasks.source == "hub" or study.finetune.protocol == "probe":
        return None
    if study.tasks.source == "toyglue" and not study.layout.tasks_manifest.exists():
        return None
    tokenizer, seeds, vocab = plain.load(folder), len(study.seeds), study.corpus.vocab
    points = sum(len(study.finetuned_points(name)) for name in study.methods)
    models = [(study.target_spec(vocab), seeds * points)]
    if SOURCE in study.trained():
        models.append((study.source_spec(vocab), seeds * len(study.finetuned_points(SOURCE))))
    names = [name for name in study.tasks.names if name not in SQUAD_TASKS]
    return sum(count * _of_task(study, tokenizer, name, spec) for name in names for spec, count in models)


def _of_task(study: Study, tokenizer: plain.PlainTokenizer, name: str, spec: ModelSpec) -> float:
    """Return about how many FLOPs the runs of one model on one task cost: every seed and LR."""
    own = study.finetune.of(name)
    task, rows, _ = glue.load(glue.task(name, study), study)
    count = min(len(rows), own.max_train or len(rows))
    sample = [rows[i] for i in np.linspace(0, len(rows) - 1, min(cut_rows.SAMPLE, len(rows))).astype(int)]
    found = cut_rows.lengths(tokenizer, list(zip(*(row[0] for row in sample), strict=True)))
    length = round(float(np.minimum(found, own.max_length).mean()))
    family = families.load(spec.family)
    one = flops.step(spec, family, batch=1, length=length, positions=1, classes=task.num_labels).flops
    return own.epochs * count * len(own.rates) * len(own.seeds) * one
