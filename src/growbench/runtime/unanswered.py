"""Jobs of Snakemake's SLURM plugin while SLURM does not answer.

If no status query of a round is answered, the plugin (2.8.0) forgets its jobs and waits forever, even when SLURM is back. Here
the jobs of such a round stay, and the next round asks for them again.
"""

from collections.abc import AsyncIterator
from typing import Any

TOLD = "SLURM does not answer: {} jobs may go on running meanwhile; asking again"
ANSWERS = "_status_query_calls"  # the plugin's count of queries that were answered


def keep_jobs(executor: Any) -> None:
    """Have an executor of the plugin keep the jobs of rounds without an answer. executor: the class."""
    check = executor.check_active_jobs

    async def kept(self: Any, active: list[Any]) -> AsyncIterator[Any]:
        answers = getattr(self, ANSWERS, None)
        async for job in check(self, active):
            yield job
        if active and answers is not None and getattr(self, ANSWERS) == answers:
            self.logger.warning(TOLD.format(len(active)))
            for job in active:
                yield job

    executor.check_active_jobs = kept
