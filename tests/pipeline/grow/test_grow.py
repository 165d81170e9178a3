"""`growbench grow`: directories in, directories out, whole or not at all, and refusals in one line."""

import dataclasses
import json
import logging
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.helpers import SETTINGS, SOURCE, SPECS, doubled, move, perturbed

from growbench import families
from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.growth.transfer import transfer
from growbench.pipeline.grow import files
from growbench.pipeline.grow import run as verb
from growbench.pipeline.grow.sizes import target_spec
from growbench.pipeline.grow.tensors import Checkpoint
from growbench.spec import SHAPE_KEYS

BERT = families.load("bert")
FPI = "bert2bert_fpi"


@pytest.fixture(autouse=True)
def quiet_logging() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def saved(folder: Path, name: str = "bert", dtype: torch.dtype = torch.float32, **settings: Any) -> Path:
    """A directory with a small trained model of a family."""
    spec = SOURCE if name == "bert" else SPECS[name]
    perturbed(families.load(name), spec, dtype=dtype, **settings).to(dtype).save_pretrained(folder)
    return folder


def headed(folder: Path, model_class: Any, **settings: Any) -> Path:
    """A directory with a small BERT of another stock class."""
    torch.manual_seed(0)
    move(model_class(BERT.config(SOURCE, **settings)), 1).save_pretrained(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(tmp_path / "source")


def request(source: Path, out: Path, *, method: str = FPI, **values: Any) -> verb.Request:
    sizes = {key: values.pop(key, None) for key in SHAPE_KEYS}
    return verb.Request(source=source, out=out, method=method, sizes=sizes, **values)


def grow(source: Path, out: Path, **values: Any) -> dict[str, Any]:
    return verb.run(request(source, out, **values))


def keys(folder: Path) -> set[str]:
    with safe_open(folder / files.WEIGHTS, "pt") as file:
        return set(file.keys())


@pytest.mark.parametrize("name", families.names())
def test_every_family_doubles_exactly_and_loads_as_a_stock_model(name: str, tmp_path: Path) -> None:
    family = families.load(name)
    source, out = saved(tmp_path / "source", name), tmp_path / "out"
    spec = family.spec(files.read_config(source))
    report = grow(source, out, hidden=2 * spec.hidden)
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 2e-5
    if family.objective != "classification":
        assert report["measured"]["loss_after"] == pytest.approx(report["measured"]["loss_before"], rel=1e-4)
    model, info = family.model_class().from_pretrained(out, output_loading_info=True)
    assert not any(info.values()), info
    assert family.spec(model.config) == doubled(spec)
    assert model.dtype == torch.float32 and model.config.architectures == [type(model).__name__]
    model.save_pretrained(tmp_path / "again")
    assert keys(tmp_path / "again") == keys(out)
    again = load_file(tmp_path / "again" / files.WEIGHTS)
    assert all(torch.equal(tensor, again[key]) for key, tensor in load_file(out / files.WEIGHTS).items())


def test_a_tied_matrix_is_stored_once_and_an_untied_one_is_its_own(tmp_path: Path, source: Path) -> None:
    decoder = "cls.predictions.decoder.weight"
    grow(source, tmp_path / "tied", layers=4)
    assert decoder not in keys(tmp_path / "tied")
    untied = saved(tmp_path / "untied source", tie_word_embeddings=False)
    report = grow(untied, tmp_path / "untied", hidden=64)
    assert decoder in keys(tmp_path / "untied") and report["measured"]["relative_delta"] < 1e-5


def test_shards_and_old_names_are_read(tmp_path: Path, source: Path) -> None:
    model = transformers.BertForMaskedLM.from_pretrained(source)
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    old = shutil.copytree(source, tmp_path / "old")
    tensors = load_file(old / files.WEIGHTS)
    for mine, theirs in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
        tensors = {key.replace(mine, theirs).removeprefix("bert."): tensor for key, tensor in tensors.items()}
    save_file({**tensors, "bert.embeddings.position_ids": torch.arange(16)}, old / files.WEIGHTS)
    written = []
    for folder in (source, tmp_path / "shards", old):
        grow(folder, out := tmp_path / f"out of {folder.name}", hidden=64, measure=False)
        written.append((out / files.WEIGHTS).read_bytes())
    assert written[0] == written[1] == written[2]


def test_tokenizer_files_are_carried_and_a_text_is_read(tmp_path: Path, source: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(ord("a") + i) for i in range(26))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", mask_token="[MASK]", pad_token="[PAD]"
    )
    tokenizer.save_pretrained(source)
    (source / "generation_config.json").write_text("{}")
    (source / "README.md").write_text("about the source")
    (source / "modeling_mine.py").write_text("raise SystemExit")
    text = tmp_path / "text.txt"
    text.write_text("a b c d e f g h " * 10)
    report = grow(source, out := tmp_path / "out", hidden=64, text=text)
    names = {path.name for path in out.iterdir()}
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json"} < names
    assert not {"README.md", "modeling_mine.py"} & names
    assert transformers.AutoTokenizer.from_pretrained(out)("a b")["input_ids"] == [5, 6]
    assert report["inputs"] == str(text) and report["measured"]["loss_before"] > 0
    text.write_text("")
    for wrong, wanted in ((text, "it holds no token"), (tmp_path / "none.txt", "No such file")):
        with pytest.raises(GrowBenchError, match=wanted):
            grow(source, tmp_path / "other", hidden=64, text=wrong)


def test_the_report_says_what_was_done(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["grow", str(source), str(out), "--method", FPI, "--hidden", "48", "--set", "map=random", "--json"]
    assert cli.main([*words, "--seed", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "growth.json").read_text())
    assert report["method"] == FPI and report["options"]["map"] == "random" and report["seed"] == 3
    assert report["source"] == {"directory": str(source), **SOURCE.to_dict()}
    assert report["target"] == SOURCE.resized(hidden=48, heads=3, ffn=96).to_dict()
    for key, folder in (("parameters_before", source), ("parameters_after", out)):
        assert report[key] == transformers.BertForMaskedLM.from_pretrained(folder).num_parameters()
    measured = report["measured"]
    assert measured["relative_delta"] == measured["max_abs_delta"] / measured["logit_scale"] > 1e-3
    assert report["flops"] == 0 and report["bytes"] == (out / files.WEIGHTS).stat().st_size
    assert not report["claimed"]["exact"] and set(report["seconds"]) == {"checking", "growing", "measuring"}
    assert "torch" in report["versions"] and "commit" in report
    words[2], words[-1] = str(tmp_path / "plain"), "--no-measure"
    assert cli.main(words) == 0
    assert "not measured" in capsys.readouterr().out
    assert "no-measure" in json.loads((tmp_path / "plain/growth.json").read_text())["measured"]


def test_same_seed_same_bytes(tmp_path: Path, source: Path) -> None:
    written = []
    for number, seed in enumerate((0, 0, 1)):
        grow(source, out := tmp_path / str(number), method="direct_copy", hidden=64, seed=seed, measure=False)
        written.append((out / files.WEIGHTS).read_bytes())
    assert written[0] == written[1] != written[2]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtype_of_the_target(dtype: str, tmp_path: Path, source: Path) -> None:
    report = grow(source, out := tmp_path / "out", hidden=64, dtype=dtype)
    assert transformers.AutoModelForMaskedLM.from_pretrained(out).dtype == getattr(torch, dtype)
    assert report["dtype"] == dtype == json.loads((out / "config.json").read_text())["dtype"]
    assert report["measured"]["relative_delta"] < 0.05
    again = grow(out, tmp_path / "again", layers=4)
    assert again["dtype"] == dtype


@pytest.mark.parametrize(
    "name",
    ["Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForPreTraining"],
)
def test_other_heads_grow_exactly(name: str, tmp_path: Path) -> None:
    model_class = getattr(transformers, f"Bert{name}")
    source = headed(tmp_path / "source", model_class, num_labels=2)
    report = grow(source, out := tmp_path / "out", hidden=64)
    assert report["class"] == f"Bert{name}" and report["measured"]["relative_delta"] < 1e-5
    assert (report["measured"]["loss_before"] is None) == (name != "ForPreTraining")
    grown, info = model_class.from_pretrained(out, output_loading_info=True)
    assert not any(info.values()) and grown.config.num_labels == 2
    ids = torch.arange(10)[None]
    before, after = (m.eval()(ids)[0] for m in (model_class.from_pretrained(source), grown))
    assert (after[..., : before.shape[-1]] - before).abs().max() < 1e-5 * before.abs().max()


def test_an_untied_base_model_keeps_its_output_norm(tmp_path: Path) -> None:
    spec = SPECS["gpt2"]
    torch.manual_seed(0)
    move(transformers.GPT2Model(families.load("gpt2").config(spec)), 1).save_pretrained(tmp_path / "source")
    report = grow(tmp_path / "source", tmp_path / "out", hidden=2 * spec.hidden)
    assert report["measured"]["relative_delta"] < 1e-5


@pytest.mark.parametrize("moment", ["transfer", "measure"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    moment: str, error: BaseException, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise error
        yield

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(verb, moment, fail if moment == "transfer" else lambda *_: next(fail()))
        with pytest.raises(GrowBenchError if isinstance(error, OSError) else KeyboardInterrupt):
            grow(source, out, layers=4)
    assert {path.name for path in tmp_path.iterdir()} == {"source"}
    left = tmp_path / "out.tmp"
    left.mkdir()
    (left / "growth.json").touch()
    (left / files.WEIGHTS).write_bytes(b"half")
    out.mkdir()
    grow(source, out, layers=4, measure=False)
    assert not left.exists() and (out / "growth.json").stat().st_size > 0


def test_tensors_are_read_and_made_one_at_a_time(tmp_path: Path, source: Path) -> None:
    job = verb.check(request(source, tmp_path / "out", hidden=64, layers=4, measure=False))
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    class Recording(Checkpoint):
        def __getitem__(self, name: str) -> torch.Tensor:
            nonlocal most
            tensor = super().__getitem__(name).clone()
            alive.append(weakref.ref(tensor))
            most = max(most, sum(ref() is not None for ref in alive))
            return tensor

    recording = Recording(source, job.model)
    assert not alive
    roles = [job.family.roles(config, job.model_class) for config in (job.config, job.grown_config)]
    made: list[weakref.ref[torch.Tensor]] = []
    held = 0

    def watched() -> Iterator[tuple[str, torch.Tensor]]:
        nonlocal held
        for name, tensor in transfer(job.growth, recording, *roles):
            made.append(weakref.ref(tensor))
            held = max(held, sum(ref() is not None for ref in made))
            yield name, tensor
            del tensor

    layout = {name: tuple(parameter.shape) for name, parameter in job.grown.named_parameters()}
    files.write_tensors(tmp_path / "file", layout, torch.float32, watched())
    assert most == 1 and held <= 2 and len(made) == len(layout)


def test_the_writer_refuses_what_its_header_does_not_say(tmp_path: Path) -> None:
    layout = {"a": (2,), "b": (3,)}
    for tensors in ([("a", torch.ones(2))], [("b", torch.ones(3))], [("a", torch.ones(3))]):
        with pytest.raises(RuntimeError, match="file"):
            files.write_tensors(tmp_path / "file", layout, torch.float32, tensors)
    written = {"a": torch.tensor(1.5), "b": torch.arange(6.0).reshape(2, 3).T}
    shapes = {name: tuple(tensor.shape) for name, tensor in written.items()}
    for dtype in files.STORED.values():
        size = files.write_tensors(tmp_path / "file", shapes, dtype, written.items())
        assert size == (tmp_path / "file").stat().st_size
        assert all(torch.equal(t, written[n].to(dtype)) for n, t in load_file(tmp_path / "file").items())


def spoil(folder: Path, how: str) -> None:
    """Damage a directory in one way."""
    config, weights = folder / "config.json", folder / files.WEIGHTS
    values, tensors = json.loads(config.read_text()), load_file(weights)
    first = "bert.embeddings.word_embeddings.weight"
    match how:
        case "pickled":
            weights.rename(folder / "pytorch_model.bin")
        case "no weights":
            weights.unlink()
        case "no config":
            config.unlink()
        case "half config":
            config.write_text("{")
        case "family":
            config.write_text(json.dumps({**values, "model_type": "t5"}))
        case "quantised":
            config.write_text(json.dumps({**values, "quantization_config": {}}))
        case "shape":
            config.write_text(json.dumps({**values, "vocab_size": 51}))
        case "half weights":
            weights.write_bytes(weights.read_bytes()[:-8])
        case "missing":
            save_file({key: tensor for key, tensor in tensors.items() if key != first}, weights)
        case "integers":
            save_file({**tensors, first: tensors[first].to(torch.int8)}, weights)
        case "untied":
            save_file({**tensors, "cls.predictions.decoder.weight": tensors[first] + 1}, weights)
        case "index":
            weights.unlink()
            (folder / files.INDEX).write_text(json.dumps({"weight_map": {first: "../other.safetensors"}}))


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("pickled", "pytorch_model.bin), which are never loaded; convert them with save_pretrained(safe_serialization"),
        ("no weights", "no model.safetensors"),
        ("no config", "config.json: no such file"),
        ("half config", "config.json: not a whole JSON file"),
        ("family", "'t5' is not known; known: bert"),
        ("quantised", "quantised"),
        ("shape", "is [50, 32], config.json says [51, 32]"),
        ("half weights", "not a whole safetensors file"),
        ("missing", "bert.embeddings.word_embeddings.weight is missing; save it again"),
        ("integers", "is I8; use one of"),
        ("untied", "differ but are tied; set tie_word_embeddings to false"),
        ("index", "no file ../other.safetensors beside it"),
    ],
)
def test_a_damaged_directory_is_refused_in_one_line(
    how: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(source, how)
    assert wanted in refusal(capsys, source, tmp_path / "out", "--layers", "4")


def test_tensors_that_the_class_has_no_place_for_are_left_out_and_named(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in bert-base-uncased, whose masked LM directory holds a pooler and a next-sentence head."""
    weights, out = source / files.WEIGHTS, tmp_path / "out"
    save_file({**load_file(weights), "cls.seq_relationship.weight": torch.ones(2, 32)}, weights)
    assert cli.main(["grow", str(source), str(out), "--method", FPI, "--layers", "4"]) == 0
    assert "left out   cls.seq_relationship.weight: BertForMaskedLM has no place" in capsys.readouterr().out
    assert json.loads((out / files.REPORT).read_text())["left_out"] == ["cls.seq_relationship.weight"]
    assert not any("seq_relationship" in key for key in load_file(out / files.WEIGHTS))


def test_masked_growth_is_refused(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a checkpoint has none" in refusal(capsys, source, tmp_path / "out", "--layers", "4", method="msg")


def test_a_source_or_a_finished_growth_named_tmp_is_never_taken_away(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = tmp_path / "out.tmp"
    grow(source, spare, layers=4)
    before = (spare / files.WEIGHTS).read_bytes()
    assert "is in the way" in refusal(capsys, source, tmp_path / "out", "--layers", "4")
    assert "and the source; rename one" in refusal(capsys, spare, tmp_path / "out", "--layers", "6")
    assert (spare / files.WEIGHTS).read_bytes() == before


def test_the_current_directory_is_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert "is or holds the current directory" in refusal(capsys, source, Path("."), "--layers", "4")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_and_named(
    value: float, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(source / files.WEIGHTS)
    tensors["bert.embeddings.LayerNorm.weight"][3] = value
    save_file(tensors, source / files.WEIGHTS)
    assert "bert.embeddings.LayerNorm.weight grows to NaN" in refusal(capsys, source, tmp_path / "out", "--layers", "4")


def test_half_precision_is_not_called_exact(tmp_path: Path, source: Path) -> None:
    report = grow(source, tmp_path / "half", hidden=64, dtype="float16")
    assert report["claimed"]["exact"] is False and report["claimed"]["rounding"] == "float16"
    assert grow(source, tmp_path / "whole", hidden=64)["claimed"]["exact"] is True


def test_a_file_in_the_way_of_the_parent_is_one_line(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "Not a directory" in refusal(capsys, source, tmp_path / "file" / "out", "--layers", "4")


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "nonsense"), ("pad_token_id", 1000), ("architectures", ["BertPreTrainedModel"]), ("vocab_size", 0)],
)
def test_a_config_that_the_stock_class_refuses_is_one_line(
    key: str, value: object, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, key: value}))
    assert "config.json" in refusal(capsys, source, tmp_path / "out", "--layers", "4")


def test_a_head_without_logits_is_measured(tmp_path: Path) -> None:
    family = families.load("vit")
    config = family.config(SPECS["vit"], **SETTINGS["vit"], num_channels=3, encoder_stride=4)
    transformers.ViTForMaskedImageModeling(config).save_pretrained(tmp_path / "source")
    report = verb.run(request(tmp_path / "source", tmp_path / "out", method="lemon", layers=3))
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5


def refusal(capsys: pytest.CaptureFixture[str], source: Path, out: Path, *words: str, method: str = FPI) -> str:
    """Run the verb, which must refuse before it writes anything, and return its line."""
    around = {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")}
    assert cli.main(["grow", str(source), str(out), "--method", method, *words]) == 2
    assert {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")} == around
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("growbench: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", "none is given; give --layers or --hidden"),
        ("--layers 2", "the source has them already"),
        ("--layers 1", "target.layers: 1 is smaller"),
        ("--layers 0", "--layers 0: not a size"),
        ("--hidden 16", "target.hidden: 16 is smaller"),
        ("--hidden 40", "not a whole number of heads of 16; use 48, or give --heads"),
        ("--hidden 72", "use 64 or 80, or give --heads"),
        ("--hidden 64 --heads 3", "give --hidden 48 or --heads 4"),
        ("--heads 4", "4 heads of 16 are not hidden 32; give --hidden 64 or --heads 2"),
        ("--hidden 64 --kv-heads 2", "kv_heads"),
        ("--layers 4 --set mop=random", "unknown option; did you mean 'map'"),
        ("--layers 4 --set map=rondom", "did you mean 'random'"),
        ("--layers 4 --set plan=mine.json", "--set plan: it is for a run in a study"),
        ("--layers 4 --set map", "not of the form option=value"),
        ("--layers 4 --dtype float31", "did you mean 'float32'"),
        ("--layers 4 --text nowhere.txt", "no tokenizer beside the model"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    words: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wanted in refusal(capsys, source, tmp_path / "out", *words.split())


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("bert2bert_fip", "did you mean 'bert2bert_fpi'"),
        ("scratch", "it grows nothing; use one of"),
        ("stackbert", "does not grow hidden; methods that do: "),
    ],
)
def test_a_method_that_cannot_is_refused(
    method: str, wanted: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, source, tmp_path / "out", "--hidden", "64", method=method)
    assert wanted in line and FPI in line


def test_the_place_of_the_target_is_checked(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    assert "exists already; remove it" in refusal(capsys, source, full, "--layers", "4")
    for inside in (source, source / "out"):
        assert "lies in the source directory" in refusal(capsys, source, inside, "--layers", "4")
    (tmp_path / "new.tmp").mkdir()
    assert "in the way" in refusal(capsys, source, tmp_path / "new", "--layers", "4")
    assert "no such directory" in refusal(capsys, tmp_path / "nowhere", tmp_path / "out", "--layers", "4")


def test_weight_selection_shrinks(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = grow(source, tmp_path / "out", method="weight_selection", hidden=16)
    assert report["parameters_after"] < report["parameters_before"] and report["target"]["ffn"] == 32
    capsys.readouterr()
    line = refusal(capsys, source, tmp_path / "big", "--hidden", "64", method="weight_selection")
    assert "give at most 32" in line


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [
        ("bert", {"hidden": 64}, {"heads": 4, "kv_heads": 4, "head_size": 16, "ffn": 128}),
        ("bert", {"hidden": 64, "heads": 2}, {"head_size": 32}),
        ("bert", {"hidden": 64, "head_size": 32}, {"heads": 2}),
        ("bert", {"layers": 4}, {"hidden": 32, "ffn": 64, "heads": 2}),
        ("bert", {"hidden": 64, "ffn": 100}, {"ffn": 100}),
        ("llama", {"hidden": 36}, {"heads": 9, "kv_heads": 3, "head_size": 10, "ffn": 66}),
        ("llama", {"heads": 12}, {"hidden": 24, "kv_heads": 4, "head_size": 10, "ffn": 44}),
        ("llama", {"heads": 12, "kv_heads": 2}, {"kv_heads": 2}),
    ],
)
def test_sizes_left_out_follow(name: str, asked: dict[str, int], wanted: dict[str, int]) -> None:
    source = SOURCE if name == "bert" else SPECS[name]
    target = target_spec(families.load(name), source, asked)
    assert {key: getattr(target, key) for key in wanted} == wanted
    assert dataclasses.replace(target, **{key: getattr(source, key) for key in SHAPE_KEYS}) == source
