"""`growbench grow --resume-optimizer`: Adam's moments grow with the model, by name, without pickles."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
import transformers
from safetensors.torch import load_file, save_file
from support.checkpoints import grow, refusal, saved
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict, set_optimizer_state_dict

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import operator_of
from growbench.growth.moments import grow_moments
from growbench.pipeline.grow import optimizer as moments
from growbench.pipeline.grow.report import lines

FILE = "optimizer.safetensors"


def trained(source: Path, name: str = "bert") -> tuple[Any, torch.optim.AdamW]:
    """The model of a directory, and the optimizer of two steps that the directory has had, too."""
    family = families.load(name)
    model = family.model_class().from_pretrained(source)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for seed in range(2):
        ids = family.inputs(model.config, batch=2, length=8, seed=seed)
        model(ids)[0].float().logsumexp(-1).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(source)
    return model, optimizer


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "modernbert"])
@pytest.mark.parametrize("policy", ["scaled", "copy", "asymmetric"])
def test_the_target_has_what_grow_moments_makes(name: str, policy: Any, tmp_path: Path) -> None:
    source, out = saved(tmp_path / "source", name), tmp_path / "out"
    model, optimizer = trained(source, name)
    moments.save(model, optimizer, tmp_path / "adam")
    hidden = 2 * families.load(name).spec(model.config).hidden
    report = grow(source, out, hidden=hidden, layers=4, optimizer=tmp_path / "adam", policy=policy)
    grown = transformers.AutoModel.from_pretrained(out).config
    method, family = methods.load("bert2bert_fpi"), families.load(name)
    operator, config = operator_of(family, model.config, family.spec(grown), method, method.check_options({}), 0)
    state = {n: optimizer.state[p] for n, p in model.named_parameters() if p in optimizer.state}
    wanted = grow_moments(operator, state, family.roles(model.config), family.roles(config), policy)
    found = load_file(out / "optimizer" / FILE)
    flat = {f"state.{n}.{key}": tensor for n, entry in wanted.items() for key, tensor in entry.items()}
    assert found.keys() == flat.keys() and len(found) == 3 * report["optimizer"]["parameters"]
    assert all(torch.equal(found[key], flat[key]) for key in flat)
    assert report["optimizer"]["policy"] == policy and "optimizer  moments of" in lines(report, out)


def test_a_grown_model_goes_on_with_its_moments(tmp_path: Path, source: Path) -> None:
    model, optimizer = trained(source)
    moments.save(model, optimizer, tmp_path / "adam")
    report = grow(source, out := tmp_path / "out", hidden=64, optimizer=tmp_path / "adam")
    grown = transformers.BertForMaskedLM.from_pretrained(out)
    fresh = torch.optim.AdamW(grown.parameters(), lr=1e-3)
    without = moments.load(grown, fresh, out / "optimizer")
    assert without == report["optimizer"]["without_moments"] == []
    assert {float(state["step"]) for state in fresh.state.values()} == {2.0}
    ids = torch.arange(8)[None]
    grown(ids)[0].logsumexp(-1).mean().backward()
    fresh.step()
    assert all(state["exp_avg"].shape == p.shape for p, state in fresh.state.items())


def test_what_is_saved_is_what_distributed_checkpoint_reads_and_writes(tmp_path: Path, source: Path) -> None:
    model, optimizer = trained(source)
    flat = StateDictOptions(flatten_optimizer_state_dict=True)
    state = {
        k: v for k, v in get_optimizer_state_dict(model, optimizer, options=flat).items() if k.startswith("state.")
    }
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(str(tmp_path / "theirs")), no_dist=True)
    moments.save(model, optimizer, tmp_path / "mine")
    theirs = {k: t for path in (tmp_path / "theirs").glob("*.safetensors") for k, t in load_file(path).items()}
    mine = load_file(tmp_path / "mine" / FILE)
    assert theirs.keys() == mine.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
    grow(source, out := tmp_path / "out", hidden=64, optimizer=tmp_path / "theirs")
    grown = transformers.BertForMaskedLM.from_pretrained(out)
    fresh = torch.optim.AdamW(grown.parameters(), lr=1e-3)
    wanted = load_file(out / "optimizer" / FILE)
    read = {key: torch.empty_like(tensor) for key, tensor in wanted.items()}
    dcp.load(read, storage_reader=HuggingFaceStorageReader(str(out / "optimizer")), no_dist=True)
    assert all(torch.equal(read[key], wanted[key]) for key in wanted)
    groups = {k: v for k, v in get_optimizer_state_dict(grown, fresh, options=flat).items() if "param_groups" in k}
    set_optimizer_state_dict(grown, fresh, read | groups, options=flat)
    assert {float(state["step"]) for state in fresh.state.values()} == {2.0}


def test_names_of_wrappers_and_types_are_kept_out_of_the_way(tmp_path: Path, source: Path) -> None:
    model, optimizer = trained(source)
    moments.save(model, optimizer, tmp_path / "adam")
    tensors = load_file(tmp_path / "adam" / FILE)
    grow(source, tmp_path / "plain", hidden=64, optimizer=tmp_path / "adam", measure=False)
    save_file({k.replace("state.", "state.module._orig_mod."): t for k, t in tensors.items()}, tmp_path / "adam" / FILE)
    grow(source, tmp_path / "wrapped", hidden=64, optimizer=tmp_path / "adam", measure=False)
    one, other = ((tmp_path / name / "optimizer" / FILE).read_bytes() for name in ("plain", "wrapped"))
    assert one == other
    halves = {k: t.bfloat16() if "exp_avg" in k else t for k, t in tensors.items()}
    save_file(halves, tmp_path / "adam" / FILE)
    grow(source, tmp_path / "half", layers=4, optimizer=tmp_path / "adam", measure=False)
    found = load_file(tmp_path / "half" / "optimizer" / FILE)
    assert {t.dtype for k, t in found.items() if "exp_avg" in k} == {torch.bfloat16}
    assert any(t.abs().max() > 0 for k, t in found.items() if k.endswith("exp_avg"))


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("nothing", "has no safetensors files with moments"),
        ("foreign", "has no moments of this model"),
        ("shape", "but the parameter is [50, 32]; use the moments of this model"),
        ("half", "exp_avg_sq is missing; add it, or remove state."),
        ("a layer", "has moments in some layers and none in others"),
        ("integers", "is I8; use one of"),
    ],
)
def test_moments_that_do_not_fit_are_refused(
    how: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = trained(source)
    moments.save(model, optimizer, folder := tmp_path / "adam")
    tensors = load_file(folder / FILE)
    table = "state.bert.embeddings.word_embeddings.weight"
    match how:
        case "nothing":
            (folder / FILE).rename(folder / "optimizer.pt")
        case "foreign":
            save_file({k.replace("state.", "other."): t for k, t in tensors.items()}, folder / FILE)
        case "shape":
            save_file(tensors | {f"{table}.exp_avg": torch.ones(50, 31)}, folder / FILE)
        case "half":
            save_file({k: t for k, t in tensors.items() if k != f"{table}.exp_avg_sq"}, folder / FILE)
        case "a layer":
            save_file({k: t for k, t in tensors.items() if "layer.1.attention.self.query" not in k}, folder / FILE)
        case "integers":
            save_file(tensors | {f"{table}.exp_avg": tensors[f"{table}.exp_avg"].to(torch.int8)}, folder / FILE)
    words = ("--layers", "4", "--resume-optimizer", str(folder))
    assert wanted in refusal(capsys, source, tmp_path / "out", *words)


def test_policies_and_methods_that_grow_no_moments_are_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = trained(source)
    moments.save(model, optimizer, folder := tmp_path / "adam")
    words = ("--hidden", "64", "--resume-optimizer", str(folder))
    line = refusal(capsys, source, tmp_path / "out", *words, "--optimizer-policy", "reset")
    assert "--optimizer-policy reset: grows no moments; allowed: asymmetric, copy, scaled" in line
    line = refusal(capsys, source, tmp_path / "out", *words, "--set", "steps=0", method="ligo")
    assert "--resume-optimizer: ligo learns" in line
    with pytest.raises(GrowBenchError, match="SGD has no exp_avg and exp_avg_sq; use an Adam"):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        model(torch.arange(8)[None])[0].mean().backward()
        sgd.step()
        moments.save(model, sgd, tmp_path / "sgd")


def test_frozen_parameters_have_no_moments_afterwards_and_extra_entries_are_reported(
    tmp_path: Path, source: Path
) -> None:
    model, optimizer = trained(source)
    moments.save(model, optimizer, folder := tmp_path / "adam")
    tensors = {k: t for k, t in load_file(folder / FILE).items() if "word_embeddings" not in k}
    save_file(tensors | {"param_groups.x.lr": torch.tensor(0.1)}, folder / FILE)
    report = grow(source, out := tmp_path / "out", hidden=64, optimizer=folder, measure=False)
    told = json.loads((out / "growth.json").read_text())["optimizer"]
    assert told == report["optimizer"] and told["left_out"] == ["param_groups.x.lr"]
    assert told["without_moments"] == ["bert.embeddings.word_embeddings.weight"]
