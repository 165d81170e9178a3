"""Fuzzed files of methods, test sets and questions, and words of `grow`."""

import importlib
import json
import random
from pathlib import Path

from support.questions import find, layout
from support.testsets import put

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case, Judgment, always_right, never_right
from fuzz.child import Outcome
from growbench import families, methods
from growbench.tasks import language


class MethodFiles(Area):
    """One file of a method is damaged: it is named in one line if it is asked for, and others are not disturbed."""

    name = "method files"
    ODD = (
        b"\n1 / 0\n", b"\nraise SystemExit(0)\n", b"\nMETHOD = None\n", b"\ndel METHOD\n", b"\nimport nothing\n",
        b"\nclass M(Method):\n    pass\nMETHOD = M()\n", b"\n\x00\n", b"\n\xff\n", b"\n    indented\n", b"\nMETHOD.options = 3\n",
        b"\nraise ValueError('\x1b[31m')\n",
        *(
            f"\nMETHOD.__class__.{function} = lambda *given: {value}\n".encode()
            for function in ("check", "widen", "deepen", "plan") for value in ("1 / 0", "None", "[]", "(3,)")
        ),
    )  # fmt: skip

    def prepare(self) -> None:
        super().prepare()
        self.place = self.folder / "methods"
        self.place.mkdir()
        for path in methods.FOLDER.glob("*.py"):
            (self.place / path.name).write_bytes(path.read_bytes())

    def case(self, rng: random.Random) -> Case:
        path = self.place / f"{rng.choice(methods.names())}.py"
        data = path.read_bytes()
        made = data + rng.choice(self.ODD) if rng.random() < 0.5 else mutate.raw(data, rng)
        asked = rng.choice((path.stem, "scratch", "zero_pad"))
        small_study.write(self.folder, methods={"scratch": None, asked: None})
        words = rng.choice((["check", "--config", small_study.FILE], ["methods"], ["methods", "--json"]))
        uses = words[0] == "methods" or asked == path.stem
        case = Case(words, f"{path.name}: {made[-60:]!r}; {asked}", always_right, before=self._found)
        case.right = always_right if uses or made == data else self._undisturbed
        if words[0] == "check" and not uses and not self._derives(asked, path.stem):
            case.refusal = never_right
        case.put(path, made)
        return case

    def _found(self) -> None:
        """In the child: methods are found in the folder of the copies."""
        import sys

        for name in [n for n in sys.modules if n.startswith("growbench.methods.") and not n.endswith("._contract")]:
            del sys.modules[name]
        methods.FOLDER, methods.__path__ = self.place, [str(self.place)]
        importlib.invalidate_caches()

    @staticmethod
    def _derives(name: str, other: str) -> bool:
        """Return whether a study of scratch and a method needs another method's file."""
        return any(path.stem == other for each in ("scratch", name) for path in methods.files(each))

    @staticmethod
    def _undisturbed(outcome: Outcome) -> bool:
        return "no problems found" in outcome.out


class GrowWords(Area):
    """Words of `growbench grow`: options of every method, sizes, types and seeds."""

    name = "grow words"
    SIZES = ("--layers", "--hidden", "--heads", "--kv-heads", "--head-size", "--ffn", "--seed")
    VALUES = ("0", "-1", "1", "2", "3", "4", "6", "8", "24", "32", "48", "64", "1.5", "x", "", "1e3", "9" * 30)

    def prepare(self) -> None:
        def make() -> int:
            for name in ("bert", "llama"):
                family = families.load(name)
                family.build(family.config(family.example_spec())).save_pretrained(self.folder / name)
            return 0

        super().prepare()
        done = child.call(make, self.folder)
        if done.status:
            raise RuntimeError(done.err)

    def case(self, rng: random.Random) -> Case:
        method = methods.load(rng.choice(methods.names()))
        source = rng.choice(("bert", "llama"))
        words = ["grow", source, "out", "--method", method.name]
        axes = ["--layers", "--hidden", *(["--ffn"] if rng.random() < 0.2 else [])]
        usual = {f"--{axis}" for axis in method.grows} & set(axes) or {"--layers"}
        if rng.random() < 0.7:
            spec = families.load(source).example_spec()
            words += [f"{name}={rng.choice((1, 2, 2, 3)) * getattr(spec, name[2:])}" for name in sorted(usual)]
        else:
            words += [f"{n}={rng.choice(self.VALUES)}" for n in rng.sample(self.SIZES, rng.choice((1, 1, 2, 3)))]
        known = {**methods.COMMON, **method.options}
        for key in rng.sample(sorted(known), min(len(known), rng.choice((0, 0, 1, 2)))):
            option = known[key]
            near = [mutate.written(option.default, rng), *option.choices, *(option.range or ())]
            value = rng.choice(near if rng.random() < 0.7 else mutate.ODD)
            words.append(
                f"--set={key}={mutate.dumped(value) if not isinstance(value, str) else value}".replace("\0", "")
            )
        if rng.random() < 0.2:
            words.append(f"--dtype={rng.choice(('float16', 'bfloat16', 'float64', 'int8', 'x'))}")
        return Case(words, " ".join(words[4:]), self._claims)

    def _claims(self, outcome: Outcome) -> bool:
        """The report claims exactness only if it was measured so."""
        report = json.loads((self.folder / "out/growth.json").read_text())
        return report["problem"] is None and not (report["claimed"]["exact"] and isinstance(report["measured"], str))


class Sets(Area):
    """Zero-shot test sets and SQuAD's files, read by `check`."""

    name = "test sets"

    def prepare(self) -> None:
        text = {
            "WikiText-2": " = Title = \n A cat <unk> sat . \n" * 20, "PTB": " a cat N sat \n" * 20,
            "LAMBADA": "the cat sat on the mat\n" * 20,
        }  # fmt: skip
        data = self.folder / "data"
        self.paths = [put(data, name, text[name]) for name in language.OFFICIAL]
        for folder, version, impossible in (("squad", "1.1", False), ("squad_v2", "v2.0", True)):
            for split, count in (("train", 12), ("dev", 6)):
                path = data / folder / f"{split}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(layout(find(count, 0, impossible), version)))
                self.paths.append(path)
        for name in ("train.txt", "valid.txt", "held.txt"):
            (data / name).write_text("\n\n".join(f"A cat sat {i}." for i in range(2000)))
        corpus = {
            "source": "local",
            "train": "train.txt",
            "valid": "valid.txt",
            "test": "held.txt",
            "tokenizer": "bpe",
            "vocab": 300,
        }
        changes = {
            "corpus": corpus, "data": {"dir": "data", "repeat": True}, "methods": {"scratch": None},
        }  # fmt: skip
        sets = {
            "target": {"family": "gpt2"},
            "objective": {"kind": "clm"},
            "zeroshot": {"names": list(language.OFFICIAL)},
        }
        questions = {"tasks": {"source": "local", "names": ["SQuAD1.1", "SQuAD2.0"]}, "finetune": {"doc_stride": 8}}
        small_study.write(self.folder, **changes, **questions, **sets)
        (self.folder / small_study.FILE).rename(self.folder / "sets.json")
        small_study.write(self.folder, **changes, **questions)
        for name in ("sets.json", small_study.FILE):
            self.succeed(["check", "--config", name])

    def case(self, rng: random.Random) -> Case:
        path = rng.choice(self.paths)
        data = path.read_bytes()
        if path.suffix == ".json" and rng.random() < 0.8:
            made = mutate.dumped(mutate.nested(json.loads(data), rng)).encode("utf-8", "surrogatepass")
        else:
            made = mutate.raw(data, rng)
        config = small_study.FILE if path.suffix == ".json" else "sets.json"
        case = Case(
            ["check", "--config", config], f"{path.relative_to(self.folder)}: {made[:200]!r}", self._sound(path)
        )
        case.put(path, made)
        return case

    @staticmethod
    def _sound(path: Path) -> Judgment:
        """Questions whose first answer is not in its context at its place are counted; every accepted text is UTF-8 without a NUL."""

        def squad(outcome: Outcome) -> bool:
            misplaced = 0
            for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
                for paragraph in article["paragraphs"]:
                    for entry in paragraph["qas"]:
                        for answer in [] if entry.get("is_impossible") else entry["answers"][:1]:
                            found = paragraph["context"][answer["answer_start"] :].startswith(answer["text"])
                            misplaced += not (found and answer["text"].strip())
            said = f"{path.relative_to(path.parents[2])}: {misplaced} questions are left out" in outcome.err
            return said == bool(misplaced) and ("left out" in outcome.err) == said

        def text(outcome: Outcome) -> bool:
            return b"\0" not in path.read_bytes() and bool(path.read_text(encoding="utf-8").split())

        return squad if path.suffix == ".json" else text
