"""growbench: the command line. Verbs are the stages; each imports what it needs when it is called."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence

from growbench import __version__
from growbench.errors import GrowBenchError


def _corpus(args: argparse.Namespace) -> None:
    from growbench import config, corpus

    study = config.load(args.config)
    corpus.build(study)


def _pretrain(args: argparse.Namespace) -> None:
    from growbench import config, pretrain

    pretrain.run(config.load(args.config), args.method, args.seed)


def _aggregate(args: argparse.Namespace) -> None:
    from growbench import aggregate, config

    aggregate.run(config.load(args.config))


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


def _check(args: argparse.Namespace) -> None:
    from growbench import config, corpus

    study = config.load(args.config)
    corpus.check(study)
    print(f"{args.config}: nothing wrong found")


Verb = Callable[[argparse.Namespace], None]
VERBS: dict[str, tuple[Verb, str]] = {
    "corpus": (_corpus, "tokenise a study's text"),
    "pretrain": (_pretrain, "train one method (or the source) for one seed"),
    "aggregate": (_aggregate, "turn records into tables"),
    "methods": (_methods, "list the growth methods"),
    "check": (_check, "check a config before anything is spent"),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser(prog="growbench", description="Grow trained Transformers and measure what it saves.")
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(dest="verb", required=True)
    for name, (function, words) in VERBS.items():
        verb = verbs.add_parser(name, help=words, description=words)
        verb.set_defaults(function=function)
        if name == "methods":
            verb.add_argument("--json", action="store_true", help="print JSON")
        else:
            verb.add_argument("--config", required=True, help="the study's config file")
        if name == "pretrain":
            verb.add_argument("--method", required=True, help="a method's name, or `source`")
            verb.add_argument("--seed", type=int, required=True)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; a GrowBenchError becomes one line on stderr and exit status 2."""
    args = parser().parse_args(words)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        args.function(args)
    except GrowBenchError as error:
        print(f"growbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
