"""growbench: the command line. Verbs are the stages; each imports what it needs when it is called."""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from growbench import __version__, interrupt, launch
from growbench.durable import fault
from growbench.errors import GrowBenchError, nearest

if TYPE_CHECKING:
    from growbench.study import Study

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 10.0
BAD_INPUT, SIGNALLED = 2, 128


def _study(args: argparse.Namespace) -> "Study":
    """Return the study of `--config` (several files are merged in order) with the values of `--set`."""
    from growbench import config

    return config.gather(args.config, args.set)


def _check_run(study: "Study", args: argparse.Namespace, seeds: Sequence[int]) -> None:
    """Refuse a method and seeds that the study has not."""
    if "method" in args and args.method not in (known := [*study.methods, "source"]):
        raise GrowBenchError(
            f"--method {args.method}: not a method of study {study.study}; {nearest(args.method, known)}"
        )
    for seed in seeds:
        if seed not in study.seeds:
            raise GrowBenchError(f"--seed {seed}: not one of seeds; {nearest(str(seed), map(str, study.seeds))}")


def _check_points(args: argparse.Namespace, section: str, known: Sequence[str]) -> None:
    """Refuse points that the study's section has not."""
    for point in args.points:
        if point not in known:
            raise GrowBenchError(f"--points {point}: not one of {section}.points; {nearest(point, known)}")


def _corpus(args: argparse.Namespace) -> None:
    from growbench import corpus

    study = _study(args)
    corpus.build(study)
    if study.tasks.source == "toyglue":
        from growbench.tasks import toyglue

        toyglue.build(study)


def _pretrain(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [args.seed])
    if launch.needed(study.train.processes):
        launch.run(study.train.processes, args.words)
        return
    from growbench import pretrain, search

    pretrain.run(study, args.method, args.seed, search.chosen(study, args.method))


def _search(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [])
    if launch.needed(study.train.processes):
        launch.run(study.train.processes, args.words)
        return
    from growbench import search

    search.run(study, args.method)


def _finetune(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, args.seed)
    _check_points(args, "finetune", study.finetuned_points(args.method))
    from growbench import finetune

    finetune.run(study, args.method, list(args.seed), list(args.points))


def _zeroshot(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, args.seed)
    if not study.zeroshot.names:
        raise GrowBenchError(
            f"zeroshot.names: empty in study {study.study}; name test sets, such as --set zeroshot.names=[WikiText-2]"
        )
    _check_points(args, "zeroshot", study.zeroshot_points())
    from growbench import zeroshot

    zeroshot.run(study, args.method, list(args.seed), list(args.points))


def _grow(args: argparse.Namespace) -> None:
    from growbench.directory import grow
    from growbench.spec import SHAPE_KEYS

    request = grow.Request(
        source=args.source,
        out=args.out,
        method=args.method,
        sizes={key: getattr(args, key) for key in SHAPE_KEYS},
        options=tuple(args.set),
        seed=args.seed,
        dtype=args.dtype,
        text=args.text,
        measure=not args.no_measure,
    )
    report = grow.run(request)
    print(json.dumps(report, indent=1) if args.json else grow.lines(report, args.out))


def _aggregate(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench import aggregate

    aggregate.run(study)


def _attention(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [args.seed])
    from growbench import attention

    attention.run(study, args.seed)


def _methods(args: argparse.Namespace) -> None:
    from growbench import methods

    rows = [methods.load(name).row() for name in methods.names()]
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    columns = list(rows[0])
    widths = {c: max(len(c), *(len(str(row[c])) for row in rows)) for c in columns}
    for row in [{c: c for c in columns}, *rows]:
        print("  ".join(str(row[c]).ljust(widths[c]) for c in columns).rstrip())


def _plan(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench import forecast

    timing = not args.no_timing and study.train.device != "gpu"  # steps are timed on the CPU
    rows = forecast.forecast(study, timing=timing)
    speed = args.speed or forecast.SPEED
    print(json.dumps(rows, indent=1) if args.json else "\n".join(forecast.lines(study, rows, speed)))


def _check(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench import corpus

    corpus.check(study)
    if study.tasks.source == "local":
        from growbench.tasks import glue, squad

        glue.check(study)
        squad.check(study)
    if study.zeroshot.names:
        from growbench.tasks import language

        language.check(study)
    print(f"{' + '.join(args.config)}: nothing wrong found")


Verb = Callable[[argparse.Namespace], None]
VERBS: dict[str, tuple[Verb, str]] = {
    "corpus": (_corpus, "tokenise a study's text, and generate its toyglue tasks where it uses them"),
    "search": (_search, "try learning rates for one method (or the source) before its runs"),
    "pretrain": (_pretrain, "train one method (or the source) for one seed"),
    "finetune": (_finetune, "fine-tune finished points on every task"),
    "zeroshot": (_zeroshot, "score finished points of a causal family on WikiText-2, PTB and LAMBADA"),
    "grow": (_grow, "grow a checkpoint directory into a bigger one"),
    "attention": (_attention, "measure where the heads of one seed's finished models look"),
    "aggregate": (_aggregate, "turn records into tables"),
    "methods": (_methods, "list the growth methods"),
    "plan": (_plan, "print every method's stages and what a study will cost"),
    "check": (_check, "check a config and its files before anything is spent"),
}


SIZES = {
    "layers": "layers of the target",
    "hidden": "hidden size; heads, key/value heads and FFN follow in proportion unless given, the head size stays",
    "heads": "attention heads; key/value heads follow in proportion; with --hidden, the head size follows",
    "kv-heads": "key/value heads, where the architecture groups them",
    "head-size": "coordinates of one head",
    "ffn": "FFN size; without it, in proportion to --hidden, else the source's",
}


def _positive(text: str) -> float:
    """A number above 0; argparse words the refusal."""
    if not 0 < (number := float(text)) < float("inf"):
        raise ValueError
    return number


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusals are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"growbench: {message}; see `{self.prog} --help`\n")


def _grow_arguments(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        "Grow a Hugging Face directory (config.json and safetensors) into another one, and measure whether it still "
        "computes the same. A size that is not given and does not follow from one that is stays the source's."
    )
    verb.add_argument("source", type=Path, metavar="SOURCE_DIR", help="the trained model")
    verb.add_argument("out", type=Path, metavar="OUT_DIR", help="where the grown one goes; must not exist or be empty")
    verb.add_argument("--method", required=True, metavar="NAME", help="a growth method; `growbench methods` lists them")
    for name, words in SIZES.items():
        verb.add_argument(f"--{name}", type=int, metavar="N", help=words)
    verb.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the method")
    verb.add_argument("--seed", type=int, default=0, metavar="N", help="of random maps, weights and inputs (0)")
    verb.add_argument("--dtype", metavar="D", help="float32, bfloat16, float16 or float64; else the source's")
    verb.add_argument("--text", type=Path, metavar="FILE", help="measure on the beginning of this text, else at random")
    verb.add_argument("--no-measure", action="store_true", help="leave the comparison of both models out")
    verb.add_argument("--json", action="store_true", help="print the report as JSON")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = Parser(prog="growbench", description="Grow trained Transformers and measure what it saves.")
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="verb")
    for name, (function, words) in VERBS.items():
        verb = verbs.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        verb.set_defaults(function=function, log=None)
        if name == "methods":
            verb.add_argument("--json", action="store_true", help="print JSON")
            continue
        if name == "grow":
            _grow_arguments(verb)
            continue
        verb.add_argument("--config", required=True, nargs="+", metavar="FILE", help="the study's config file")
        verb.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="change a value, e.g. optimizer.lr=1e-3"
        )
        verb.add_argument("--log", type=Path, metavar="FILE", help="write every message here, only progress to stderr")
        if name == "plan":
            verb.add_argument("--json", action="store_true", help="print JSON")
            verb.add_argument("--no-timing", action="store_true", help="do not time steps on this machine")
            verb.add_argument(
                "--speed", type=_positive, metavar="N", help="FLOP/s that a GPU is assumed to keep up (1.5e14)"
            )
        if name in ("search", "pretrain", "finetune", "zeroshot"):
            verb.add_argument("--method", required=True, help="a method's name, or `source`")
        if name in ("pretrain", "attention"):
            verb.add_argument("--seed", type=int, required=True, help="one of the study's seeds")
        if name in ("finetune", "zeroshot"):
            verb.add_argument(
                "--seed", type=int, nargs="+", required=True, metavar="N", help="some of the study's seeds"
            )
            verb.add_argument(
                "--points", nargs="+", required=True, metavar="POINT", help="finished points, e.g. p50 p100"
            )
    return top


class Progress(logging.Filter):
    """Lets an information message through every ten seconds, and every warning."""

    def __init__(self) -> None:
        super().__init__()
        self.last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.levelno < logging.WARNING and now - self.last < PROGRESS_SECONDS:
            return False
        self.last = now
        return True


class LogFile(logging.FileHandler):
    """A log file whose loss (a full disk) costs no run."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up_logging(file: Path | None = None) -> None:
    """Send messages to stderr; with a file, every message goes there and stderr gets one every ten seconds. Of several
    processes that train together only the first one has messages.
    """
    if launch.rank():
        logging.disable(logging.CRITICAL)
        return
    stderr = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [stderr]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(LogFile(file, mode="a", encoding="utf-8"))
        stderr.addFilter(Progress())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )
    logging.captureWarnings(True)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "fsspec", "datasets", "matplotlib", "torch"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("transformers").setLevel(logging.ERROR)


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 2 after one line on stderr for a GrowBenchError, 143 after one for SIGTERM,
    130 for SIGINT (Ctrl-C).
    """
    launch.follow()
    args = parser().parse_args(words)
    args.words = sys.argv[1:] if words is None else list(words)
    try:
        set_up_logging(args.log)
        with interrupt.handled():
            args.function(args)
    except GrowBenchError as error:
        return _stop(args, f"growbench: {error}", BAD_INPUT)
    except OSError as error:
        return _stop(args, f"growbench: {fault(error.filename or 'the file system', error)}", BAD_INPUT)
    except KeyboardInterrupt as error:
        number = error.signal if isinstance(error, interrupt.Stopped) else signal.SIGINT
        return _stop(args, f"growbench: ended by {number.name}; the same command goes on", SIGNALLED + number)
    except Exception as error:
        if launch.note(f"{type(error).__name__}: {error}"):
            return 1
        if args.log is not None:
            log.exception("growbench %s failed", args.verb)
            return 1
        raise
    return 0


def _stop(args: argparse.Namespace, line: str, status: int) -> int:
    if launch.note(line.removeprefix("growbench: ")):
        return status
    print(line, file=sys.stderr)
    if args.log is not None:
        with suppress(OSError), open(args.log, "a", encoding="utf-8") as handle:
            handle.write(line + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
