"""Fuzzed checkpoint directories, to be grown."""

import copy
import json
import random
import struct
from pathlib import Path
from typing import Any

from fuzz import child, mutate
from fuzz.area import Area, Case
from fuzz.child import Outcome
from fuzz.results import difference
from growbench import families

TOLERANCE = 1e-3  # of an exact growth in float32
NUMBERS = (float("nan"), float("inf"), 0.0, 1.0, -3.0, 1e-38, 1e19, 1e38)  # with which a tensor is filled
SETTINGS = (
    "output_attentions", "output_hidden_states", "return_dict", "use_cache", "torchscript", "tie_word_embeddings",
    "architectures", "auto_map", "dtype", "layer_types", "rope_parameters", "rope_scaling", "rope_theta", "is_decoder",
    "add_cross_attention", "num_labels", "problem_type", "attention_bias", "mlp_bias", "head_dim", "chunk_size_feed_forward",
    "position_embedding_type", "attn_implementation", "pad_token_id", "classifier_dropout", "quantization_config",
)  # fmt: skip


class Checkpoints(Area):
    """Directories to grow: a config or a weights file changed; what grows must be what its stock class loads."""

    name = "checkpoints"
    METHODS = ("lemon", "bert2bert_fpi", "direct_copy", "zero_pad", "hypercloning")

    def prepare(self) -> None:
        def make() -> int:
            import torch

            for name in families.names():
                torch.manual_seed(0)
                family = families.load(name)
                config = family.config(family.example_spec(), **family.example_settings)
                family.build(config).save_pretrained(self.folder / name)
            return 0

        self.folder.mkdir(parents=True, exist_ok=True)
        done = child.call(make, self.folder)
        if done.status:
            raise RuntimeError(done.err)

    def case(self, rng: random.Random) -> Case:
        self.source = rng.choice(families.names())
        folder = self.folder / self.source
        path = rng.choice((folder / "config.json", folder / "config.json", folder / "model.safetensors"))
        data = path.read_bytes()
        if path.name == "config.json" and rng.random() < 0.85:
            made = mutate.dumped(self._config(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        elif path.name == "config.json":
            made = mutate.raw(data, rng)
        else:
            made = self._weights(data, rng)
        method = rng.choice(self.METHODS)
        hidden = 2 * families.load(self.source).example_spec().hidden
        words = ["grow", self.source, "out", "--method", method, "--hidden", str(hidden)]
        case = Case(words, f"{method} {path.relative_to(self.folder)}: {difference(data, made)}", self._loads)
        case.put(path, made)
        return case

    @staticmethod
    def _config(values: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """A config with one place changed, or with a setting that is not in it."""
        if rng.random() < 0.8:
            return dict(mutate.nested(values, rng))
        return values | {rng.choice(SETTINGS): copy.deepcopy(rng.choice(mutate.ODD))}

    @staticmethod
    def _weights(data: bytes, rng: random.Random) -> bytes:
        """Safetensors with a damaged header, or whole ones with a tensor left out, renamed or of odd numbers."""
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        if rng.random() < 0.4:
            return mutate.raw(data[: 8 + size], rng) + data[8 + size :]
        name = rng.choice([key for key in header if key != "__metadata__"])
        how = rng.randrange(5)
        if how == 0:
            header[f"{name}.x"] = header.pop(name)
        elif how == 1:
            header["odd.\x1b[31m\nname"] = dict(header[name])
            header["odd.\x1b[31m\nname"]["data_offsets"] = header.pop(name)["data_offsets"]
        elif how == 2:
            header = mutate.nested(header, rng)
        else:
            first, last = header[name]["data_offsets"]
            start, number = 8 + size + first, struct.pack("<f", rng.choice(NUMBERS))
            return data[:start] + number * ((last - first) // 4) + data[8 + size + last :]
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    def _loads(self, outcome: Outcome) -> bool:
        """The grown directory loads with the stock class, every tensor in place, and is exact if it says so."""
        if not all(line.isprintable() for line in (outcome.out + outcome.err).split("\n")):
            return False

        def work() -> int:
            import torch
            from transformers import AutoConfig

            from growbench.growth.preservation import measure
            from growbench.pipeline.grow.measure import PLAIN

            config = AutoConfig.from_pretrained("out")
            family = families.of(config)
            grown, info = family.auto_class(config).from_pretrained("out", output_loading_info=True)
            if info["missing_keys"] or info["mismatched_keys"] or info["unexpected_keys"]:
                return 1
            if not json.loads(Path("out/growth.json").read_text())["claimed"]["exact"] or outcome.status:
                return 0
            source = family.auto_class(config).from_pretrained(self.source, dtype=torch.float32)
            for model in (source, grown):
                for key, value in PLAIN.items():
                    setattr(model.config, key, value)
            ids = family.inputs(source.config, batch=1, length=8, seed=1)
            return int(not measure(family, source, grown, ids).relative_delta < TOLERANCE)

        return child.call(work, self.folder).status == 0
