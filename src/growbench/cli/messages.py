"""Where messages go: to stderr, and with --log to a file that gets all of them."""

import logging
import os
import sys
import time
from pathlib import Path

from growbench.cli.tables import styled
from growbench.errors import GrowBenchError, shown
from growbench.runtime import launch

PROGRESS_SECONDS = 10.0
TIME = "%H:%M:%S"


class Progress(logging.Filter):
    """Let one information message through every PROGRESS_SECONDS, and every warning."""

    def __init__(self) -> None:
        super().__init__()
        self.last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.levelno < logging.WARNING and now - self.last < PROGRESS_SECONDS:
            return False
        self.last = now
        return True


class Line(logging.Formatter):
    """Formats a message as one line that cannot change a terminal; a traceback below it keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(shown, super().format(record).split("\n")))

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = shown(record.message.rstrip())
        return super().formatMessage(record)


class LogFile(logging.FileHandler):
    """A log file that cannot stop a run: an OSError (a full disk) is ignored."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _screen() -> logging.Handler:
    """Return the handler of stderr: rich's on a terminal, plain lines elsewhere."""
    if not styled(sys.stderr):
        return logging.StreamHandler(sys.stderr)
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(
        console=Console(stderr=True), show_level=False, show_path=False, omit_repeated_times=False, log_time_format=TIME
    )
    handler.setFormatter(Line("%(message)s"))
    return handler


def set_up(file: Path | None = None) -> None:
    """Send messages to stderr, or every message to a file and one in PROGRESS_SECONDS to stderr.

    If several processes train together, only the first one logs. Raises GrowBenchError if the file's folder is missing.
    """
    if launch.rank():
        logging.disable(logging.CRITICAL)
        return
    screen = _screen()
    handlers = [screen]
    if file is not None:
        if not file.parent.is_dir():
            raise GrowBenchError(f"--log {file}: there is no folder {file.parent}; make it, or name another file")
        handlers.append(LogFile(file, mode="a", encoding="utf-8"))
        screen.addFilter(Progress())
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(Line("%(asctime)s %(message)s", TIME))
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("growbench").setLevel(logging.INFO)
    logging.captureWarnings(True)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("transformers").setLevel(logging.ERROR)
