# Shared by the rules of a study: the study, and what each step depends on.
# Rules use `exec`: SLURM signals every process of a job. A shell that waits for training would die of SIGTERM at once, and
# the job would end before training has saved its checkpoint.
import os
import re
from base64 import urlsafe_b64encode
from dataclasses import asdict
from functools import cache
from pathlib import Path

from growbench.analysis import outputs
from growbench.pipeline import adopted, triggers
from growbench.spec import SOURCE
from growbench.study import scored
from growbench.study.config import gather


def note_unused():
    """Name the records that the study does not use. They cost training, so they stay, and no table reads them."""
    layout, wildcards = STUDY.layout, {}
    used = {*search_records(wildcards), *pretrain_records(wildcards), *finetune_records(wildcards)}
    used |= {*zeroshot_records(wildcards), *attention_record(wildcards)}
    used |= {*expand(DOCUMENTS, study=STUDY.study, method=STUDY.trained(), seed=STUDY.seeds)}
    if TRIAL_SEED is not None:
        used |= {*expand([SOURCE_RECORD, SOURCE_CURVE, SOURCE_DOCUMENTS], study=STUDY.study, seed=TRIAL_SEED)}
    found = [path for path in layout.records.glob("*/*") if path.suffix in (".json", ".csv")]
    unused = sorted(str(path.relative_to(layout.records)) for path in found if str(path) not in used)
    if unused:
        listed = ", ".join(unused[:5]) + (f" and {len(unused) - 5} more" if len(unused) > 5 else "")
        sys.stderr.write(
            f"growbench: {layout.records}: this study does not use {listed}; they stay, and no table reads them\n"
        )


def noted(path):
    """Return whether Snakemake made a file in this folder: it then has notes of what the file was made from."""
    return Path(".snakemake/metadata", urlsafe_b64encode(str(path).encode()).decode()).exists()


def find_adopted(study):
    """Return which records came with a clone. Only the Snakemake that plans asks."""
    return adopted.find(study, noted) if workflow.is_main_process else adopted.Adopted()


def note_adopted():
    """Say how many records that came with a clone are taken as they are, and which are made again."""
    fitting = sum(map(len, (ADOPTED.runs, ADOPTED.searches, ADOPTED.finetuned, ADOPTED.zeroshot, ADOPTED.attention)))
    if fitting:
        sys.stderr.write(
            f"growbench: {STUDY.layout.records}: {fitting} results came with this clone and are taken as they are\n"
        )
    for path, reason in ADOPTED.stale.items():
        sys.stderr.write(f"growbench: {path} is made again: {shown(reason)}\n")


def again(*paths):
    """Return a file that is newer than these records if one of them came with a clone and is to be made again."""
    return [STALE] if any(Path(path) in ADOPTED.stale for path in paths) else []


def but(names, done):
    """Return the wildcard constraint of a method whose file's name does not begin like one of these patterns."""
    ahead = f"(?!(?:{'|'.join(sorted(done))})[.-])" if done else ""
    return f"{ahead}(?:{among(names)})"


def among(values):
    """Return the wildcard constraint of these values; one that nothing matches without any."""
    return "|".join(map(str, values)) or NEVER


def unless(done, pattern):
    """Return a wildcard constraint, or one that nothing matches if a rule's results are done."""
    return NEVER if done else pattern


def done_runs():
    """Return the names of the runs that came with a clone; where one job trains all seeds of a method, of whole methods."""
    if not STUDY.train.together:
        return [run_name(*run) for run in ADOPTED.runs]
    return [f"{name}-s\\d+" for name in STUDY.methods if all((name, seed) in ADOPTED.runs for seed in STUDY.seeds)]


def done_points(pairs):
    """Return what the names of evaluations begin with that came with a clone."""
    return [f"{method}-s\\d+-{point}" for method, point in pairs]


def finetuned(method):
    """Return whether the fine-tunings of all points of a method came with a clone."""
    return all((method, point) in ADOPTED.finetuned for point in STUDY.finetuned_points(method))


def models(method, seeds):
    """Return the records of runs whose models a job reads, and what trains the models again where the records came alone."""
    lone = [STUDY.layout.run(method, seed).restored for seed in seeds if (method, seed) in ADOPTED.runs]
    return [*expand(RECORD, study=STUDY.study, method=method, seed=seeds), *lone]


def models_of_method(wildcards):
    """Return the records of all runs of a method, and what trains their models again."""
    return models(wildcards.get("method", SOURCE), STUDY.seeds)


def models_of_all(wildcards):
    """Return the records of one seed's runs, and what trains their models again."""
    return [path for name in STUDY.trained() for path in models(name, [int(wildcards.seed)])]


def memory(mb):
    """Return a job's memory (MB): `mb`, and twice that in every retry. Not more: most retries follow a time limit."""
    return lambda wildcards, attempt: mb * min(attempt, 2)


def gpus(count):
    """Return the resource of a job that needs this many GPUs; a job that needs none asks for nothing."""
    return {"gpu": count} if count else {}


def spread(train):
    """Return the resources that place a pre-training job: its GPUs, and its nodes if they are several.

    `mpi` leaves srun to the command; GPUs are then counted per node, and `tasks_per_gpu: 0` ties no task to one.
    """
    if train.nodes == 1:
        return gpus(train.gpus)
    by_node = {"gres": f"gpu:{train.gpus}", "tasks_per_gpu": 0} if train.gpus else {}
    return {"nodes": train.nodes, "tasks": train.nodes, "mpi": "srun", **by_node}


def options(wildcards, input):
    """Return the options that name the study. A function that takes `input` is no rerun trigger."""
    return OPTIONS


def labels(**own):
    """Return a result's labels in the report. Where it holds several studies, the study comes first."""
    return ({"study": STUDY.study} if OF_LADDER else {}) | own


def of_study(parts):
    """Return a rule's parameter: what its results are made from besides its input files (growbench.pipeline.triggers).

    It is found once, and only by the Snakemake that plans, which alone compares it.
    """
    once = cache(lambda: shell_words.spelled(parts(STUDY)))
    return lambda wildcards: once() if workflow.is_main_process else None


def of_method(parts):
    """Return the same parameter for a rule that works on one method, or on the source."""
    once = cache(lambda method: shell_words.spelled(parts(STUDY, method)))
    return lambda wildcards: once(wildcards.get("method", SOURCE)) if workflow.is_main_process else None


def of_seeds(pattern):
    """Return a pre-training job's files: one, or one per seed if all seeds of a method are trained in one job."""
    return expand(pattern, seed=STUDY.seeds, allow_missing=True) if STUDY.train.together else pattern


def of_trials(pattern):
    """Return a file of the source that a search's trials start from, if it is trained for them alone."""
    return expand(pattern, seed=TRIAL_SEED, allow_missing=True)


def job_name(method):
    """Return the name of a pre-training job: the run's, or the method's if all its seeds are trained in one job."""
    return method if STUDY.train.together else run_name(method, "{seed}")


def seeds(wildcards, input):
    """Return the seeds of a job. They are no rerun trigger: a new seed has no record yet anyway."""
    return wildcards.get("seed", STUDY.seeds)


def own_seeds(wildcards):
    """Return the seeds of a pre-training job: its own, or all of the study's."""
    return [int(wildcards.seed)] if "seed" in wildcards.keys() else STUDY.seeds


def again_run(wildcards):
    """Return what makes a run's job run again, or that of all seeds of a method, although its records are here."""
    method = wildcards.get("method", SOURCE)
    return again(*expand(RECORD, study=STUDY.study, method=method, seed=own_seeds(wildcards)))


def again_search(wildcards):
    """Return what makes a search run again although its record is here."""
    return again(STUDY.layout.search_record(wildcards.get("method", SOURCE)))


def again_evaluation(pattern):
    """Return a function that returns what makes an evaluation run again although its records are here."""
    return lambda wildcards: again(*expand(pattern, **{"method": SOURCE, **wildcards}))


def source_of(method, seeds):
    """Return the source's records for a method that starts from it or spends as much as it cost; for the first, its models too."""
    if method == SOURCE or not STUDY.reads_source(method):
        return []
    if STUDY.method(method).needs_source:
        return models(SOURCE, seeds)
    return expand(SOURCE_RECORD, study=STUDY.study, seed=seeds)


def source_records(wildcards):
    """Return what a run, or all runs of a method in one job, need of the source."""
    return source_of(wildcards.method, own_seeds(wildcards))


def search_record(wildcards):
    """Return the record of the search that chooses a method's LR and warm-up, if the study searches for them."""
    tuner = STUDY.tuner(wildcards.method)
    return expand(SEARCH_RECORD, study=STUDY.study, method=tuner) if STUDY.searched(tuner) else []


def search_records(wildcards):
    """Return the records of every search."""
    names = [name for name in STUDY.trained() if STUDY.searched(name)]
    return expand(SEARCH_RECORD, study=STUDY.study, method=names)


def source_of_trials(wildcards):
    """Return what the trials of a search need of the source."""
    return source_of(wildcards.method, [STUDY.search.seed])


def pretrain_records(wildcards):
    """Return the records and curves of every run."""
    return expand([RECORD, CURVE], study=STUDY.study, method=STUDY.trained(), seed=STUDY.seeds)


def points(wildcards, input):
    """Return the points of a fine-tuning job. They are no rerun trigger: a new point has no record yet anyway."""
    return STUDY.finetuned_points()


def finetune_records(wildcards):
    """Return the records of every fine-tuned point; none if the study names no task."""
    source = SOURCE_FINETUNED if STUDY.tasks.names and STUDY.finetune.source and "source" in STUDY.trained() else []
    whole = expand(FINETUNE_RECORDS + source, study=STUDY.study, method=WHOLE)
    return whole + one_point_records(FINETUNED_POINT, STUDY.finetuned_points)


def zeroshot_records(wildcards):
    """Return the records of every point that is evaluated zero-shot; none if the study names no test set."""
    return [
        record
        for method in (STUDY.methods if STUDY.zeroshot.names else [])
        for point in scored.points(STUDY, method)
        for record in expand(ZEROSHOT_RECORDS, study=STUDY.study, method=method, point=point)
    ]


def one_point_records(pattern, points):
    """Return the records of methods that have one finished point, the end of their share of the budget."""
    made = [expand(pattern, study=STUDY.study, method=name, point=points(name)) for name in ONE_POINT]
    return [path for paths in made for path in paths]


def attention_record(wildcards):
    """Return the attention record of the first seed, if the study asks for it."""
    return expand(ATTENTION, study=STUDY.study, seed=STUDY.seeds[:1]) if STUDY.attention else []


def configuration(study):
    """Return what the pages are made from besides the tables."""
    return triggers.pages(CONFIG_FILES, CHANGES)


def figure_tables(wildcards):
    """Return the tables that a figure reads, by name."""
    folder = Layout(wildcards.study).tables
    return {name: folder / f"{name}.csv" for name in outputs.of_figure(wildcards.figure)}


def figure_names(wildcards, input):
    """Return the names of all figures of the study. The folder holds no others. They are no rerun trigger."""
    return FIGURES


def caption(wildcards):
    """Return a figure's caption."""
    return Path(workflow.basedir, f"workflow/report/{wildcards.figure}.rst").read_text(encoding="utf-8")


STUDY = checked(gather, CONFIG_FILES, CHANGES)
config.update(asdict(STUDY))  # the report's captions read it; a file that extends another lacks some of these values
TRIAL_SEED = STUDY.trial_seed()
CPUS = STUDY.train.threads * STUDY.train.processes  # of a pre-training job on each node
CORES = CPUS * STUDY.train.nodes  # of it on one machine; `growbench pretrain` starts its processes
LAYOUT = Layout("{study}")  # paths with wildcards, as rules want them
NEVER = "(?!)"  # a wildcard constraint that nothing matches
ADOPTED = checked(find_adopted, STUDY)
STALE = ".snakemake/growbench/stale"  # newer than all records that came with a clone and are to be made again
if ADOPTED.stale:
    Path(STALE).parent.mkdir(parents=True, exist_ok=True)
    Path(STALE).touch()
CORPUS = str(LAYOUT.corpus_manifest)
MADE = STUDY.tasks.source == "toyglue" or STUDY.images is not None  # tasks that are generated, or decoded
TOYGLUE = [str(LAYOUT.tasks_manifest)] if STUDY.tasks.names and MADE else []
RECORD, CURVE = str(LAYOUT.run_record("{method}", "{seed}")), str(LAYOUT.curve("{method}", "{seed}"))  # of a run
SOURCE_RECORD, SOURCE_CURVE = str(LAYOUT.run_record("source", "{seed}")), str(LAYOUT.curve("source", "{seed}"))
DOCUMENTS, SOURCE_DOCUMENTS = (str(LAYOUT.documents(name, "{seed}")) for name in ("{method}", "source"))
SEARCH_RECORD, SOURCE_SEARCH = str(LAYOUT.search_record("{method}")), str(LAYOUT.search_record("source"))
FINETUNE_RECORDS = [
    str(LAYOUT.finetune_record("{method}", seed, point)) for seed in STUDY.seeds for point in STUDY.finetuned_points()
]
SOURCE_FINETUNED = [str(LAYOUT.finetune_record("source", seed, "p100")) for seed in STUDY.seeds]
ZEROSHOT_RECORDS = [str(LAYOUT.zeroshot_record("{method}", seed, "{point}")) for seed in STUDY.seeds]
ONE_POINT = [name for name in STUDY.methods if STUDY.options(name)["budget"] is not None]
WHOLE = [name for name in STUDY.methods if name not in ONE_POINT]
FINETUNED_POINT = [str(LAYOUT.finetune_record("{method}", seed, "{point}")) for seed in STUDY.seeds]
ATTENTION = str(LAYOUT.attention_record("{seed}"))
TABLES = outputs.names(STUDY)
PAGES = dict.fromkeys(["protocol", "configuration"], "Protocol and configuration") | {
    Path(table).stem: "Tables" for table in TABLES
}
FIGURES = sorted(
    path.stem
    for path in Path(workflow.basedir, "workflow/figures").glob("[!_]*.py")
    if outputs.has_figure(STUDY, path.stem)
)
RESULTS = {
    "tables": [STUDY.layout.tables / table for table in TABLES],
    "figures": [STUDY.layout.figure(name, ending) for name in FIGURES for ending in ("png", "pdf")],
    "pages": [*(STUDY.layout.page(page) for page in PAGES), STUDY.layout.explorer],
}


wildcard_constraints:
    study=STUDY.study,
    method="|".join(STUDY.methods),
    seed="|".join(map(str, STUDY.seeds)),
    point=r"\w+",
    figure="|".join(FIGURES),
