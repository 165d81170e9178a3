"""Fuzzed checkpoint directories, to be grown."""

import json
import random

from fuzz import child, mutate
from fuzz.area import Area, Case
from fuzz.child import Outcome
from fuzz.results import difference


class Checkpoints(Area):
    """Directories to grow: a config or a weights file changed; what grows must be what its stock class loads."""

    name = "checkpoints"
    FAMILIES = ("bert", "gpt2", "llama")
    WORDS = {"bert": "32", "gpt2": "32", "llama": "32"}

    def prepare(self) -> None:
        def make() -> int:
            import torch

            from growbench import families
            from growbench.spec import ModelSpec

            for name in self.FAMILIES:
                torch.manual_seed(0)
                family = families.load(name)
                spec = ModelSpec(family=name, layers=2, hidden=16, heads=2, ffn=32, vocab=50, max_length=16)
                family.build(family.config(spec)).save_pretrained(self.folder / name)
            return 0

        self.folder.mkdir(parents=True, exist_ok=True)
        done = child.call(make, self.folder)
        if done.status:
            raise RuntimeError(done.err)

    def case(self, rng: random.Random) -> Case:
        self.source = rng.choice(self.FAMILIES)
        folder = self.folder / self.source
        path = rng.choice((folder / "config.json", folder / "config.json", folder / "model.safetensors"))
        data = path.read_bytes()
        if path.name == "config.json" and rng.random() < 0.85:
            made = mutate.dumped(mutate.nested(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        elif path.name == "config.json":
            made = mutate.raw(data, rng)
        else:
            made = self._weights(data, rng)
        method = rng.choice(("lemon", "bert2bert_fpi", "direct_copy", "zero_pad"))
        words = ["grow", self.source, "out", "--method", method, "--hidden", self.WORDS[self.source]]
        case = Case(words, f"{method} {path.relative_to(self.folder)}: {difference(data, made)}", self._loads)
        case.put(path, made)
        return case

    @staticmethod
    def _weights(data: bytes, rng: random.Random) -> bytes:
        """Safetensors with a damaged header, or whole ones with a tensor left out, renamed or of odd numbers."""
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        if rng.random() < 0.4:
            return mutate.raw(data[: 8 + size], rng) + data[8 + size :]
        name = rng.choice([key for key in header if key != "__metadata__"])
        how = rng.randrange(3)
        if how == 0:
            header[f"{name}.x"] = header.pop(name)
        elif how == 1:
            header["odd.\x1b[31m\nname"] = dict(header[name])
            header["odd.\x1b[31m\nname"]["data_offsets"] = header.pop(name)["data_offsets"]
        else:
            first, last = header[name]["data_offsets"]
            start = 8 + size + first
            return data[:start] + b"\xff" * (last - first) + data[8 + size + last :]
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    def _loads(self, outcome: Outcome) -> bool:
        """The grown directory loads with the stock class, every tensor in place, and claims exactness only if it has it."""
        if "\x1b" in outcome.out + outcome.err:
            return False

        def work() -> int:
            from transformers import AutoConfig

            from growbench import families

            config = AutoConfig.from_pretrained("out")
            family = families.of(config)
            _, info = family.auto_class(config).from_pretrained("out", output_loading_info=True)
            return int(bool(info["missing_keys"] or info["mismatched_keys"] or info["unexpected_keys"]))

        return child.call(work, self.folder).status == 0
