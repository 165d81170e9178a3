"""Open a checkpoint that is a study's source: its stock config, its tensors, and which parts of a model it lacks.

The model of a study has the family's pre-training head. A checkpoint without one (an encoder that was saved alone) gets a new
head, drawn from the run's seed; what other heads it has is left out. Nothing of it is trained.
"""

import logging
from typing import Any

import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.pipeline.corpus import tokenizer
from growbench.pipeline.grow import files, missing, tensors
from growbench.pipeline.grow.check import stock
from growbench.pipeline.grow.config import read_config
from growbench.study.checkpoint import KEY, Checkpoint
from growbench.study.study import Study

log = logging.getLogger(__name__)
OTHER = "save the directory again with this release of transformers"


def check(study: Study) -> list[str]:
    """Return the names of the parameters that the source's checkpoint lacks, which are new; none without a checkpoint.

    Raises GrowBenchError for what cannot be grown: a config, tensors or a tokenizer that do not belong together.
    """
    found = study.checkpoint
    if found is None:
        return []
    config = stock_config(found)
    vocab = tokenizer.pretrained_size(study)
    if vocab > found.spec.vocab:
        raise GrowBenchError(
            f"{KEY}: {found.folder}: its tokenizer has {vocab} tokens, but its token table {found.spec.vocab} rows; use the "
            "tokenizer that the model was trained with"
        )
    return lacking(families.load(found.spec.family), config, found)


def stock_config(found: Checkpoint) -> Any:
    """Return the stock config of a checkpoint. Raises GrowBenchError if it is not of the spec that the study has."""
    files.check_links(found.folder)
    config = read_config(found.folder)
    with stock(found.folder):
        spec = families.of(config).spec(config)
    if spec != found.spec:
        raise GrowBenchError(
            f"{KEY}: {found.folder}/config.json: transformers reads {spec} in it, not {found.spec}; {OTHER}"
        )
    return config


def lacking(family: Family, config: Any, found: Checkpoint) -> list[str]:
    """Return the names of the parameters of the family's pre-training class for which there are no tensors.

    Raises GrowBenchError if tensors of the class that config.json names are missing, or if one has no place in it.
    """
    with stock(found.folder):
        whole = tensors.skeleton(family.model_class(), config)
        _, places = _placed(family, config, found, whole)
    return [name for name, parameter in whole.named_parameters() if id(parameter) not in places]


def fill(family: Family, config: Any, found: Checkpoint, model: Any) -> None:
    """Overwrite the parameters of a pre-training model with the tensors of a checkpoint; those that it lacks stay new."""
    stored, places = _placed(family, config, found, model)
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) in places:
                parameter.copy_(stored[places[id(parameter)]])
    if new := [name for name, parameter in model.named_parameters() if id(parameter) not in places]:
        log.warning("%s: has no %s: new, from the run's seed", found.folder, ", ".join(new))


def _placed(family: Family, config: Any, found: Checkpoint, model: Any) -> tuple[tensors.Checkpoint, dict[int, str]]:
    """Return the tensors of a checkpoint, and their names by the identities of the parameters of a pre-training model."""
    named = tensors.skeleton(family.auto_class(config), config)
    stored = tensors.Checkpoint(found.folder, named)
    missing.refuse_left_out(found.folder, named, stored.left_out, found.spec.layers)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    places: dict[int, str] = {}
    for name in stored:
        spellings = tensors.spellings(name, f"{model.base_model_prefix}.")
        if (spelled := next((s for s in spellings if s in parameters), None)) is not None:
            places.setdefault(id(parameters[spelled]), name)
    return stored, places
