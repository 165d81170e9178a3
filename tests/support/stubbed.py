"""A workflow whose steps only write their files, so that a whole study is built in seconds and its plans can be compared."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.workflow import snakemake

STEPS = '''
"""Every verb writes empty files in the place of its results."""
import sys

from growbench.analysis import outputs
from growbench.records.layout import Layout
from growbench.study import config, ladder

verb, *words = sys.argv[1:]
if verb == "check":  # writes nothing, and takes a ladder too
    sys.exit()


def given(flag):
    """Return the words after a flag."""
    found = []
    for word in words[words.index(flag) + 1 :] if flag in words else []:
        if word.startswith("--"):
            break
        found.append(word)
    return found


def write(paths):
    """Write empty files."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


changes = [text for flag, text in zip(words, words[1:]) if flag == "--set"]
if verb == "ladder":
    rungs = ladder.load(given("--config")[0], changes)
    tables, figures = outputs.of_ladder([config.gather([file], changes) for file in rungs.files.values()])
    layout = Layout(rungs.name)
    write(layout.tables / name for name in tables)
    write(layout.figure(name, ending) for name in figures for ending in ("png", "pdf"))
    write([layout.explorer])
    sys.exit()
study = config.gather(given("--config"), changes)
layout, method = study.layout, "".join(given("--method"))
runs, points = [(method, seed) for seed in given("--seed")], given("--points")
made = {
    "corpus": [layout.tasks_manifest if given("--only") == ["tasks"] else layout.corpus_manifest],
    "search": [layout.search_record(method)],
    "pretrain": [path(*run) for run in runs for path in (layout.run_record, layout.curve, layout.documents)],
    "finetune": [layout.finetune_record(*run, point) for run in runs for point in points],
    "zeroshot": [layout.zeroshot_record(*run, point) for run in runs for point in points],
    "attention": [layout.attention_record(seed) for seed in given("--seed")],
    "aggregate": [layout.tables / name for name in outputs.names(study)],
}
write(made[verb])
'''
AFTER = {"aggregate", "figures", "pages", "all"}  # what follows from any change of a record
JOB = re.compile(r"^(?:local)?rule ([\w-]+):\n((?:    .*\n)*)", re.MULTILINE)


def build(tree: Path, name: str, values: Mapping[str, Any]) -> None:
    """Write a config file into a tree, replace its steps, figures and pages by ones that only write files, and run it all."""
    write(tree, name, values)
    stub(tree)
    done = run(tree, name, "--cores", "2")
    assert done.returncode == 0, done.stderr


def stub(tree: Path) -> None:
    """Replace a tree's steps, figures and pages by ones that only write files."""
    (tree / "src/growbench/__main__.py").write_text(STEPS, encoding="utf-8")
    for script in [*(tree / "workflow/figures").glob("*.py"), tree / "workflow/pages.py"]:
        script.write_text("for path in snakemake.output:\n    open(path, 'w').close()\n", encoding="utf-8")


def write(tree: Path, name: str, values: Mapping[str, Any]) -> None:
    """Write a config file; JSON is YAML."""
    (tree / "config" / f"{name}.yaml").write_text(json.dumps(values, indent=1), encoding="utf-8")


def run(tree: Path, name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake on a study of the tree."""
    return snakemake(tree, *words, "--configfile", f"config/{name}.yaml", **environment)


def planned(tree: Path, name: str, *words: str, **environment: str) -> set[str]:
    """Return the jobs that a dry run plans: the rule, and the method if the job has one."""
    done = run(tree, name, "-n", *words, **environment)
    assert done.returncode == 0, done.stderr
    return jobs(done)


def jobs(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Return the jobs that a run, or a dry run, names: the rule, and the method if the job has one."""
    found = set()
    for rule, text in JOB.findall(done.stdout + done.stderr):
        method = re.search(r"^    wildcards: .*method=(\w+)", text, re.MULTILINE)
        found.add(f"{rule} {method[1]}" if method else rule)
    return found
