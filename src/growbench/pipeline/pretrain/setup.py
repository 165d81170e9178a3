"""What one run is set up from: its config, its corpus and the finished source."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from growbench import families
from growbench.pipeline.corpus import corpus as text_corpus
from growbench.pipeline.corpus.corpus import Corpus, unpredicted
from growbench.pipeline.corpus.images import corpus as image_corpus
from growbench.pipeline.corpus.images.corpus import ImageCorpus
from growbench.pipeline.pretrain import identity, images, taken
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
from growbench.train.images import ImageBatches
from growbench.train.objective import CausalLM, MaskedLM, Objective
from growbench.train.processes.ranks import ALONE, Ranks


def corpus_of(study: Study) -> Corpus | ImageCorpus:
    """Return the study's built corpus, of text or of images. Raises GrowBenchError if it is missing or damaged."""
    folder = study.layout.corpus
    return text_corpus.load(folder) if study.images is None else image_corpus.load(folder)


def batches_of(study: Study, corpus: Corpus | ImageCorpus, seed: int, stream: Stream) -> Batches | ImageBatches:
    """Return what the steps of a run read and predict."""
    if isinstance(corpus, ImageCorpus):
        return images.batches_of(study, corpus, seed, stream)
    special, vocab = corpus.manifest["special"], int(corpus.manifest["vocab"])
    sequences = PackedSequences(corpus.train, study.objective.length, int(special["cls"]), seed, stream)
    return Batches(sequences, objective_of(study, special, vocab), study.optimizer.batch)


def settings_of(study: Study, corpus: Corpus | ImageCorpus) -> dict[str, Any]:
    """Return the stock config's settings for new models that follow from the corpus."""
    if isinstance(corpus, ImageCorpus):
        assert study.pixels is not None
        names = dict(enumerate(corpus.manifest["classes"]))
        own = {key: value for key, value in study.pixels.settings.items() if key != "num_labels"}
        return {**own, "id2label": names, "label2id": {name: number for number, name in names.items()}}
    return {"pad_token_id": int(corpus.manifest["special"]["pad"])}


def stages_of(
    study: Study, method: str, seed: int, run: Timeline, corpus: Corpus | ImageCorpus, ranks: Ranks = ALONE
) -> Stages:
    """Return what makes the trainers of a run. method: a method of the study, or the source."""
    stream: Stream = "source" if method == SOURCE else "target"
    base, fill = _taken(study, method)
    models = Models(
        family=families.load(study.target.family),
        seed=seed,
        init_std=study.train.init_std,
        dropout=study.train.dropout,
        settings=settings_of(study, corpus),
        compute=device.resolve(study.train.device, study.train.precision),
        source_folder=partial(source_folder, study, method, seed),
        base=base,
        fill=fill,
    )
    return Stages(
        timeline=run,
        method=None if method == SOURCE else study.method(method),
        models=models,
        source_spec=study.source_spec(int(corpus.manifest["vocab"])),
        batches=batches_of(study, corpus, seed, stream),
        recipe=recipe_of(study),
        ranks=ranks,
    )


def _taken(study: Study, method: str) -> tuple[Any, Callable[[Any], None] | None]:
    """Return the stock config of the source's checkpoint, and for the source what puts its weights into a model."""
    if study.checkpoint is None:
        return None, None
    config = taken.stock_config(study.checkpoint)
    family = families.load(study.target.family)
    return config, partial(taken.fill, family, config, study.checkpoint) if method == SOURCE else None


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
