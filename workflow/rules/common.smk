# Shared by all rules: the study, what a stage depends on, and how a rule calls the command line.
import os
import shlex
import sys
from dataclasses import asdict
from json import dumps
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/src")  # a clone works before it is installed
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:1] + list(filter(None, [os.environ.get("PYTHONPATH")])))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

from growbench import methods
from growbench.config import Study, load, point_name, read
from growbench.errors import GrowBenchError


def fail(error):
    """End with the one line that a GrowBenchError is."""
    sys.tracebacklimit = 0
    sys.stderr.write(f"growbench: {error}\n")
    sys.stderr.flush()
    raise SystemExit(2)


def load_study():
    """Return the study of the config files and `--config`, checked."""
    files = list(map(str, workflow.overwrite_configfiles)) or ["config/demo.yaml"]
    try:
        for path in files:
            read(path)  # refuses repeated keys, which the merged config no longer shows
        return load(config, name=" + ".join(files)), files
    except GrowBenchError as error:
        fail(error)


def config_options(files):
    """Return the options that give a job of the command line the same study."""
    changes = workflow.config_settings.config or {}
    options = ["--config", *files]
    for key, value in changes.items():
        options += ["--set", f"{key}={dumps(value)}"]
    return shlex.join(options)


def check_inputs(study):
    """End the run before its first job when text or task files are missing."""
    shell("python -m growbench check {CONFIG}")


def trained(wildcards):
    """Return the config values that a trained model depends on; a change trains it again."""
    return STUDY.trained_part() | {"options": STUDY.methods.get(wildcards.get("method"))}


def finetuned(wildcards):
    """Return the config values that a fine-tuning depends on."""
    return STUDY.finetuned_part()


def source_record(wildcards):
    """Return the source's record for methods that start from it."""
    return SOURCE_RECORD if methods.load(wildcards.method).needs_source else []


def pretrain_records(wildcards):
    """Return the records and curves of every run, the source's too where a method starts from it."""
    names = [*STUDY.methods]
    if any(methods.load(name).needs_source for name in names):
        names.append("source")
    pattern = "results/{study}/records/pretrain/{method}-s{seed}.{kind}"
    return expand(pattern, study=STUDY.study, method=names, seed=STUDY.seeds, kind=["json", "csv"])


def finetune_records(wildcards):
    """Return the records of every fine-tuned point; a plan's points lie after its last growth."""
    pattern = "results/{study}/records/finetune/{method}-s{seed}-{point}.json"
    return [
        path
        for method in STUDY.methods
        for path in expand(
            pattern, study=STUDY.study, method=method, seed=STUDY.seeds, point=STUDY.finetuned_points(method)
        )
    ]


def caption(wildcards):
    """Return a figure's caption."""
    return Path(workflow.basedir, f"workflow/report/{wildcards.figure}.rst").read_text(encoding="utf-8")


STUDY, CONFIG_FILES = load_study()
CONFIG = config_options(CONFIG_FILES)
CORPUS = "results/{study}/corpus/manifest.json"
SOURCE_RECORD = "results/{study}/records/pretrain/source-s{seed}.json"
TOYGLUE = ["results/{study}/tasks/manifest.json"] if STUDY.tasks.source == "toyglue" else []
TABLES = ["runs.csv", "points.csv", "savings.csv", "scores.csv", "curves.csv", "savings.md", "scores.md"]
FIGURES = sorted(path.stem for path in Path(workflow.basedir, "workflow/figures").glob("[!_]*.py"))


wildcard_constraints:
    study=STUDY.study,
    method="|".join(STUDY.methods),
    seed=r"\d+",
    point=r"p\d+",
    figure="|".join(FIGURES),
