"""The steps of the demo on one device, each as a check that passes or fails, for bench/gpu_pipeline.py.

Everything goes through the command line's own `main`, in this process and in the working folder, so that a check runs what
a user runs. A check returns what it measured and raises if something is wrong.
"""

import io
import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import _machine
import _study
import torch

from growbench import families, synthetic
from growbench.cli import main as cli
from growbench.pipeline.corpus import corpus
from growbench.runtime import durable
from growbench.study.study import Study
from growbench.train.loop import Trainer
from growbench.train.objective import MaskedLM

Check = Callable[[], dict[str, Any]]
METHODS = ("scratch", "stackbert", "bert2bert_fpi", "msg")
INTERRUPTED = "stackbert"  # two stages and a cool-down to stop in
POINTS = ("p60", "p100")
TARGET = {"layers": 4, "hidden": 64, "heads": 4, "ffn": 256}
DECODER = "scratch"
TEXT_LINES = 40  # of the stand-in for WikiText-2
LOG = Path("log.txt")
CLOSE = 0.3  # nats between the validation losses in a record and on other windows


class Pipeline:
    """Two small studies in the working folder, a BERT and a GPT-2, and the checks over them.

    steps: the budget of a run, in steps of scratch.
    tokens: most training tokens of the corpus.
    device: `train.device` of the studies, gpu or cpu.
    """

    def __init__(self, steps: int, tokens: int, device: str) -> None:
        common = {
            "seeds": [0],
            "data": {"repeat": True},
            "corpus": {"max_tokens": tokens, "valid_fraction": 0.2},
            "source": {"layers": 2, "hidden": 32, "heads": 2, "ffn": 128, "steps": max(2, steps // 2)},
            "budget": {"steps": steps, "points": [0.6, 1.0], "total": False},
            "optimizer": {"warmup": max(1, steps // 20)},
            "train": {"device": device, "eval_sequences": 64, "checkpoint_seconds": 3600},
            "tasks": {"names": ["similarity"]},
        }
        bert = {**common, "study": "bert", "target": {**TARGET, "family": "bert"}}
        decoder = {
            **common,
            "study": "gpt2",
            "target": {**TARGET, "family": "gpt2"},
            "objective": {"kind": "clm"},
            "tasks": {"source": "local", "names": ["CoLA"]},  # nothing is generated for it
            "zeroshot": {"names": ["WikiText-2"]},
        }
        self.study = self._study(bert, METHODS)
        self.decoder = self._study(decoder, (DECODER,))

    def checks(self) -> Iterator[tuple[str, Check]]:
        """Yield every check with its name, in an order in which each finds what it needs."""
        yield "corpus", lambda: self.corpus(self.study)
        for name in ("source", *METHODS):
            yield f"pretrain {name}", lambda name=name: self.pretrain(self.study, name)
        yield "evaluate", self.evaluate
        yield "resume", self.resume
        yield "finetune", self.finetune
        yield "attention", self.attention
        yield "grow", self.grow
        yield "zeroshot", self.zeroshot

    def corpus(self, study: Study) -> dict[str, Any]:
        """Tokenize the generated text."""
        verb("corpus", study)
        manifest = durable.read_json(study.layout.corpus_manifest)
        return {"tokens": manifest["train"]["tokens"], "vocab": manifest["vocab"]}

    def pretrain(self, study: Study, method: str) -> dict[str, Any]:
        """Train one run; its loss must fall below that of a uniform guess."""
        verb("pretrain", study, "--method", method, "--seed", "0")
        found = durable.read_json(study.layout.run_record(method, 0))
        losses = [point["loss"] for point in found["points"]]
        vocab = durable.read_json(study.layout.corpus_manifest)["vocab"]
        require(all(map(math.isfinite, losses)), f"losses {losses} are not finite")
        require(losses[-1] < math.log(vocab), f"final loss {losses[-1]:.3f} is above that of a uniform guess")
        trained = [entry for entry in found["ledger"] if entry["phase"] in ("trunk", "cooldown")]
        wall, steps = (sum(entry[key] for entry in trained) for key in ("wall_seconds", "steps"))
        return {
            "losses": losses,
            "steps": steps,
            "ms_per_step": round(1000 * wall / steps, 2),
            "hardware": found["provenance"]["hardware"],
        }

    def evaluate(self) -> dict[str, Any]:
        """Load a finished point with the stock class; its loss in float32 must be the same on the device and on the CPU,
        and near the one in the record.
        """
        family, layout = families.load("bert"), self.study.layout
        data = corpus.load(layout.corpus)
        special, vocab = data.manifest["special"], data.manifest["vocab"]
        never = corpus.unpredicted(special)
        objective, ids = MaskedLM(self.study.objective.mask_rate, special["mask"], vocab, never), data.valid[:8192]
        values = []
        for device in (_machine.device(), torch.device("cpu")):
            model = family.model_class().from_pretrained(layout.run("scratch", 0).point("p100")).to(device)
            spec = family.spec(model.config)
            length = self.study.objective.length
            values.append(_machine.validation(spec, model, objective, ids, length, special["cls"]))
        recorded = durable.read_json(layout.run_record("scratch", 0))["points"][-1]["loss"]
        require(abs(values[0] - values[1]) < 1e-3, f"loss {values[0]} on the device, {values[1]} on the CPU")
        require(abs(values[0] - recorded) < CLOSE, f"loss {values[0]}, {recorded} in the record")
        return {"device": values[0], "cpu": values[1], "record": recorded}

    def resume(self) -> dict[str, Any]:
        """Stop a run by SIGTERM three times and resume it: its finished points must come out byte for byte.

        Where a second undisturbed run already differs (kernels that add in any order), torch's deterministic algorithms
        are used for both sides.
        """
        first = self._points()
        steps, plain = self._again(())
        places = (steps // 4, steps // 2, steps - 2)
        _, resumed = self._again(places)
        found = {"steps": steps, "stopped_at": places, "repeatable": plain == first, "equal": resumed == first}
        if not found["repeatable"]:
            with deterministic():
                _, plain = self._again(())
                _, resumed = self._again(places)
            found["equal_with_deterministic_algorithms"] = resumed == plain
        require(resumed == plain, f"the resumed run's finished points differ: {found}")
        return found

    def finetune(self) -> dict[str, Any]:
        """Fine-tune a grown model on one task."""
        verb("finetune", self.study, "--method", "bert2bert_fpi", "--seed", "0", "--points", "p100")
        runs = durable.read_json(self.study.layout.finetune_record("bert2bert_fpi", 0, "p100"))["runs"]
        require(all(math.isfinite(run["score"]) for run in runs), "a score is not finite")
        return {run["task"]: run["score"] for run in runs}

    def attention(self) -> dict[str, Any]:
        """Measure the attention of all finished models."""
        verb("attention", self.study, "--seed", "0")
        models = durable.read_json(self.study.layout.attention_record(0))["models"]
        return {model["method"]: model["likeness"] for model in models}

    def grow(self) -> dict[str, Any]:
        """Grow the finished source; the target must compute the same, and load with the stock class."""
        source, out = self.study.layout.run("source", 0).point("p100"), Path("grown")
        sizes = [word for key, value in TARGET.items() for word in (f"--{key}", str(value))]
        sizes[1] = str(self.study.source.layers)  # FPI preserves the function when only the width grows
        report = json.loads(verb("grow", None, str(source), str(out), "--method", "bert2bert_fpi", "--json", *sizes))
        family = families.load("bert")
        model = family.model_class().from_pretrained(out).to(_machine.device())
        require(family.spec(model.config).hidden == TARGET["hidden"], f"hidden size {model.config.hidden_size}")
        relative = report["measured"]["relative_delta"]
        require(relative < 1e-5, f"relative difference of the logits {relative}")
        return {"relative_delta": relative, "seconds": report["seconds"]}

    def zeroshot(self) -> dict[str, Any]:
        """Train a decoder and score it on a stand-in for WikiText-2."""
        file = Path("data/wikitext-2/wiki.test.tokens")
        file.parent.mkdir(parents=True, exist_ok=True)
        documents = synthetic.documents(1)
        lines = [next(documents).replace("\n", " ") for _ in range(TEXT_LINES)]
        file.write_text("".join(f" {line} \n" for line in lines), encoding="utf-8")
        self.corpus(self.decoder)
        trained = self.pretrain(self.decoder, DECODER)
        verb("zeroshot", self.decoder, "--method", DECODER, "--seed", "0", "--points", "p100")
        runs = durable.read_json(self.decoder.layout.zeroshot_record(DECODER, 0, "p100"))["runs"]
        require(all(math.isfinite(run["score"]) for run in runs), "a perplexity is not finite")
        return {**trained, **{run["task"]: run["score"] for run in runs}}

    def _study(self, changes: dict[str, Any], methods: tuple[str, ...]) -> Study:
        """Write a study's config into the working folder and return the study."""
        values = _study.values({**changes, "data": {**changes["data"], "dir": "data"}}, dict.fromkeys(methods))
        config_file(changes["study"]).write_text(json.dumps(values), encoding="utf-8")
        return _study.load(changes, dict.fromkeys(methods))

    def _points(self) -> dict[str, bytes]:
        """The weights of the interrupted method's finished points."""
        run = self.study.layout.run(INTERRUPTED, 0)
        return {name: (run.point(name) / "model.safetensors").read_bytes() for name in POINTS}

    def _again(self, places: tuple[int, ...]) -> tuple[int, dict[str, bytes]]:
        """Train the method from nothing, stopped within these steps; return the number of steps taken and the points."""
        shutil.rmtree(self.study.layout.run(INTERRUPTED, 0).path)
        with stopping(places) as taken:
            for _ in places:
                verb("pretrain", self.study, "--method", INTERRUPTED, "--seed", "0", status=128 + signal.SIGTERM)
            verb("pretrain", self.study, "--method", INTERRUPTED, "--seed", "0")
        return len(taken), self._points()


def config_file(study: str) -> Path:
    return Path(f"{study}.yaml")


def verb(name: str, study: Study | None, *words: str, status: int = 0) -> str:
    """Run a verb of the command line and return what it prints; raise if it does not end with this exit status."""
    if study is not None:
        words = ("--config", str(config_file(study.study)), *words)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as messages:
        try:
            found = cli.main([name, *words])
        finally:
            log(f"growbench {name} {' '.join(words)}\n{messages.getvalue()}")
    require(found == status, f"growbench {name}: exit status {found}, not {status}: {messages.getvalue()[-500:]}")
    return out.getvalue()


def log(text: str) -> None:
    """Append to the log in the working folder."""
    with open(LOG, "a", encoding="utf-8") as file:
        file.write(text)


def require(holds: bool, otherwise: str) -> None:
    """Raise RuntimeError unless a condition holds."""
    if not holds:
        raise RuntimeError(otherwise)


@contextmanager
def stopping(places: tuple[int, ...]) -> Iterator[list[int]]:
    """Send this process SIGTERM within the steps of these places, counted from 1; yields the numbers of all steps taken."""
    honest, taken = Trainer.step, []

    def step(self: Trainer, number: int, lr: float) -> Any:
        taken.append(number)
        if len(taken) in places:
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(self, number, lr)

    Trainer.step = step  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        Trainer.step = honest  # type: ignore[method-assign]


@contextmanager
def deterministic() -> Iterator[None]:
    """Use torch's deterministic algorithms; a kernel that has none only warns."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
