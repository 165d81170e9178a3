"""growbench finetune: fine-tune finished points on every task with every fine-tuning seed, in one process.

Each task is tokenised once for all of a method's runs. Batches hold rows of like length. One record a point.
"""

import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench import families, metrics, record
from growbench.errors import GrowBenchError
from growbench.tasks import Task, glue
from growbench.train import checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """A tokenised split: one list of ids and of token types a row, and the labels [rows]."""

    ids: list[list[int]]
    types: list[list[int]]
    labels: np.ndarray


@dataclass(frozen=True)
class Ready:
    """A task, ready to be trained on."""

    task: Task
    train: Encoded
    dev: Encoded


def run(study: Any, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Fine-tune `points` of a method's runs with these pre-training seeds; return their records."""
    torch.set_num_threads(int(os.environ.get("SLURM_CPUS_PER_TASK", study.finetune.threads)))
    root = Path("results") / study.study
    begun, paths = time.perf_counter(), []
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [root / "runs" / f"{method}-s{seed}" / "points" / point for seed, point in wanted]
    for folder in folders:
        if not (folder / "model.safetensors").exists():
            raise GrowBenchError(f"{folder}: no finished point there; run `growbench pretrain --method {method}` first")
    tokenizer = _tokenizer(root / "corpus" / "tokenizer")
    tasks = [prepare(study, tokenizer, name) for name in study.tasks.names]
    for number, ((seed, point), folder) in enumerate(zip(wanted, folders, strict=True)):
        runs = []
        for done, ready in enumerate(tasks, 1):
            runs += _task(study, folder, ready, tokenizer.pad_token_id)
            passed, share = time.perf_counter() - begun, (number + done / len(tasks)) / len(wanted)
            log.info("%s-s%d %s %s done, %.0f s left", method, seed, point, ready.task.name, passed / share - passed)
        paths.append(_write(study, root, method, seed, point, runs))
    return paths


def _write(study: Any, root: Path, method: str, seed: int, point: str, runs: list[dict[str, Any]]) -> Path:
    path = root / "records" / "finetune" / f"{method}-s{seed}-{point}.json"
    values = {"kind": "finetune", "version": 1, "study": study.study, "method": method, "seed": seed, "point": point}
    suite = "toyglue" if study.tasks.source == "toyglue" else "GLUE"
    digest = record.digest(study.finetuned_part())
    record.write(
        path,
        {
            **values,
            "config_hash": digest,
            "suite": suite,
            "runs": runs,
            "provenance": record.provenance(torch.get_num_threads()),
        },
    )
    return path


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def prepare(study: Any, tokenizer: Any, name: str) -> Ready:
    """Read and tokenise one task; `max_train` cuts its training rows, which makes it a subset."""
    task, train, dev = glue.load(glue.task(name, study), study)
    limit = study.finetune.max_train
    if limit is not None and limit < len(train):
        order = np.random.default_rng(0).permutation(len(train))[:limit]
        train = [train[i] for i in order]
        task = Task(**{**asdict(task), "subset": True})
    encoded = (_encode(tokenizer, rows, task, study.finetune.max_length) for rows in (train, dev))
    return Ready(task, *encoded)


def _encode(tokenizer: Any, rows: Any, task: Task, length: int) -> Encoded:
    texts = [list(column) for column in zip(*(row[0] for row in rows), strict=True)]
    out = tokenizer(*texts, truncation=True, max_length=length, return_token_type_ids=True, return_attention_mask=False)
    kind = np.float32 if task.regression else np.int64
    return Encoded(out["input_ids"], out["token_type_ids"], np.asarray([row[1] for row in rows], dtype=kind))


def batches(split: Encoded, size: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Group row numbers into batches of like length; with rng, in a random order that mixes rows of near length."""
    lengths = np.asarray([len(ids) for ids in split.ids])
    if rng is None:
        order = np.argsort(lengths, kind="stable")
        return [order[i : i + size] for i in range(0, len(order), size)]
    shuffled, pool, out = rng.permutation(len(lengths)), size * 32, []
    for start in range(0, len(shuffled), pool):
        part = shuffled[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        out += [part[i : i + size] for i in range(0, len(part), size)]
    return [out[i] for i in rng.permutation(len(out))]


def collate(split: Encoded, rows: np.ndarray, pad: int, device: torch.device) -> dict[str, Tensor]:
    """Pad rows to the longest of them: input_ids, token_type_ids, attention_mask [B, T], labels [B]."""
    longest = max(len(split.ids[r]) for r in rows)
    ids, types, mask = (np.full((len(rows), longest), fill, dtype=np.int64) for fill in (pad, 0, 0))
    for i, r in enumerate(rows):
        n = len(split.ids[r])
        ids[i, :n], types[i, :n], mask[i, :n] = split.ids[r], split.types[r], 1
    arrays = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask, "labels": split.labels[rows]}
    return {key: torch.from_numpy(value).to(device) for key, value in arrays.items()}


def offset(ready: Ready) -> float:
    """What a regression predicts beyond: the training mean, which small models would spend their few steps on finding."""
    return float(ready.train.labels.mean()) if ready.task.regression else 0.0


def inputs(model: Any, batch: dict[str, Tensor], offset: float) -> dict[str, Tensor]:
    """Return what a model takes of a batch: labels less the offset, and token types where it has a table for them."""
    batch = {**batch, "labels": batch["labels"] - offset} if offset else batch
    typed = getattr(model.config, "type_vocab_size", 0) > 1
    return batch if typed else {key: value for key, value in batch.items() if key != "token_type_ids"}


def _task(study: Any, folder: Path, ready: Ready, pad: int) -> list[dict[str, Any]]:
    from transformers import AutoModelForSequenceClassification

    f, device = study.finetune, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = "regression" if ready.task.regression else "single_label_classification"
    settings = {"num_labels": ready.task.num_labels, "problem_type": kind, "pad_token_id": pad}
    rates = families.load(study.target.family).dropout(f.dropout)
    model = AutoModelForSequenceClassification.from_pretrained(folder, **settings, **rates).to(device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    return [_train(study, model, start, ready, seed, pad, device) for seed in f.seeds]


def _train(
    study: Any, model: Any, start: dict[str, Tensor], ready: Ready, seed: int, pad: int, device: torch.device
) -> dict[str, Any]:
    """One fine-tuning run: linear decay with warm-up, then the metrics on the dev rows."""
    f, begun = study.finetune, time.perf_counter()
    model.load_state_dict(start)
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "classifier" in name or "score" in name or "pooler" in name:
            torch.nn.init.normal_(parameter, std=0.02) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
    opt = checkpoint.optimizer(model, lr=f.lr, betas=(0.9, 0.999), weight_decay=f.weight_decay)
    rng, finite, mean = np.random.default_rng(seed), True, offset(ready)
    plan = [rows for _ in range(f.epochs) for rows in batches(ready.train, f.batch, rng)]
    warm = max(1, round(f.warmup * len(plan)))
    model.train()
    for step, rows in enumerate(plan):
        for group in opt.param_groups:
            group["lr"] = f.lr * min((step + 1) / warm, (len(plan) - step) / max(1, len(plan) - warm))
        opt.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            loss = model(**inputs(model, collate(ready.train, rows, pad, device), mean)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        finite = finite and (step % 50 != 0 or math.isfinite(float(loss.detach())))
    return _score(study, model, ready, seed, pad, device, finite, begun)


@torch.no_grad()
def _score(
    study: Any, model: Any, ready: Ready, seed: int, pad: int, device: torch.device, finite: bool, begun: float
) -> dict[str, Any]:
    f, task, mean = study.finetune, ready.task, offset(ready)
    model.eval()
    predicted = np.zeros(len(ready.dev.labels), dtype=ready.dev.labels.dtype)
    for rows in batches(ready.dev, 128, None):
        logits = model(**inputs(model, collate(ready.dev, rows, pad, device), mean)).logits.float().cpu()
        predicted[rows] = (logits[:, 0] + mean if task.regression else logits.argmax(-1)).numpy()
    finite = finite and bool(np.isfinite(predicted).all())
    scores = results(task, np.nan_to_num(predicted), ready.dev.labels)
    log.info("%s seed %d %s %.4f", task.name, seed, task.main, scores[task.main])
    return {
        "task": task.name, "seed": seed, "n_train": len(ready.train.labels), "n_dev": len(ready.dev.labels),
        "subset": task.subset, "metrics": scores, "main_metric": task.main, "score": scores[task.main],
        "majority": majority(task, ready), "failed": not finite or bool(np.ptp(predicted) == 0), "epochs": f.epochs,
        "lr": f.lr, "seconds": round(time.perf_counter() - begun, 2),
    }  # fmt: skip


def results(task: Task, predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every metric of the task."""
    return {name: metrics.load(name).compute(predictions=predicted, references=labels)[name] for name in task.metrics}


def majority(task: Task, ready: Ready) -> float:
    """The main metric of always predicting the training rows' commonest class, or their mean."""
    labels = ready.train.labels
    constant = labels.mean() if task.regression else np.bincount(labels).argmax()
    return results(task, np.full(len(ready.dev.labels), constant, dtype=labels.dtype), ready.dev.labels)[task.main]
