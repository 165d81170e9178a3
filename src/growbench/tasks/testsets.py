"""Test sets that need no fine-tuning, by name: which files each one reads, and which models it can be asked of. No torch."""

from collections.abc import Iterable

from growbench.study.study import Study
from growbench.tasks import blimp, domains, glue, language, squad

PAIRS, BLIMP = "pairs", "BLiMP"
DOMAINS = ("bytes/WikiText-2", *domains.TASKS)  # besides held-out text


def paths(name: str) -> list[str]:
    """Return the paths below data.dir of the files that a test set is read from; none if it is made from held-out text."""
    if name in (PAIRS, domains.HELD_OUT):
        return []
    if name == BLIMP:
        return blimp.paths()
    if name in domains.TASKS:
        return list(_of_task(domains.TASKS[name]))
    return [language.OFFICIAL[name.removeprefix("bytes/")].file]


def _of_task(name: str) -> Iterable[str]:
    task = squad.task(name) if name in squad.FOLDERS else glue.TASKS[name]
    folder = squad.FOLDERS.get(name, f"glue/{name}")
    return (f"{folder}/{task.train_file}", f"{folder}/{task.dev_file}")


def check(study: Study) -> None:
    """Raise the GrowBenchError that reading the local files of a study's test sets would raise, before anything is spent."""
    if study.zeroshot.source != "local":
        return
    for name in study.zeroshot.names:
        if name == BLIMP:
            blimp.load(study)
        elif name in language.OFFICIAL:
            language.load(name, study)
        elif name in DOMAINS:
            domains.load(name, study)
