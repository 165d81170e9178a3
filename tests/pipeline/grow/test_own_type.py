"""Tensors that are copied, or multiplied once, are grown in the type in which they are stored: the files' bytes are the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.checkpoints import request, saved
from support.helpers import SPECS, perturbed

from growbench import families
from growbench.errors import GrowBenchError
from growbench.growth import component
from growbench.growth.maps import from_index
from growbench.growth.narrow import is_copy, same_bytes
from growbench.pipeline.grow import run as verb
from growbench.pipeline.grow.check import Job, check

METHODS = {
    "layers": {"layers": 3}, "bert2bert_fpi": {"hidden": 2}, "hypercloning": {"hidden": 2}, "zero_pad": {"hidden": 2},
    "lemon": {"hidden": 2, "layers": 3}, "bert2bert_aki": {"hidden": 2}, "net2net": {"hidden": 2, "layers": 4},
    "weight_selection": {"layers": 1},
}  # fmt: skip


def job_of(source: Path, name: str, method: str, **more: str) -> Job:
    sizes = {key: value * SPECS[name].hidden if key == "hidden" else value for key, value in METHODS[method].items()}
    return check(request(source, source.parent / "never", method=method, measure=False, **sizes, **more))


@pytest.mark.parametrize("family", families.names())
def test_the_bytes_are_those_of_a_growth_in_float32(family: str, tmp_path, monkeypatch) -> None:
    source, dtype = tmp_path / "source", torch.float16 if family == "llama" else torch.bfloat16
    perturbed(families.load(family), SPECS[family], dtype=torch.float32).to(dtype).save_pretrained(source)
    for method in METHODS:
        try:
            job = job_of(source, family, method)
        except GrowBenchError:
            continue
        written = []
        for folder in ("own", "wide"):
            (tmp_path / method / folder).mkdir(parents=True)
            with monkeypatch.context() as patch:
                if folder == "wide":
                    patch.setattr(verb, "same_bytes", lambda *_: False)
                verb.write(job, source, tmp_path / method / folder)
            written.append((tmp_path / method / folder / "model.safetensors").read_bytes())
        assert written[0] == written[1], method
    assert len(list(tmp_path.iterdir())) > 5  # the source and most of the growths


def test_solar_copies_and_hypercloning_multiplies_once(tmp_path) -> None:
    source = saved(tmp_path / "source", "llama", torch.bfloat16)
    found = {}
    for method in ("layers", "hypercloning", "lemon"):
        job = job_of(source, "llama", method)
        roles = families.load("llama").roles(job.grown_config)
        matrices = {name: role for name, role in roles.items() if not role.kind.startswith("norm")}
        own = {name for name, role in matrices.items() if same_bytes(job.operator, role, torch.bfloat16)}
        found[method] = (own == set(matrices), {is_copy(job.operator, matrices[name]) for name in own})
    assert found == {"layers": (True, {True}), "hypercloning": (True, {False}), "lemon": (False, {False})}


def test_a_third_is_no_number_of_bf16(tmp_path) -> None:
    source = saved(tmp_path / "source", "llama", torch.bfloat16)
    hidden = 3 * SPECS["llama"].hidden
    job = check(request(source, tmp_path / "never", method="bert2bert_fpi", hidden=hidden, measure=False))
    roles = families.load("llama").roles(job.grown_config)
    assert not same_bytes(job.operator, roles["model.layers.0.mlp.up_proj.weight"], torch.bfloat16)
    assert same_bytes(job.operator, roles["model.embed_tokens.weight"], torch.bfloat16)


def test_types_that_differ_are_cast(tmp_path) -> None:
    source = saved(tmp_path / "source", "llama", torch.bfloat16)
    job = job_of(source, "llama", "layers", dtype="float16")
    (tmp_path / "out").mkdir()
    verb.write(job, source, tmp_path / "out")
    raw = (tmp_path / "out/model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F16"}


@pytest.mark.parametrize("run", [1, 2, 10**6])
def test_runs_of_coordinates_are_copied_like_single_ones(run: int, monkeypatch) -> None:
    monkeypatch.setattr(component, "RUN", run)
    rng, tensor = np.random.default_rng(0), torch.randn(7, 9, 5)
    for dim, size in enumerate(tensor.shape):
        for index in (np.arange(size), np.arange(3 * size) % size, rng.integers(0, size, 20), np.array([-1, 2, 3, -2])):
            made = component.gather(tensor, dim, from_index(index, size))
            wanted = tensor.index_select(dim, torch.from_numpy(np.maximum(index, 0)))
            assert torch.equal(made, wanted) and made.is_contiguous() and made.data_ptr() != tensor.data_ptr()
