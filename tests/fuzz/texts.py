"""Fuzzed text for the corpus, and fuzzed files of tasks."""

import json
import random

from fuzz import child, mutate, small_study
from fuzz.area import Area, Case, Judgment
from fuzz.child import Outcome


class Text(Area):
    """Local text files, tokenized: a corpus that is made holds no special token but the separator between documents."""

    name = "text"
    leaves = "results"

    def prepare(self) -> None:
        corpus = {"source": "local", "train": "train.txt", "valid": "valid.txt", "tokenizer": "wordpiece", "vocab": 200}
        changes = {
            "corpus": {**corpus, "max_tokens": 2_000},
            "data": {"dir": "data", "repeat": True},
            "tasks": {"source": "local", "names": ["CoLA"]},
        }
        self.named = small_study.write(self.folder, methods={"scratch": None}, **changes)
        lines = [f"The {w} cat sat on the {w} mat number {i}." for i in range(400) for w in ("red", "blue", "green")]
        text = "\n\n".join("\n".join(lines[i : i + 4]) for i in range(0, len(lines), 4))
        for name in ("train.txt", "valid.txt"):
            (self.folder / "data").mkdir(exist_ok=True)
            (self.folder / "data" / name).write_text(text, encoding="utf-8")

    def case(self, rng: random.Random) -> Case:
        path = self.folder / "data" / rng.choice(("train.txt", "valid.txt"))
        data = path.read_bytes()
        for _ in range(rng.choice((1, 2, 5))):
            data = mutate.raw(data, rng)
        case = Case(["corpus", *self.named], f"{path.name}: {data[:80]!r}", self._plain)
        case.put(path, data)
        return case

    def _plain(self, outcome: Outcome) -> bool:
        import numpy as np

        root = self.folder / "results/small/corpus"
        manifest = json.loads((root / "manifest.json").read_text())
        special = {value for key, value in manifest["special"].items() if key not in ("sep", "unk")}
        ids = np.fromfile(root / "train.bin", dtype=manifest["dtype"])
        return not special & set(ids.tolist())


class Tasks(Area):
    """GLUE's files; an accepted file has labels that are classes or finite numbers."""

    name = "task files"
    ROWS = {
        "CoLA": ("train.tsv", "dev.tsv", "", lambda i: f"gj04\t{i % 2}\t\tThe cat sat on mat {i}."),
        "STS-B": (
            "train.tsv", "dev.tsv", "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n",
            lambda i: f"{i}\tg\tf\ty\to\ts\ts\tA cat {i}.\tA dog {i}.\t{i % 50 / 10:.1f}",
        ),
        "MRPC": (
            "msr_paraphrase_train.txt", "msr_paraphrase_test.txt", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n",
            lambda i: f"{i % 2}\t{i}\t{i}\tA cat {i}.\tA dog {i}.",
        ),
    }  # fmt: skip

    def prepare(self) -> None:
        names = list(self.ROWS)
        corpus = {"source": "local", "train": "train.txt", "valid": "valid.txt", "tokenizer": "wordpiece", "vocab": 200}
        changes = {
            "corpus": corpus,
            "data": {"dir": "data", "repeat": True},
            "tasks": {"source": "local", "names": names},
        }
        self.named = small_study.write(self.folder, methods={"scratch": None}, **changes)
        for name in ("train.txt", "valid.txt"):
            (self.folder / "data").mkdir(exist_ok=True)
            (self.folder / "data" / name).write_text(
                "\n\n".join(f"A cat sat {i}." for i in range(2000)), encoding="utf-8"
            )
        from growbench.tasks import glue

        self.paths = []
        for task, (_, _, header, row) in self.ROWS.items():
            for split, file in (("train", glue.TASKS[task].train_file), ("dev", glue.TASKS[task].dev_file)):
                path = self.folder / "data/glue" / task / file
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = range(40) if split == "train" else range(40, 60)
                path.write_text(header + "".join(f"{row(i)}\n" for i in rows), encoding="utf-8")
                self.paths.append(path)
        self.succeed(["check", *self.named])

    def case(self, rng: random.Random) -> Case:
        path = rng.choice(self.paths)
        data = path.read_bytes()
        for _ in range(rng.choice((1, 2))):
            data = mutate.raw(data, rng) if rng.random() < 0.6 else self._cell(data, rng)
        case = Case(
            ["check", *self.named], f"{path.parent.name}/{path.name}: {data[-120:]!r}", self._labels(path.parent.name)
        )
        case.put(path, data)
        return case

    @staticmethod
    def _cell(data: bytes, rng: random.Random) -> bytes:
        lines = data.split(b"\n")
        place = rng.randrange(len(lines))
        cells = lines[place].split(b"\t")
        cells[rng.randrange(len(cells))] = rng.choice((b"nan", b"1e400", b"-1", b"", b"2", b"9", b"x", b"inf", b"\xe9"))
        lines[place] = b"\t".join(cells)
        return b"\n".join(lines)

    def _labels(self, task: str) -> Judgment:
        def right(outcome: Outcome) -> bool:
            def work() -> int:
                import math

                from growbench.study import config
                from growbench.tasks import glue

                study = config.load(small_study.FILE)
                _, *splits = glue.load(glue.task(task, study), study)
                labels = [float(label) for rows in splits for _, label in rows]
                top = 5 if task == "STS-B" else 1
                return int(not (labels and all(math.isfinite(v) and 0 <= v <= top for v in labels)))

            return child.call(work, self.folder).status == 0

        return right
