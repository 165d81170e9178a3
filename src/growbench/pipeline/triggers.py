"""What the results of each step are made from besides the files of other steps, as far as it is known before the step runs.

The workflow gives these values to Snakemake, which runs a job again if one differs from those that it last ran with. They
are of contents, never of times: a comment in a method's file, a moved data folder or a fresh clone changes none of them.
What a step makes of other steps' files is in their records (records/identity.py). No torch here.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from growbench import analysis, families, growth, methods, synthetic, train
from growbench.errors import GrowBenchError
from growbench.pipeline import aggregate
from growbench.pipeline.corpus import held_out, text_source
from growbench.pipeline.corpus.corpus import VERSION
from growbench.pipeline.corpus.images import source as image_source
from growbench.pipeline.finetune import cache
from growbench.plan import file as plan_file
from growbench.records import identity
from growbench.runtime import durable
from growbench.spec import SOURCE
from growbench.study import config
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import glue, pairs, squad, testsets, toyglue

Parts = dict[str, Any]
VOCABULARY = (".json", ".txt", ".model")  # files of a pretrained tokenizer; weights may lie beside them


def corpus(study: Study) -> Parts:
    """Return the parts of the tokenized text, or of the decoded images. The entropy floor depends on the objective."""
    if study.images is not None:
        return _images(study)
    made: Parts = {"corpus": asdict(study.corpus), "objective": asdict(study.objective), "version": VERSION}
    made["held_out"] = held_out.VERSION
    if study.corpus.source == "synthetic":
        made["grammar"] = synthetic.VERSION
    if study.corpus.source == "local":
        made["text"] = _text(study)
    if study.corpus.tokenizer == "pretrained" and study.corpus.tokenizer_name:
        made["tokenizer"] = _tokenizer(Path(study.corpus.tokenizer_name))
    if study.checkpoint:
        del made["corpus"]["tokenizer_name"]  # the directory may be moved
    return made


def _images(study: Study) -> Parts:
    """Return the parts of the decoded images; of folders the names and sizes of their files."""
    made: Parts = {"corpus": asdict(study.corpus), "images": study.trained_part()["images"], "version": VERSION}
    try:
        source = image_source.open_source(study) if study.corpus.source != "hub" else None
    except GrowBenchError:  # `growbench check` reports it
        return made
    streams = {key: getattr(source, key, None) for key in ("train", "valid", "test")}
    return made | {"files": {key: stream.note for key, stream in streams.items() if stream is not None}}


def _text(study: Study) -> dict[str, dict[str, str | None]] | None:
    """Return the SHA-256 of each text file; None if text is missing, which `growbench check` reports."""
    try:
        source = text_source.open_text_source(study)
    except GrowBenchError:
        return None
    assert study.data.dir is not None
    streams = {"train": source.train, "valid": source.valid or (), "test": source.test or ()}
    return {key: _digests(study.data.dir, (stream.name for stream in of)) for key, of in streams.items()}


def _tokenizer(folder: Path) -> dict[str, str | None] | None:
    """Return the SHA-256 of each file of a tokenizer; None if its name is one of the hub."""
    if not folder.is_dir():
        return None
    return _digests(folder, sorted(path.name for path in folder.iterdir() if path.suffix in VOCABULARY))


def _digests(folder: Path, names: Iterable[str]) -> dict[str, str | None]:
    """Return the SHA-256 of files by their names below a folder; None for one that cannot be read."""
    return {name: _digest(folder / name) for name in names}


def _digest(path: Path) -> str | None:
    try:
        return durable.digest(path)
    except OSError:
        return None


def tasks(study: Study) -> Parts:
    """Return the parts of the generated tasks, or of the decoded images of tasks."""
    if study.images is not None:
        from growbench.pipeline.corpus.images import tasks as image_tasks

        return image_tasks.made_from(study)
    versions = {"toyglue": toyglue.VERSION, "grammar": synthetic.VERSION}
    return {"names": list(study.tasks.names), "seed": study.corpus.seed, **versions}


def run(study: Study, method: str, share: float = 1.0) -> Parts:
    """Return the parts of a run of a method, or of the source: those of its identity that are known before it.

    share: of the budget, in a search's trials.
    """
    source = method == SOURCE
    taken = {"checkpoint": study.checkpoint.content} if source and study.checkpoint else {}
    return {
        "config": identity.digest(study.trained_part(share)),
        "options": {} if source else _options(study, method),
        "method": SOURCE if source else methods.code(study.method(method).name),
        "growth": growth.VERSION,
        "family": families.load(study.target.family).version,
        "train": train.VERSION,
        "precision": precision(study),
        **taken,
    }


def _options(study: Study, method: str) -> Parts:
    """Return all options of a method, with the digest of its plan in the place of the plan's file."""
    options = study.options(method)
    if options["plan"] is None:
        return options
    plan = plan_file.read(options["plan"], method, *study.variant_of(method))
    return options | {"plan": identity.digest(plan.to_list())}


def precision(study: Study) -> str:
    """Return the numbers that models are computed in; `auto` if that depends on the machine."""
    chosen, devices = study.train.precision, {"cpu": "float32", "gpu": "bf16"}
    return devices.get(study.train.device, chosen) if chosen == "auto" else chosen


def search(study: Study, method: str) -> Parts:
    """Return the parts of the search for a method's learning rate."""
    return run(study, method, study.search.share) | {"search": asdict(study.search)}


def finetune(study: Study) -> Parts:
    """Return the parts of a fine-tuning besides its finished point, corpus and generated tasks."""
    made = {"config": identity.digest(study.finetuned_part()), "precision": precision(study), "version": cache.VERSION}
    local = study.tasks.source == "local" and study.images is None
    return made | {"tasks": _task_files(study)} if local else made


def _task_files(study: Study) -> dict[str, dict[str, str | None]]:
    """Return the SHA-256 of the files of every local task."""
    folder, found = study.data.dir or Path(), {}  # without data.dir, `growbench check` reports that it is missing
    for name in study.tasks.names:
        task = squad.task(name) if name in SQUAD_TASKS else glue.task(name, study)
        place = Path(squad.FOLDERS[name]) if name in SQUAD_TASKS else Path("glue", name)
        second = [task.second[1]] if task.second and (folder / place / task.second[1]).is_file() else []
        found[name] = _digests(folder / place, (task.train_file, task.dev_file, *second))
    return found


def zeroshot(study: Study) -> Parts:
    """Return the parts of a zero-shot evaluation besides its finished point and corpus."""
    made: Parts = {"config": identity.digest(study.zeroshot_part()), "precision": precision(study), "begins": "cls"}
    if testsets.PAIRS in study.zeroshot.names:
        made["pairs"] = pairs.VERSION
    if study.zeroshot.source != "local":
        return made
    files = dict.fromkeys(path for name in study.zeroshot.names for path in testsets.paths(name))
    return made | {"tasks": _digests(study.data.dir or Path(), files)}


def attention(study: Study) -> Parts:
    """Return the parts of the attention record besides the finished points."""
    return {"precision": precision(study)}


def tables(study: Study) -> Parts:
    """Return the parts of the tables besides the records: what the study consists of, in order, and the code."""
    chosen = {
        "methods": [[name, _options(study, name)] for name in study.methods],
        "seeds": study.seeds,
        "config": [study.trained_part(), study.finetuned_part(), study.zeroshot_part()],
        "points": [study.finetuned_points(), study.finetuned_points(SOURCE), study.zeroshot.points],
        "search": asdict(study.search),
        "attention": study.attention,
    }
    code = _code(_folder(analysis), _folder(aggregate))
    return {"study": identity.digest(chosen), "code": code, "published": _digest(_folder(analysis) / "published.csv")}


def figures(study: Study) -> Parts:
    """Return the parts of every figure besides its tables and its script."""
    return {"code": _code(_folder(analysis) / "figures")}


def ladder() -> Parts:
    """Return the parts of a ladder's tables and figures besides the studies' tables."""
    return {"code": _code(_folder(analysis), Path(__file__).parent / "ladder")}


def pages(files: list[str], changes: list[str]) -> Parts:
    """Return the parts of the pages besides the tables: the configuration as it is printed, and the code."""
    return {
        "configuration": identity.digest(config.printed(files, changes)),
        "code": _code(_folder(analysis) / "pages", _folder(analysis) / "explorer"),
    }


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])


def _code(*folders: Path) -> str:
    return identity.code_digest(path for folder in folders for path in folder.rglob("*.py"))
