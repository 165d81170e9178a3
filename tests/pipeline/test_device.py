"""`train.device` and `train.precision` hold for every verb that runs a model."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support import same_bytes, testsets, tiny
from support.hardware import pretend_gpu
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.activations import NewGELUActivation

from growbench.pipeline import attention
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.zeroshot import run as zeroshot
from growbench.records.layout import Layout
from growbench.study.study import Study
from growbench.train import attention as train_attention

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(tiny.VOCAB - 5))]
VERBS: dict[str, Callable[[Study], Any]] = {
    "pretrain": lambda study: pretrain.run(study, "scratch", 0),
    "finetune": lambda study: finetune.run(study, "scratch", [0], ["p100"]),
    "zeroshot": lambda study: zeroshot.run(study, "scratch", [0], ["p100"]),
    "attention": lambda study: attention.run(study, 0),
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Study]:
    """A tiny causal study with data for every verb, in the working directory; its argument is `train`."""
    monkeypatch.chdir(tmp_path)

    def made(**train: Any) -> Study:
        return tiny.study(
            data={"dir": str(tmp_path)},
            target={"family": "gpt2"},
            budget={"steps": 20},
            train=train,
            tasks={"source": "local", "names": ["SST-2"]},
            zeroshot={"names": ["PTB"]},
            methods={"scratch": None},
        )

    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{key}_token": f"[{key.upper()}]" for key in ("pad", "unk", "cls", "sep")}
    tiny.corpus(made().layout.corpus, PreTrainedTokenizerFast(tokenizer_object=core, **special))
    for file in ("train.tsv", "dev.tsv"):
        path = tmp_path / "glue/SST-2" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("sentence\tlabel\n" + "".join(f"w{i % 9} w{i % 5}\t{i % 2}\n" for i in range(32)))
    testsets.put(tmp_path, "PTB", " w1 w2 <unk> \n w3 w4 \n")
    return made


def test_device_cpu_keeps_every_verb_off_the_gpu(study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> None:
    for run in VERBS.values():
        run(study(device="cpu"))
    pretend_gpu(monkeypatch)
    records = {path: json.loads(path.read_text()) for path in (Layout("tiny").root / "records").rglob("*.json")}
    assert {path.parent.name for path in records} == set(VERBS)
    for run in VERBS.values():
        run(study(device="cpu"))
    for path, before in records.items():
        after = json.loads(path.read_text())
        assert after["provenance"]["hardware"] == before["provenance"]["hardware"]
        assert _results(after) == _results(before), path
    shutil.rmtree(Layout("tiny").run("scratch", 0).finetuned("p100").parent)  # finished fine-tunings are not repeated
    for verb, run in reversed(VERBS.items()):
        with pytest.raises((AssertionError, RuntimeError), match=r"CUDA|cuda|NVIDIA"):
            run(study(device="auto", dropout=0.1 * (verb == "pretrain")))  # another config: nothing is resumed


@pytest.mark.parametrize(("precision", "dtype"), [("float64", torch.float64), ("bf16", torch.bfloat16)])
def test_precision_holds_for_every_verb(
    study: Callable[..., Study], precision: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()
    honest = torch.nn.functional.layer_norm

    def watched(values: torch.Tensor, *words: Any) -> torch.Tensor:
        made = honest(values, *words)
        seen.add(torch.nn.functional.linear(values, torch.eye(values.shape[-1], dtype=values.dtype)).dtype)
        return made

    monkeypatch.setattr(torch.nn.functional, "layer_norm", watched)
    for verb, run in VERBS.items():
        seen.clear()
        run(study(precision=precision))
        assert seen == {dtype, torch.float32} if (precision, verb) == ("bf16", "pretrain") else {dtype}, verb  # losses


@pytest.mark.parametrize("protocol", ["single", "probe"])
def test_finetuning_and_probes_use_the_kernels_of_training(
    study: Callable[..., Study], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, honest = [], train_attention._products
    monkeypatch.setattr(train_attention, "_products", lambda *words: calls.append(words) or honest(*words))
    monkeypatch.setattr(NewGELUActivation, "forward", None)
    for made, used in ((study(precision="bf16"), True), (study(precision="float32"), False)):
        VERBS["pretrain"](made)
        calls.clear()
        finetune.run(replace(made, finetune=replace(made.finetune, protocol=protocol)), "scratch", [0], ["p100"])
        assert bool(calls) == used
        record = json.loads(made.layout.finetune_record("scratch", 0, "p100").read_text())
        assert record["made_from"]["precision"] == made.train.precision


def _results(record: Any) -> Any:
    """A record without times and memory, and without the digests that cover them."""
    if isinstance(record, dict):
        kept = {key: value for key, value in record.items() if "seconds" not in key and "memory" not in key}
        return {key: _results(value) for key, value in kept.items() if key not in same_bytes.DIGESTS}
    return [_results(value) for value in record] if isinstance(record, list) else record
