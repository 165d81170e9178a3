"""growbench try: the contract tests of one method, then a small study of it, and a table."""

import subprocess
import sys
from pathlib import Path

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.study import config
from growbench.study.study import Study

CONFIG, TESTS, SNAKEFILE = Path("config/try.yaml"), Path("tests/test_contract.py"), Path("Snakefile")


def change(name: str) -> str:
    """Return the change of the config that adds a method to the study."""
    return f'methods={{"{name}": {{}}}}'  # Snakemake takes no dotted key


def check(name: str) -> None:
    """Raise GrowBenchError unless this is a method, and this folder a clone of the repository."""
    methods.load(name)
    for path in (CONFIG, SNAKEFILE):
        if not path.is_file():
            raise GrowBenchError(
                f"{path}: not here; run `growbench try` in the root folder of a clone of the repository"
            )


def contract(name: str) -> None:
    """Run the contract tests of a method: every family, every ratio, and its claims. Raises GrowBenchError if one fails."""
    if not TESTS.is_file():
        raise GrowBenchError(f"{TESTS}: not here; clone the repository with its tests, or give --no-tests")
    every = ["-m", "slow or not slow"]  # family
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *every,
        str(TESTS),
        "-k",
        f"[{name}-",
    ]
    status = subprocess.run(words).returncode
    if status == 5:  # pytest: nothing was selected
        raise GrowBenchError(f"{TESTS}: has no test of {name}; give --no-tests to train it all the same")
    if status:
        raise GrowBenchError(f"{name}: its contract tests fail (above); fix the method, or give --no-tests")


def train(name: str, cores: str) -> Study:
    """Train the study with the method in it, and return it. What is trained already is not trained again."""
    study = config.gather([str(CONFIG)], [change(name)])
    tables = str(study.layout.tables / "savings.csv")
    words = ["--cores", cores, "--configfile", str(CONFIG), "--config", change(name), "--", tables]
    if subprocess.run([sys.executable, "-m", "snakemake", "--quiet", "rules", *words]).returncode:
        raise GrowBenchError(
            f"{name}: the study stopped (above); run the same command to go on, logs are in logs/{study.study}"
        )
    return study
