"""The arguments of every verb."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from growbench import __version__
from growbench.cli import speed
from growbench.errors import shown

BAD_INPUT = 2  # exit status

SIZES = {
    "layers": "number of layers of the target",
    "hidden": "hidden size; heads, key/value heads and FFN grow in proportion unless given; the head size stays",
    "heads": "attention heads; key/value heads grow in proportion; with --hidden, the head size is adapted",
    "kv-heads": "key/value heads, if the architecture groups them",
    "head-size": "size of one head",
    "ffn": "FFN size; by default in proportion to --hidden",
    "experts": "experts of each layer, for a method that makes mixtures of experts",
    "active": "experts that a token is sent to (default: 2, or all if there are fewer)",
}


def _positive(text: str) -> float:
    """Return a finite number above 0; raise ArgumentTypeError for anything else."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return number


def _speed(text: str) -> speed.Speed:
    """Return the speed of a GPU that was measured, by its name, or of one that is assumed."""
    return speed.MEASURED.get(text.lower()) or speed.Speed(_positive(text))


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"growbench: {shown(message)}; see `{self.prog} --help`\n")


def _grow_arguments(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        "Grow a Hugging Face directory (config.json and safetensors) into a bigger one, and measure whether the bigger "
        "model computes the same function. A size that you do not give follows from the sizes that you give, or stays "
        "the source's."
    )
    verb.add_argument(
        "source",
        type=Path,
        metavar="SOURCE_DIR",
        help="the trained model: a directory, or ORG/NAME[@REVISION] of the Hub",
    )
    verb.add_argument("out", type=Path, metavar="OUT_DIR", help="the grown model; must not exist, or be empty")
    verb.add_argument("--method", required=True, metavar="NAME", help="a growth method; `growbench methods` lists them")
    for name, words in SIZES.items():
        verb.add_argument(f"--{name}", type=int, metavar="N", help=words)
    verb.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the method")
    verb.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of random maps, weights and inputs (default: 0)"
    )
    verb.add_argument(
        "--dtype", metavar="D", help="float32, bfloat16, float16 or float64 (default: each tensor keeps its own)"
    )
    verb.add_argument("--shard-size", default="5GB", metavar="SIZE", help="largest file of tensors (default: 5GB)")
    verb.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="measure on the beginning of this text (default: random tokens); a learned operator learns on it",
    )
    verb.add_argument(
        "--resume-optimizer",
        type=Path,
        metavar="DIR",
        help="Adam's moments of the source in safetensors (docs/GROW.md), to be grown into OUT_DIR/optimizer",
    )
    verb.add_argument(
        "--optimizer-policy",
        default="scaled",
        metavar="P",
        help="how they are grown: scaled (default), copy or asymmetric",
    )
    verb.add_argument("--no-measure", action="store_true", help="do not compare the two models")
    verb.add_argument("--json", action="store_true", help="print the report as JSON")


def _plan_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print JSON, plans included")
    verb.add_argument("--stages", action="store_true", help="print every method's stages, too")
    verb.add_argument("--no-timing", action="store_true", help="do not time steps on this machine")
    verb.add_argument(
        "--speed", type=_speed, default=speed.ASSUMED, metavar="N",
        help=f"FLOP/s that a GPU is assumed to sustain (default: 1.5e14), or a GPU that was measured: {', '.join(speed.MEASURED)}",
    )  # fmt: skip


def _authors_arguments(name: str, verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="the method's name, and its file's")
    if name == "try":
        verb.add_argument("--cores", default="all", metavar="N", help="CPU cores (default: all)")
        verb.add_argument("--no-tests", action="store_true", help="leave out the contract tests")


def _compare_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--methods", nargs="+", required=True, metavar="NAME", help="one or more methods of the study")
    verb.add_argument(
        "--against", nargs="+", default=[], metavar="NAME", help="other methods (default: all that have their records)"
    )
    verb.add_argument("--strict", action="store_true", help="refuse records that were not made alike")
    verb.add_argument("--markdown", action="store_true", help="print a block for a paper or a pull request")


def _study_arguments(name: str, verb: argparse.ArgumentParser) -> None:
    """Add the arguments that name a study, and the part of it that a verb works on."""
    verb.add_argument(
        "--config",
        required=True,
        nargs="+",
        metavar="FILE",
        help="the study's config file (a ladder's, where a command takes one); several are merged in order"
        + ("; or a list of studies, which are done in turn" if name in ("check", "plan") else ""),
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one value of the config, for example optimizer.lr=1e-3",
    )
    verb.add_argument(
        "--log", type=Path, metavar="FILE", help="write every message to this file, and only progress to stderr"
    )
    if name == "corpus":
        verb.add_argument("--only", choices=("text", "tasks"), help="make one of the two")
    if name == "plan":
        _plan_arguments(verb)
    if name == "check":
        verb.add_argument("--print", action="store_true", help="print every value and what set it; check no files")
    if name in ("search", "pretrain", "finetune", "zeroshot"):
        verb.add_argument("--method", required=True, help="a method's name, or `source`")
    if name == "compare":
        _compare_arguments(verb)
    if name == "attention":
        verb.add_argument("--seed", type=int, required=True, help="one of the study's seeds")
    if name in ("pretrain", "finetune", "zeroshot"):
        verb.add_argument(
            "--seed", type=int, nargs="+", required=True, metavar="N", help="one or more of the study's seeds"
        )
    if name == "pretrain":
        verb.add_argument(
            "--restore",
            action="store_true",
            help="train the models of a run again whose record is here; the record stays",
        )
    if name in ("finetune", "zeroshot"):
        verb.add_argument(
            "--points", nargs="+", required=True, metavar="POINT", help="finished points, for example p50 p100"
        )


def parser(verbs: Mapping[str, tuple[Any, str]]) -> argparse.ArgumentParser:
    """Return the parser of all verbs.

    verbs: the function that each verb calls (`function` of the parsed arguments), and its line of help.
    """
    top = Parser(prog="growbench", description="Grow trained Transformers and measure what it saves.")
    top.add_argument("--version", action="version", version=__version__)
    group = top.add_subparsers(dest="verb", required=True, metavar="verb")
    for name, (function, words) in verbs.items():
        verb = group.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        verb.set_defaults(function=function, log=None)
        if name == "methods":
            verb.add_argument("--json", action="store_true", help="print JSON")
        elif name in ("new-method", "try"):
            _authors_arguments(name, verb)
        elif name == "grow":
            _grow_arguments(verb)
        else:
            _study_arguments(name, verb)
    return top
