"""What one run is set up from: its config, its corpus and the finished source."""

from functools import partial
from pathlib import Path

from growbench import families
from growbench.pipeline.corpus.corpus import Corpus
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
from growbench.train.objective import Batch, CausalLM, MaskedLM, Objective
from growbench.train.processes.ranks import ALONE, Ranks

VALIDATION_SEED, VALIDATION_BATCH = 7_654_321, 32


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
        source_folder=partial(source_folder, study, seed),
    )
    return Stages(
        timeline=run,
        method=None if method == SOURCE else study.method(method),
        models=models,
        source_spec=study.source_spec(vocab),
        batches=Batches(sequences, objective_of(study, int(special["mask"]), vocab), study.optimizer.batch),
        recipe=recipe_of(study),
        ranks=ranks,
    )


def source_folder(study: Study, seed: int) -> Path:
    """Return the folder of the trained source.

    Raises GrowBenchError if it is missing, damaged, or not the source of this study.
    """
    return finished.point(study.layout, identity.wanted(study, SOURCE, seed), SOURCE, seed, point_name(1.0))


def objective_of(study: Study, mask_id: int, vocab: int) -> Objective:
    """Return the study's objective. mask_id: id of [MASK]. vocab: size of the vocabulary."""
    if study.objective.kind == "clm":
        return CausalLM()
    return MaskedLM(study.objective.mask_rate, mask_id, vocab)


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


def validation_of(study: Study, corpus: Corpus, objective: Objective) -> list[Batch]:
    """Return the validation batches, of equal size and the same for every run of the study.

    Raises GrowBenchError if the validation text is shorter than one sequence.
    """
    sequences = PackedSequences(corpus.valid, study.objective.length, int(corpus.manifest["special"]["cls"]), 0)
    count, size = min(study.train.eval_sequences, sequences.count), VALIDATION_BATCH
    groups = [list(range(i, min(i + size, count))) for i in range(0, count - count % size or count, size)]
    return [objective.batch(sequences.fetch(group), VALIDATION_SEED, i) for i, group in enumerate(groups)]
