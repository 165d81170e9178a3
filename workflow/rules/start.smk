# What comes first: where the code is, which config files are run, and whether they are a study or a ladder of several.
import atexit
import os
import shlex
import subprocess
import sys
from pathlib import Path

OF_LADDER = not workflow.modifier.is_main_snakefile()  # loaded once more by studies.smk, for one study of a ladder

if not OF_LADDER:
    for place in (workflow.basedir, sys.executable):
        if os.pathsep in str(place):
            sys.exit(
                f"growbench: {place}: PATH cannot hold a folder with '{os.pathsep}' in its name; rename it, or move this elsewhere"
            )
    sys.path.insert(0, f"{workflow.basedir}/src")  # a clone works before it is installed
    os.environ.update(
        PYTHONPATH=os.pathsep.join([sys.path[0], *filter(None, [os.getenv("PYTHONPATH")])]),
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]),
    )
    if shlex.quote(sys.executable) != sys.executable:  # Snakemake puts it into commands without quotes
        sys.executable = Path(sys.executable).name  # found by PATH

from growbench.errors import GrowBenchError, shown
from growbench.records.layout import Layout, run_name
from growbench.runtime import shell as shell_words
from growbench.runtime import unanswered, warm
from growbench.runtime.discover import explained
from growbench.study import ladder


def named(path):
    """Return a config file's path for the command line: relative if it lies below this folder, and never like an option."""
    path = Path(path)
    short = os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
    return f"./{short}" if short.startswith("-") else short


def checked(read, *given):
    """Return what a function makes of config files. A faulty config ends the run with one line."""
    try:
        with explained():
            return read(*given)
    except GrowBenchError as error:
        sys.stderr.write(f"growbench: {shown(error)}\n")
        raise SystemExit(2) from None


def announce():
    """Leave a note of the process that runs the workflow here; a note of a killed one tells workflow/resume.py to clean up."""
    note = Path(".snakemake/runs", f"{os.uname().nodename}-{os.getpid()}")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    atexit.register(note.unlink, missing_ok=True)


def keep_warm():
    """Offer jobs on this machine a process that has imported torch and transformers already; not jobs in containers."""
    if workflow.is_main_process and workflow.local_exec and not workflow.deployment_settings.deployment_method:
        warm.offer()


def keep_jobs():
    """Wait for SLURM while it does not answer, if Snakemake has its plugin."""
    if workflow.is_main_process and (plugin := sys.modules.get("snakemake_executor_plugin_slurm")):
        unanswered.keep_jobs(plugin.Executor)


def check_inputs():
    """End the run before its first job if text or task files are missing. Tables from records need neither."""
    allowed = workflow.dag_settings.allowed_rules
    if allowed and not any(name.endswith("corpus") for name in allowed):
        return
    words = [sys.executable, "-m", "growbench", "check", *shell_words.split(OPTIONS)]
    if subprocess.run(words, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(2)


GIVEN = config["files"] if OF_LADDER else workflow.overwrite_configfiles or ["config/demo.yaml"]
CONFIG_FILES = [named(path) for path in GIVEN]
CHANGES = list(workflow.config_settings.config_args or [])
OPTIONS = shell_words.join(["--config", *CONFIG_FILES, *(word for text in CHANGES for word in ("--set", text))])
LADDER = checked(ladder.load, CONFIG_FILES[0], CHANGES) if checked(ladder.given, CONFIG_FILES) else None
