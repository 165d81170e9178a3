"""The record of one run, written last; beside it its curve, and the losses of its finished points by document."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from growbench.pipeline.pretrain.identity import needs_source
from growbench.pipeline.pretrain.journal import Journal
from growbench.pipeline.pretrain.stages import Stages
from growbench.records import curve, documents, finished, provenance, record
from growbench.records.identity import Identity
from growbench.runtime import durable
from growbench.spec import SOURCE
from growbench.study.study import Study
from growbench.train.windows import Windows


def write(
    study: Study, method: str, stages: Stages, journal: Journal, windows: Windows, manifest: Mapping[str, Any],
    made_from: Identity,
) -> Path:  # fmt: skip
    """Write the record of a run, in the first of its processes, and return its path.

    method: a method of the study, or the source. windows: those that its finished points are scored on. manifest: of the
    corpus. made_from: the run's identity.
    """
    layout, timeline, seed = study.layout, stages.timeline, stages.models.seed
    path = layout.run_record(method, seed)
    if not stages.ranks.first:
        return path
    rows, spec = layout.curve(method, seed), timeline.plan.stages[-1].spec
    off = finished.represented(stages.models.source_folder())[1] if needs_source(study, method) else None
    deviation: dict[str, Any] = {} if off is None else {"source_restored": off}
    curve.write(rows, journal.curve)
    listed = documents.write(
        layout.documents(method, seed), windows.numbers.tolist(), windows.tokens.tolist(), journal.documents
    )
    return record.write(
        path, "pretrain", study=study.study, method=method, seed=seed,
        config_hash=made_from["config"], identity=made_from,
        spec=spec.to_dict(), parameters=study.parameters_of(spec),
        curve_of=None if method == SOURCE else study.curve_of(method),
        source_spec=stages.source_spec.to_dict() if needs_source(study, method) else None,
        options=timeline.options, plan=timeline.plan.to_list(), initial_loss=journal.at.initial_loss,
        points=journal.points, curve=durable.digest(rows), documents=listed, ledger=journal.full_ledger(),
        unigram_entropy=manifest["unigram_entropy"], entropy_floor=manifest["entropy_floor"],
        **deviation,
        provenance=provenance.of(torch.get_num_threads(), stages.ranks.count),
    )  # fmt: skip
