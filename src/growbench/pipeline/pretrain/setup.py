"""What one run is set up from: its config, its corpus and the finished source."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from growbench import families
from growbench.pipeline.corpus.corpus import Corpus, unpredicted
from growbench.pipeline.pretrain import identity
from growbench.pipeline.pretrain.models import Models
from growbench.pipeline.pretrain.stages import Stages
from growbench.records import finished
from growbench.spec import SOURCE
from growbench.study.study import Study, point_name
from growbench.study.timeline import Timeline
from growbench.train import device
from growbench.train.batches import Batches
from growbench.train.build import Recipe
from growbench.train.data import PackedSequences, Stream
from growbench.train.objective import CausalLM, MaskedLM, Objective
from growbench.train.processes.ranks import ALONE, Ranks


def stages_of(study: Study, method: str, seed: int, run: Timeline, corpus: Corpus, ranks: Ranks = ALONE) -> Stages:
    """Return what makes the trainers of a run. method: a method of the study, or the source."""
    stream: Stream = "source" if method == SOURCE else "target"
    special, vocab = corpus.manifest["special"], int(corpus.manifest["vocab"])
    sequences = PackedSequences(corpus.train, study.objective.length, int(special["cls"]), seed, stream)
    models = Models(
        family=families.load(study.target.family),
        seed=seed,
        init_std=study.train.init_std,
        dropout=study.train.dropout,
        pad=int(special["pad"]),
        compute=device.resolve(study.train.device, study.train.precision),
        source_folder=partial(source_folder, study, method, seed),
    )
    return Stages(
        timeline=run,
        method=None if method == SOURCE else study.method(method),
        models=models,
        source_spec=study.source_spec(vocab),
        batches=Batches(sequences, objective_of(study, special, vocab), study.optimizer.batch),
        recipe=recipe_of(study),
        ranks=ranks,
    )


def source_folder(study: Study, method: str, seed: int) -> Path:
    """Return the folder of the finished point of the source that a method grows.

    Raises GrowBenchError if it is missing, damaged, or not the source of this study.
    """
    return finished.point(
        study.layout, identity.wanted(study, SOURCE, seed), SOURCE, seed, point_name(study.source_point(method))
    )


def objective_of(study: Study, special: Mapping[str, int | None], vocab: int) -> Objective:
    """Return the study's objective. special: ids of the special tokens. vocab: size of the vocabulary."""
    if study.objective.kind == "clm":
        return CausalLM()
    mask = special["mask"]
    assert mask is not None
    return MaskedLM(study.objective.mask_rate, mask, vocab, unpredicted(special))


def recipe_of(study: Study) -> Recipe:
    """Return how the study updates weights."""
    o, t = study.optimizer, study.train
    return Recipe(
        betas=o.betas,
        weight_decay=o.weight_decay,
        clip=o.clip,
        accumulate=t.accumulate,
        compile=t.compile,
        shard=t.shard,
    )
