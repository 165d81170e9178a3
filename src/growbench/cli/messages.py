"""Where messages go: to stderr, and whole into a job's log file."""

import logging
import os
import sys
import time
from pathlib import Path

from growbench.runtime import launch

PROGRESS_SECONDS = 10.0


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


def set_up(file: Path | None = None) -> None:
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
