"""Random directories of every family, grown by random methods, and compared with the stock classes alone."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

from fuzz import child
from fuzz.area import Area, Case
from fuzz.child import Outcome
from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.spec import ModelSpec

TOLERANCES = {"float64": 1e-5, "float32": 1e-3}  # of an exact growth; norms of stock classes compute in float32
DTYPES = ("float32", "float32", "float64", "bfloat16", "float16")
SETTINGS: dict[str, tuple[Any, ...]] = {  # values of settings that are tried where the stock config has them
    "tie_word_embeddings": (True, False),
    "attention_bias": (True, False),
    "mlp_bias": (True, False),
    "use_bias": (True, False),
    "use_parallel_residual": (True, False),
    "sliding_window": (3, 5),
    "hidden_act": ("gelu", "silu", "relu"),
    "num_labels": (1, 3),
}
FILES = (
    "USE_POLICY.md",
    "1_Pooling/config.json",
    "optimizer.pt",
    "pytorch_model.bin",
    "README.md",
    "growth.json",
    "a/b.txt",
)
PREFIXES = ("", "", "", "module.", "_orig_mod.")


class Growths(Area):
    """A random directory is grown. What is claimed exact is, and every tensor and key is where the stock class looks for it."""

    name = "growths"
    seconds = 120.0

    def case(self, rng: random.Random) -> Case:
        shutil.rmtree(self.folder / "source", ignore_errors=True)
        family = families.load(rng.choice(families.names()))
        made = self.folder / "made.json"
        for _ in range(50):  # until a config is possible
            seed = rng.randrange(2**31)
            made.unlink(missing_ok=True)
            done = child.call(lambda seed=seed: self._make(family, random.Random(seed), made), self.folder)
            if done.status == 0:
                break
        else:
            raise RuntimeError(f"{family.name}: no config is possible\n{done.err}")
        method = methods.load(rng.choice([m.name for m in methods.loaded() if m.grows and not m.masked]))
        words = [
            "grow",
            "source",
            "out",
            "--method",
            method.name,
            *self._sizes(method, json.loads(made.read_text()), rng),
        ]
        if method.needs_data:
            words.append("--set=steps=0")
        words += [f"--set={key}={value}" for key, value in self._options(method, rng)]
        words += rng.choice(([], [], [f"--dtype={rng.choice(DTYPES)}"]))
        words += rng.choice(([], [f"--shard-size={rng.choice((1, 5000, 40000))}"]))
        note = f"{family.name} {made.read_text()} seed {seed}"
        return Case(words, note, self._right, refusal=lambda outcome: "claimed exact" not in outcome.err)

    @staticmethod
    def _make(family: Family, rng: random.Random, made: Path) -> int:
        """In a child: write the source's directory, and its sizes into `made`."""
        import torch
        from safetensors.torch import load_file, save_file

        spec = Growths._spec(family, rng)
        stock = family.config(spec, **family.example_settings).to_dict()
        settings = {k: rng.choice(v) for k, v in SETTINGS.items() if k in stock and rng.random() < 0.5}
        config = family.config(spec, **{**family.example_settings, **settings, **family.dropout(0.0)})
        for key in family.per_layer:
            if kinds := getattr(config, key, None):
                setattr(config, key, [rng.choice(sorted(set(kinds))) for _ in kinds])
        torch.manual_seed(rng.randrange(2**31))
        model = family.build(config, seed=rng.randrange(2**31))
        dtype = rng.choice(DTYPES)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=rng.choice((0.02, 0.1, 0.3)))
        folder = Path("source")
        model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=rng.choice(("5GB", "20KB", "100KB")))
        prefix, other = rng.choice(PREFIXES), getattr(torch, rng.choice(DTYPES))
        for path in sorted(folder.glob("*.safetensors")):
            tensors = {prefix + k: t.to(other) if rng.random() < 0.1 else t for k, t in load_file(path).items()}
            save_file(tensors, path)
        for path in folder.glob("*.index.json"):
            index = json.loads(path.read_text())
            index["weight_map"] = {prefix + k: v for k, v in index["weight_map"].items()}
            path.write_text(json.dumps(index))
        for name in rng.sample(FILES, rng.randrange(len(FILES))):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps({"word_embedding_dimension": spec.hidden}))
        made.write_text(json.dumps(spec.to_dict()))
        return 0

    @staticmethod
    def _spec(family: Family, rng: random.Random) -> ModelSpec:
        """Return random sizes that the family's stock config can have; the child fails where they do not fit."""
        base = family.example_spec()
        kv_heads, groups = rng.randint(1, 3), rng.randint(1, 3)
        grouped = "kv_heads" in family.sizes
        heads = kv_heads * groups if grouped else rng.randint(1, 6)
        size = 2 * rng.randint(1, 6)
        free = "head_size" in family.sizes and rng.random() < 0.5
        return base.resized(
            layers=rng.randint(1, 4),
            heads=heads,
            kv_heads=kv_heads if grouped else heads,
            head_size=size,
            hidden=heads * rng.randint(2, 14) if free else heads * size,
            ffn=rng.randint(3, 70),
        )

    @staticmethod
    def _sizes(method: methods.Method, source: dict[str, Any], rng: random.Random) -> list[str]:
        """Return the words for a target's sizes, most of them possible for the method."""
        words = []
        for axis in method.grows:
            if axis in ("layers", "hidden") and (rng.random() < 0.7 or method.grows == (axis,)):
                times = rng.choice((2, 2, 3)) if rng.random() < 0.7 else 0
                more = source[axis] * times or source[axis] + rng.randint(1, 9)
                words += [f"--{axis}={max(1, source[axis] // 2) if method.shrinks else more}"]
            elif axis == "ffn" and rng.random() < 0.2:
                words += [
                    f"--ffn={max(1, source['ffn'] // 2) if method.shrinks else source['ffn'] + rng.randint(1, 90)}"
                ]
        if "heads" in method.grows and rng.random() < 0.1:
            words += [f"--kv-heads={rng.choice((1, source['kv_heads'], 2 * source['kv_heads']))}"]
        return words or [f"--{method.grows[0]}={2 * source.get(method.grows[0], 2)}"]

    @staticmethod
    def _options(method: methods.Method, rng: random.Random) -> list[tuple[str, Any]]:
        known = {key: option for key, option in method.options.items() if option.choices}
        chosen = [(key, rng.choice(known[key].choices)) for key in known if rng.random() < 0.3]
        try:
            method.check_options(dict(chosen))
        except GrowBenchError:
            return []
        return chosen

    def _right(self, outcome: Outcome) -> bool:
        return child.call(self._compare, self.folder, self.seconds).status == 0

    @staticmethod
    def _compare() -> int:
        """In a child: whether the stock classes load the target whole, and it computes what is claimed."""
        import torch
        from transformers import AutoConfig

        report = json.loads(Path("out/growth.json").read_text())
        if report["problem"]:
            return 3
        config = AutoConfig.from_pretrained("out")
        family = families.load(config.model_type.replace("-", "_"))
        model_class = family.auto_class(config)
        grown, info = model_class.from_pretrained("out", dtype=torch.float64, output_loading_info=True)
        if info["missing_keys"] or info["mismatched_keys"] or info["unexpected_keys"]:
            return 4
        raw = json.loads(Path("source/config.json").read_text())
        if raw.keys() - json.loads(Path("out/config.json").read_text()).keys():
            return 5
        there = {p.relative_to("source").as_posix() for p in Path("source").rglob("*") if p.is_file()}
        if there != report["files"]["carried"].keys() | report["files"]["not_carried"].keys():
            return 6
        if not report["claimed"]["exact"]:
            return 0
        grown.config._experts_implementation = "eager"  # grouped products of experts know no float64
        small = AutoConfig.from_pretrained("source")
        source = families.of(small).auto_class(small).from_pretrained(_plain(Path("source")), dtype=torch.float64)
        inputs = family.inputs(grown.config, batch=3, length=8, seed=5)
        with torch.inference_mode():
            a, b = (family.head(m.eval(), family.encode(m, _as(m, inputs))) for m in (source, grown))
        narrow = "float32" if "float32" in {*report["types"]["before"], *report["types"]["after"]} else "float64"
        return int(not float((a - b).abs().max()) <= TOLERANCES[narrow] * float(a.abs().max()))


def _plain(source: Path) -> Path:
    """Return a directory with the source's tensors in one file, without names of wrappers."""
    from safetensors.torch import load_file, save_file

    plain = Path("plain")
    plain.mkdir(exist_ok=True)
    shutil.copyfile(source / "config.json", plain / "config.json")
    stored = {k: t for path in sorted(source.glob("*.safetensors")) for k, t in load_file(path).items()}
    bare = {k.removeprefix("module.").removeprefix("_orig_mod."): t for k, t in stored.items()}
    save_file(bare, plain / "model.safetensors", {"format": "pt"})
    return plain


def _as(model: Any, inputs: Any) -> Any:
    """Return inputs in the type of a model, if they are numbers and not tokens."""
    return inputs.to(next(model.parameters()).dtype) if inputs.is_floating_point() else inputs
