"""What each verb does. One verb per step of the pipeline; each imports what it needs when it is called."""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from growbench.errors import GrowBenchError, nearest, shown
from growbench.runtime import launch, nodes

if TYPE_CHECKING:
    from growbench.study.study import Study


def _study(args: argparse.Namespace) -> "Study":
    """Return the study of `--config` (several files are merged in order), changed by `--set`."""
    from growbench.study import config

    return config.gather(args.config, args.set)


def _in_turn(args: argparse.Namespace, verb: "Verb") -> None:
    """Call a verb for the study of `--config`; for each study of a ladder, in turn, under a heading."""
    from growbench.study import ladder

    if not ladder.given(args.config):
        verb(args)
        return
    for number, (name, file) in enumerate(ladder.load(args.config[0], args.set).files.items()):
        if not vars(args).get("json"):
            heading = shown(f"{name} ({file})")
            print("\n" * (number > 0) + f"{heading}\n{'=' * len(heading)}")
        try:
            verb(argparse.Namespace(**{**vars(args), "config": [file]}))
        except GrowBenchError as error:
            raise GrowBenchError(f"{file}: {error}") from error


def _check_run(study: "Study", args: argparse.Namespace, seeds: Sequence[int]) -> None:
    """Raise if the study does not have this method or one of these seeds."""
    if reason := study.left_out.get(vars(args).get("method", "")):
        raise GrowBenchError(f"--method {args.method}: cannot make the target of study {study.study}: {reason}")
    if "method" in args and args.method not in (known := [*study.methods, "source"]):
        raise GrowBenchError(
            f"--method {args.method}: not a method of study {study.study}; {nearest(args.method, known)}"
        )
    for seed in seeds:
        if seed not in study.seeds:
            raise GrowBenchError(
                f"--seed {seed}: not a seed of study {study.study}; {nearest(str(seed), map(str, study.seeds))}"
            )


def _check_points(args: argparse.Namespace, section: str, known: Sequence[str]) -> None:
    """Raise if one of these points is not in the `points` of the study's section."""
    for point in args.points:
        if point not in known:
            raise GrowBenchError(f"--points {point}: not in {section}.points; {nearest(point, known)}")


def _shared(study: "Study", args: argparse.Namespace) -> bool:
    """Start the study's processes on this verb if it asks for several; return whether they ran."""
    several = launch.needed(study.train.ranks)
    if several:
        nodes.run(study.train.nodes, study.train.processes, study.train.threads, args.words)
    return several


def _json(values: Any) -> str:
    """Return values as JSON without a control character."""
    return json.dumps(values, indent=1).replace("\x7f", "\\u007f")


def _corpus(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench.pipeline.corpus import run as corpus

    if args.only == "tasks":
        corpus.tasks(study)
    elif args.only == "text":
        corpus.build(study)
    else:
        corpus.run(study)


def _pretrain(args: argparse.Namespace) -> None:
    study = _study(args)
    trials = study.trial_seed() if args.method == "source" else None  # the source that trials start from
    _check_run(study, args, [seed for seed in args.seed if seed != trials])
    if _shared(study, args):
        return
    from growbench.pipeline.pretrain import run as pretrain
    from growbench.pipeline.search import choice

    train = pretrain.restore if args.restore else pretrain.run
    for seed in args.seed:
        train(study, args.method, seed, choice.chosen(study, args.method))


def _search(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [])
    if _shared(study, args):
        return
    from growbench.pipeline.search import run as search

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
            f"zeroshot.names: empty in study {study.study}; name test sets, for example --set zeroshot.names=[WikiText-2]"
        )
    from growbench.study import scored

    _check_points(args, "zeroshot", scored.points(study, args.method))
    from growbench.pipeline.zeroshot import run as zeroshot

    zeroshot.run(study, args.method, list(args.seed), list(args.points))


def _grow(args: argparse.Namespace) -> None:
    from growbench.pipeline.grow.check import Request
    from growbench.pipeline.grow.report import lines
    from growbench.pipeline.grow.run import run
    from growbench.spec import MIXTURE_KEYS, SHAPE_KEYS

    request = Request(
        source=args.source,
        out=args.out,
        method=args.method,
        sizes={key: getattr(args, key) for key in (*SHAPE_KEYS, *MIXTURE_KEYS)},
        options=tuple(args.set),
        seed=args.seed,
        dtype=args.dtype,
        shard_size=args.shard_size,
        text=args.text,
        measure=not args.no_measure,
        optimizer=args.resume_optimizer,
        policy=args.optimizer_policy,
    )
    try:
        report = run(request)
    except GrowBenchError as error:
        raise GrowBenchError(_as_typed(str(error))) from error
    print(_json(report) if args.json else lines(report, args.out))
    if report["problem"]:
        raise GrowBenchError(f"{args.out}: {report['problem']}")


def _as_typed(line: str) -> str:
    """Return an error line with the flag that sets a key in its place: --kv-heads for target.kv_heads, --set for options."""
    line = re.sub(r"^(?:target|model)\.(\w+):", lambda key: f"--{key[1].replace('_', '-')}:", line)
    return re.sub(r"^methods\.\w+\.(\w+):", r"--set \1:", line)


def _aggregate(args: argparse.Namespace) -> None:
    study = _study(args)
    from growbench.pipeline.aggregate import run as aggregate

    aggregate.run(study)


def _attention(args: argparse.Namespace) -> None:
    study = _study(args)
    _check_run(study, args, [args.seed])
    from growbench.pipeline import attention

    attention.run(study, args.seed)


def _methods(args: argparse.Namespace) -> None:
    from growbench import methods
    from growbench.cli.tables import table

    rows, broken = [method.row() for method in methods.loaded()], methods.broken()
    if args.json:
        print(_json([*rows, *({"method": name, "broken": why} for name, why in broken.items())]))
        return
    head = ("method", "paper", "grows", "ratios", "needs", "preserves the function")
    for row in rows:
        row["needs"] = ", ".join(what for what in ("source", "data") if row[f"needs {what}"] == "yes") or "-"
    print(table(head, {"": ([str(row[key]) for key in head] for row in rows)}, left=len(head)))
    print("\nOptions and their defaults (in a study's `methods`, or `growbench grow --set OPTION=VALUE`):\n")
    options = [[row["method"], str(row["options"])] for row in rows if row["options"] != "-"]
    print(table(("method", "options"), {"": options}, left=2))
    if broken:
        print("\nBroken files:\n")
        print("\n".join(f"  {why}" for why in broken.values()))


def _plan(args: argparse.Namespace) -> None:
    from growbench.cli import forecast as text
    from growbench.pipeline import forecast
    from growbench.study import ladder

    planned: list[tuple[Study, list[dict[str, Any]]]] = []

    def plan(args: argparse.Namespace) -> None:
        study = _study(args)
        timing = not args.no_timing and study.train.device != "gpu"  # steps are timed on the CPU
        rows = forecast.run(study, timing=timing)
        planned.append((study, rows))
        if not args.json:
            print("\n".join([*text.lines(study, rows, args.speed, args.stages), *_of_rows(study, rows)]))

    several = ladder.given(args.config)
    _in_turn(args, plan)
    if args.json:
        print(_json({study.study: rows for study, rows in planned} if several else planned[0][1]))
    elif several:
        print("\n".join(["", *text.sums(planned, args.speed)]))


def _of_rows(study: "Study", rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a forecast on the tasks' rows; why they are not known if a file cannot be read."""
    from growbench.cli import cut_rows as text
    from growbench.cli.forecast import finetuning
    from growbench.pipeline.finetune import cost, cut_rows

    try:
        return [*finetuning(study, rows, cost.forecast(study)), *text.lines(list(cut_rows.forecast(study)))]
    except GrowBenchError as error:
        return ["", f"Rows that are cut: not known ({error})"]


def _ladder(args: argparse.Namespace) -> None:
    from growbench.study import ladder

    if not ladder.given(args.config):
        raise GrowBenchError(
            f"{' + '.join(args.config)}: a study, not a ladder; give a file with `ladder` and `studies`, as config/ladder.yaml"
        )
    from growbench.pipeline.ladder import run

    rungs = ladder.load(args.config[0], args.set)
    run.run(rungs.name, list(rungs.files))


def _show(args: argparse.Namespace) -> None:
    from growbench.cli import show

    print("\n".join(show.lines(_study(args))))


def _new_method(args: argparse.Namespace) -> None:
    from growbench.cli import new_method

    print(f"{shown(new_method.write(args.name))}: edit it, then run `growbench try {args.name}`")


def _try(args: argparse.Namespace) -> None:
    from growbench.cli import try_method

    try_method.check(args.name)
    if not args.no_tests:
        try_method.contract(args.name)
    _print_comparison(try_method.train(args.name, args.cores), [args.name])


def _compare(args: argparse.Namespace) -> None:
    _print_comparison(_study(args), args.methods, args.against, strict=args.strict, markdown=args.markdown)


def _print_comparison(
    study: "Study", methods: Sequence[str], against: Sequence[str] = (), *, strict: bool = False, markdown: bool = False
) -> None:
    from growbench.analysis import comparison
    from growbench.cli.tables import table
    from growbench.pipeline import compare

    found = compare.run(study, methods, against, strict)
    if markdown:
        print(comparison.markdown(found.study, found.table, found.notes), end="")
        return
    print(table(comparison.HEAD, {"": comparison.cells(found.table)}, left=3, width=110))
    print("\n" + "\n".join(shown(sentence) for sentence in found.notes))


def _check(args: argparse.Namespace) -> None:
    _in_turn(args, _check_study)


def _check_study(args: argparse.Namespace) -> None:
    study = _study(args)
    if args.print:
        from growbench.study import config

        print("\n".join(map(shown, config.printed(args.config, args.set).split("\n"))), end="")
        return
    from growbench.pipeline.corpus import run as corpus
    from growbench.pipeline.corpus import validated
    from growbench.pipeline.finetune import cut_rows
    from growbench.pipeline.pretrain import taken

    corpus.check(study)
    new = taken.check(study)
    if study.tasks.source == "local" and study.images is None:
        from growbench.tasks import glue, squad

        glue.check(study)
        squad.check(study)
    for share in cut_rows.forecast(study):
        share.check(study.finetune.of(share.task).most_cut)
    if study.zeroshot.names:
        from growbench.tasks import testsets

        testsets.check(study)
    print("\n".join(validated.lines(study)))
    if new:
        print(f"source.path has no {', '.join(new)}: new in the source, from each seed")
    print(f"{shown(' + '.join(args.config))}: no problems found")


Verb = Callable[[argparse.Namespace], None]
VERBS: dict[str, tuple[Verb, str]] = {
    "corpus": (_corpus, "tokenize a study's text, and generate its toyglue tasks if it uses them"),
    "search": (_search, "search the learning rate and the warm-up of one method (or the source)"),
    "pretrain": (_pretrain, "train one method (or the source)"),
    "finetune": (_finetune, "fine-tune finished points on every task"),
    "zeroshot": (
        _zeroshot,
        "score finished points without fine-tuning: minimal pairs, BLiMP, perplexity, bits per byte",
    ),
    "grow": (_grow, "grow a checkpoint directory into a bigger one"),
    "attention": (_attention, "measure where the attention heads of one seed's finished models look"),
    "aggregate": (_aggregate, "turn records into tables"),
    "ladder": (_ladder, "compare the studies of a ladder: tables and figures over all of them"),
    "show": (_show, "print a study's savings, and where its tables, figures and report are"),
    "compare": (_compare, "compare methods of a study with others: savings, intervals, a verdict"),
    "new-method": (_new_method, "write the file of a new method"),
    "try": (_try, "test a method and train it in a small study, beside scratch, a placebo and two others"),
    "methods": (_methods, "list the growth methods"),
    "plan": (_plan, "print what a study will cost, method by method, before anything is spent"),
    "check": (_check, "check a config and the files that it names"),
}
