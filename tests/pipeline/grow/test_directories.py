"""`growbench grow`: directories of every family, head, dtype and layout in; stock directories out."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from support.checkpoints import grow, headed, keys, refusal, saved
from support.helpers import SETTINGS, SPECS, doubled, move, perturbed

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.grow import files
from growbench.pipeline.grow.config import read_config

ROTATIONS = {"full_attention": 900.0, "sliding_attention": 70.0}


@pytest.mark.parametrize("name", families.names())
def test_every_family_doubles_exactly_and_loads_as_a_stock_model(name: str, tmp_path: Path) -> None:
    family = families.load(name)
    source, out = saved(tmp_path / "source", name), tmp_path / "out"
    spec = family.spec(read_config(source))
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


def test_a_tied_matrix_is_stored_once_and_an_untied_one_apart(tmp_path: Path, source: Path) -> None:
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


def test_a_head_without_logits_is_measured(tmp_path: Path) -> None:
    family = families.load("vit")
    config = family.config(SPECS["vit"], **SETTINGS["vit"], num_channels=3, encoder_stride=4)
    transformers.ViTForMaskedImageModeling(config).save_pretrained(tmp_path / "source")
    report = grow(tmp_path / "source", tmp_path / "out", method="lemon", layers=3)
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5


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
    assert (out / "source/README.md").read_text() == "about the source"
    assert transformers.AutoTokenizer.from_pretrained(out)("a b")["input_ids"] == [5, 6]
    assert report["inputs"] == str(text) and report["measured"]["loss_before"] > 0
    text.write_text("")
    for wrong, wanted in ((text, "it has no tokens"), (tmp_path / "none.txt", "No such file")):
        with pytest.raises(GrowBenchError, match=wanted):
            grow(source, tmp_path / "other", hidden=64, text=wrong)


def test_weight_selection_shrinks(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = grow(source, tmp_path / "out", method="weight_selection", hidden=16)
    assert report["parameters_after"] < report["parameters_before"] and report["target"]["ffn"] == 32
    capsys.readouterr()
    line = refusal(capsys, source, tmp_path / "big", "--hidden", "64", method="weight_selection")
    assert "use at most 32" in line


def test_a_modernbert_of_the_hub_grows_with_the_pattern_and_the_rotations_of_its_older_config(tmp_path: Path) -> None:
    rotated = {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in ROTATIONS.items()}
    family = families.load("modernbert")
    model = perturbed(family, SPECS["modernbert"].resized(layers=4), dtype=torch.float32, rope_parameters=rotated)
    model.save_pretrained(source := tmp_path / "source")
    values = json.loads((source / "config.json").read_text())
    for key in ("layer_types", "rope_parameters"):
        del values[key]
    older = {"global_attn_every_n_layers": 3, "global_rope_theta": 900.0, "local_rope_theta": 70.0}
    (source / "config.json").write_text(json.dumps(values | older))
    report = grow(source, out := tmp_path / "out", method="lemon", layers=7)
    assert report["claimed"]["exact"] and report["measured"]["relative_delta"] < 1e-5
    config = transformers.AutoConfig.from_pretrained(out)
    assert [kind.partition("_")[0] for kind in config.layer_types] == ["full", *["sliding"] * 4, "full", "full"]
    assert {kind: found["rope_theta"] for kind, found in config.rope_parameters.items()} == ROTATIONS
