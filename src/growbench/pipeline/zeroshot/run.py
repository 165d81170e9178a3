"""growbench zeroshot: score finished points on text that they were not trained for.

Each test set is made and tokenized once for all runs. A model reads at most as many tokens as it was trained on
(objective.length). There is one record per run and finished point.
"""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any, Protocol

import torch

from growbench import families
from growbench.pipeline import evaluation
from growbench.pipeline.corpus import corpus, held_out, plain
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.zeroshot import domains as tokenized_domains
from growbench.pipeline.zeroshot import pairs as tokenized_pairs
from growbench.pipeline.zeroshot import sentences, tokenized
from growbench.pipeline.zeroshot.sentences import Scorer
from growbench.records import finished, identity, provenance, record
from growbench.records.identity import Identity
from growbench.runtime import launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study
from growbench.tasks import blimp, domains, language, pairs, testsets
from growbench.train import device

log = logging.getLogger(__name__)


class Test(Protocol):
    """A test set that is ready for models. files: the digests of what it was made from."""

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> dict[str, str]: ...

    def measured(self, scorer: Scorer, model: Any) -> dict[str, Any]:
        """Return what a record holds of a model's score."""


@reuse_freed_memory()
def run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Evaluate `points` of a method's runs with these pre-training seeds; return the paths of their records."""
    with contextlib.ExitStack() as stack:
        for point in sorted(set(points)):
            stack.enter_context(lock.held(study.layout.lock("zeroshot", f"{method}-{point}")))
        return _run(study, method, seeds, points)


def _run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    torch.set_num_threads(launch.threads(study.zeroshot.threads))
    paths = []
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [
        finished.point(study.layout, run_identity.wanted(study, method, seed), method, seed, point)
        for seed, point in wanted
    ]
    tokenizer = plain.load(study.layout.tokenizer)
    scorer = scorer_of(study, tokenizer)
    tests = [prepare(name, study, tokenizer, scorer) for name in study.zeroshot.names]
    about = tokenized.description(study, tokenizer)
    start = time.perf_counter()
    for (seed, point), folder in zip(wanted, folders, strict=True):
        model = scorer.family.model_class().from_pretrained(folder)
        scorer.compute.place(model).eval()
        runs = []
        for test in tests:
            began = time.perf_counter()
            found = test.measured(scorer, model)
            runs.append({**found, "seconds": round(time.perf_counter() - began, 2)})
            log.info("%s-s%d %s, %s: %s %s", method, seed, point, test.name, found["main_metric"], found["score"])
        origin = evaluation.origin(study.layout, folder, scorer.compute) | {"tasks": {t.name: t.files for t in tests}}
        paths.append(_write(study, method, seed, point, origin, about, runs))
        left = (len(wanted) - len(paths)) * (time.perf_counter() - start) / len(paths)
        log.info("%d of %d points done; about %.0f s left", len(paths), len(wanted), left)
    return paths


def scorer_of(study: Study, tokenizer: PlainTokenizer) -> Scorer:
    """Return how the models of a study are scored."""
    family, compute = families.load(study.target.family), device.resolve(study.train.device, study.train.precision)
    special = sentences.special(tokenizer, masked=study.objective.kind == "mlm")
    return Scorer(family, special, compute, study.objective.length, study.zeroshot.batch)


def prepare(name: str, study: Study, tokenizer: PlainTokenizer, scorer: Scorer) -> Test:
    """Read or make a test set and tokenize it. Raises GrowBenchError if its files are missing, damaged or hold nothing."""
    length, stride = study.objective.length, study.zeroshot.stride
    if name == testsets.PAIRS:
        made = pairs.make(_documents(study)[0], study.zeroshot.pairs)
        digest = identity.digest([[pair.kind, pair.right, pair.wrong] for pair in made])
        return tokenized_pairs.prepare(name, made, tokenizer, scorer.longest, {"pairs": digest})
    if name == testsets.BLIMP:
        found = blimp.load(study)
        return tokenized_pairs.prepare(
            name, found.pairs, tokenizer, scorer.longest, found.files, found.subset, blimp.PHENOMENA
        )
    if name == domains.HELD_OUT:
        return tokenized_domains.prepare(domains.held_out(*_documents(study)), tokenizer, length, stride)
    if name in testsets.DOMAINS:
        return tokenized_domains.prepare(domains.load(name, study), tokenizer, length, stride)
    return tokenized.prepare(study, tokenizer, language.load(name, study))


def _documents(study: Study) -> tuple[list[str], str]:
    """Return the held-out documents of a study's corpus, and the SHA-256 of their file."""
    folder = study.layout.corpus
    values = corpus.read_manifest(folder)
    return held_out.read(folder, values), held_out.sha256(folder, values)


def _write(
    study: Study, method: str, seed: int, point: str, origin: Identity, tokenization: dict[str, Any],
    runs: list[dict[str, Any]],
) -> Path:  # fmt: skip
    length, stride, config = study.objective.length, study.zeroshot.stride, record.config_hash(study.zeroshot_part())
    path, whole = study.layout.zeroshot_record(method, seed, point), identity.parts(config=config, **origin)
    evaluation.unchanged(path, whole, {})
    return record.write(
        path, "zeroshot", study=study.study, method=method, seed=seed, point=point, config_hash=config, made_from=whole,
        window={"length": length, "stride": stride, "context": length - stride},
        tokenisation=tokenization, runs=runs, provenance=provenance.of(torch.get_num_threads()),
    )  # fmt: skip
