"""Finished points that no run made, with the identity that a study wants of them."""

import json
from typing import Any

from growbench.pipeline.pretrain import identity
from growbench.records.identity import FILE
from growbench.runtime import durable
from growbench.study.study import Study
from growbench.train import checkpoint


def save(study: Study, method: str, model: Any, seed: int = 0, point: str = "p100") -> None:
    """Save a model as a finished point of a study, in the working directory."""
    folder = study.layout.run(method, seed).point(point)
    checkpoint.save_model(folder, model, identity.wanted(study, method, seed))


def sign(study: Study, method: str = "scratch", seed: int = 0, point: str = "p100") -> None:
    """Give a finished point that lies in the working directory the identity that a study wants of it."""
    folder = study.layout.run(method, seed).point(point)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != durable.SEAL}
    files[FILE] = json.dumps(identity.wanted(study, method, seed)).encode()
    with durable.folder(folder) as made:
        for name, data in files.items():
            (made / name).write_bytes(data)
