# Every study of a ladder, each as a module whose rules begin with the study's name.
from growbench.analysis import outputs
from growbench.pipeline import triggers


report: "../report/ladder.rst"


for study, file in LADDER.files.items():
    loaded, prefix = f"study {study}", f"{study}_"  # no other name of this file is called so

    module:
        name: loaded
        snakefile:
            workflow.main_snakefile
        config:
            {"files": [file]}

    use rule * from loaded as prefix*


STUDIES = [globals()[f"study {study}"] for study in LADDER.files]
RESULTS = {key: [path for study in STUDIES for path in study.RESULTS[key]] for key in ("tables", "figures", "pages")}
COMPARED = [*(f"{frame}.csv" for frame in outputs.COMPARED), f"{outputs.ZEROSHOT}.csv"]
TOGETHER = Layout(LADDER.name)
TABLES, FIGURES = outputs.of_ladder([study.STUDY for study in STUDIES])
RESULTS["tables"] += [TOGETHER.tables / table for table in TABLES]
RESULTS["pages"].append(TOGETHER.explorer)
RESULTS["figures"] += [TOGETHER.figure(name, ending) for name in FIGURES for ending in ("png", "pdf")]


def note_unused():
    """Name the records that the studies do not use."""
    for study in STUDIES:
        study.note_unused()


def note_adopted():
    """Say which records of the studies came with a clone."""
    for study in STUDIES:
        study.note_adopted()


def options(wildcards, input):
    """Return the options that name the ladder. A function that takes `input` is no rerun trigger."""
    return OPTIONS
