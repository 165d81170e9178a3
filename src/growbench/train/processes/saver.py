"""Write the checkpoints of a run; those of several processes with torch.distributed.checkpoint, while the training goes on.

Each of several processes writes one safetensors file: its part of the tensors that are split, and an equal share of those that
all have. The files are written from copies, by a thread with a process group of its own. The first process makes the
folder a checkpoint once all files are complete, so a crash at any time leaves the previous one.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, HuggingFaceStorageWriter, async_save

from growbench.runtime import durable
from growbench.train import checkpoint
from growbench.train.processes.ranks import Ranks


class Writer(HuggingFaceStorageWriter):
    """Writes one file per process; `complete` is called in the first process when all are written."""

    def __init__(self, folder: Path, complete: Callable[[], None]) -> None:
        super().__init__(str(folder), save_distributed=True)
        self.complete = complete

    def finish(self, metadata: Any, results: Any) -> None:
        self.complete()


class Saver:
    """Writes the resumable checkpoints of one run, one at a time.

    folder: where they lie. ranks: the processes, each of which calls every method.
    """

    def __init__(self, folder: Path, ranks: Ranks) -> None:
        self.folder, self.ranks = folder, ranks
        self.pending: Future[Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether a checkpoint could not be written; settle() says why."""
        pending = self.pending
        return pending is not None and pending.done() and pending.exception() is not None

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint, completely or not at all; the previous one is kept. Of several processes, begin to write it."""
        if not self.ranks.together:
            checkpoint.save_state(self.folder, tensors, state)
            return
        self.settle()
        temporary, text = durable.temporary(self.folder), json.dumps(state)
        if self.ranks.first:
            durable.refuse_links(self.folder)
            durable.clear(self.folder)

        def complete() -> None:
            (temporary / checkpoint.STATE).write_text(text, encoding="utf-8")
            durable.complete(temporary, self.folder, keep=True)

        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        begun = async_save(whole, storage_writer=Writer(temporary, complete), process_group=self.ranks.beside)
        self.pending = cast("Future[Any]", begun)

    def settle(self) -> None:
        """Wait until the checkpoint is written. Raises GrowBenchError, in every process, if one of them could not write."""
        pending, self.pending = self.pending, None
        if pending is None:
            return
        try:
            pending.result()
        except CheckpointException as error:
            if self.ranks.first:
                durable.clear(self.folder)
            causes = [cause for _, (cause, _) in sorted(error.failures.items())]
            refused = next((cause for cause in causes if isinstance(cause, OSError)), None)
            raise causes[0] if refused is None else durable.fault(self.folder, refused) from error
