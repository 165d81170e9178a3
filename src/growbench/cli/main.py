"""growbench: the command line."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from growbench.cli import arguments, messages
from growbench.cli.verbs import VERBS
from growbench.errors import GrowBenchError, shown
from growbench.runtime import discover, interrupt, launch
from growbench.runtime.durable import fault

log = logging.getLogger(__name__)
SIGNALLED = 128


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status.

    2: bad input (GrowBenchError, OSError); an error in the file of a method or a family is one (discover.explained).
    143: stopped by SIGTERM. 130: stopped by Ctrl-C. Each prints one line on
    stderr. 1: an unexpected error, whose traceback is in `--log`; without `--log` it is raised.
    """
    launch.follow()
    args = arguments.parser(VERBS).parse_args(words)
    args.words = sys.argv[1:] if words is None else list(words)
    try:
        messages.set_up(args.log)
        with interrupt.handled(), discover.explained():
            args.function(args)
    except GrowBenchError as error:
        return _stop(args, f"growbench: {error}", arguments.BAD_INPUT)
    except BrokenPipeError:  # what stdout was piped to has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNALLED + signal.SIGPIPE
    except OSError as error:
        return _stop(args, f"growbench: {fault(error.filename or 'the file system', error)}", arguments.BAD_INPUT)
    except KeyboardInterrupt as error:
        number = error.signal if isinstance(error, interrupt.Stopped) else signal.SIGINT
        return _stop(args, f"growbench: stopped by {number.name}; run the same command to resume", SIGNALLED + number)
    except Exception as error:
        if launch.note(f"{type(error).__name__}: {error}"):
            return 1
        if args.log is not None:
            log.exception("growbench %s failed", args.verb)
            return 1
        raise
    return 0


def _stop(args: argparse.Namespace, line: str, status: int) -> int:
    line = shown(line)
    if launch.note(line.removeprefix("growbench: ")):
        return status
    print(line, file=sys.stderr)
    if args.log is not None:
        with suppress(OSError), open(args.log, "a", encoding="utf-8") as handle:
            handle.write(f"{line}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
