"""growbench: the command line. Verbs are the stages; each imports what it needs when it is called."""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from growbench.cli import arguments, messages
from growbench.errors import GrowBenchError, nearest
from growbench.runtime import interrupt, launch
from growbench.runtime.durable import fault

if TYPE_CHECKING:
    from growbench.study.study import Study

log = logging.getLogger(__name__)
SIGNALLED = 128


def _study(args: argparse.Namespace) -> "Study":
    """Return the study of `--config` (several files are merged in order) with the values of `--set`."""
    from growbench.study import config

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


def _shared(study: "Study", args: argparse.Namespace) -> bool:
    """Have the study's processes do this verb together where there are to be several; whether that was done."""
    several = launch.needed(study.train.processes)
    if several:
        launch.run(study.train.processes, args.words)
    return several


def _corpus(args: argparse.Namespace) -> None:
    from growbench.pipeline.corpus import corpus

    study = _study(args)
    corpus.build(study)
    if study.tasks.source == "toyglue":
        from growbench.tasks import toyglue

        toyglue.build(study)


def _pretrain(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, args.seed)
    if _shared(study, args):
        return
    from growbench.pipeline import search
    from growbench.pipeline.pretrain import run as pretrain

    for seed in args.seed:
        pretrain.run(study, args.method, seed, search.chosen(study, args.method))


def _search(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [])
    if _shared(study, args):
        return
    from growbench.pipeline import search

    search.run(study, args.method)


def _finetune(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, args.seed)
    _check_points(args, "finetune", study.finetuned_points(args.method))
    from growbench.pipeline.finetune import run as finetune

    finetune.run(study, args.method, list(args.seed), list(args.points))


def _zeroshot(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, args.seed)
    if not study.zeroshot.names:
        raise GrowBenchError(
            f"zeroshot.names: empty in study {study.study}; name test sets, such as --set zeroshot.names=[WikiText-2]"
        )
    _check_points(args, "zeroshot", study.zeroshot_points())
    from growbench.pipeline.zeroshot import run as zeroshot

    zeroshot.run(study, args.method, list(args.seed), list(args.points))


def _grow(args: argparse.Namespace) -> None:
    from growbench.pipeline.grow import run as grow
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
    from growbench.pipeline import aggregate

    aggregate.run(study)


def _attention(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [args.seed])
    from growbench.pipeline import attention

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
    from growbench.pipeline import forecast

    timing = not args.no_timing and study.train.device != "gpu"  # steps are timed on the CPU
    rows = forecast.forecast(study, timing=timing)
    speed = args.speed or forecast.SPEED
    print(json.dumps(rows, indent=1) if args.json else "\n".join(forecast.lines(study, rows, speed)))


def _check(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench.pipeline.corpus import corpus

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
    "pretrain": (_pretrain, "train one method (or the source)"),
    "finetune": (_finetune, "fine-tune finished points on every task"),
    "zeroshot": (_zeroshot, "score finished points of a causal family on WikiText-2, PTB and LAMBADA"),
    "grow": (_grow, "grow a checkpoint directory into a bigger one"),
    "attention": (_attention, "measure where the heads of one seed's finished models look"),
    "aggregate": (_aggregate, "turn records into tables"),
    "methods": (_methods, "list the growth methods"),
    "plan": (_plan, "print every method's stages and what a study will cost"),
    "check": (_check, "check a config and its files before anything is spent"),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 2 after one line on stderr for a GrowBenchError, 143 after one for SIGTERM,
    130 for SIGINT (Ctrl-C).
    """
    launch.follow()
    args = arguments.parser(VERBS).parse_args(words)
    args.words = sys.argv[1:] if words is None else list(words)
    try:
        messages.set_up(args.log)
        with interrupt.handled():
            args.function(args)
    except GrowBenchError as error:
        return _stop(args, f"growbench: {error}", arguments.BAD_INPUT)
    except OSError as error:
        return _stop(args, f"growbench: {fault(error.filename or 'the file system', error)}", arguments.BAD_INPUT)
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
