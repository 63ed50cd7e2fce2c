"""Worker processes that check and protect scripts, so that no script can delay or exhaust the server.

A job has a limit on its time, and its process one on its memory; a job that passes either fails by name, and a worker that is late is
killed and replaced.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass

from moonlatch.builds.confinement import Confinement
from moonlatch.builds.job import (
    Done,
    Failed,
    Fault,
    LeakRead,
    RunKeysFound,
    Scored,
    Task,
    TraceAnswer,
    TraceTask,
    WorkerAnswer,
    past_limit,
)
from moonlatch.builds.places import Places, PoolBusyError
from moonlatch.builds.process import WorkerDiedError, WorkerProcess
from moonlatch.config.sections import ProtectorSettings

_NO_ANSWER = "the worker process answered something else"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Meter:
    """For how long worker processes were busy with something."""

    seconds: float = 0.0


class WorkerPool:
    """At most `settings.workers` processes, started when first needed and kept. Belongs to one event loop."""

    def __init__(self, settings: ProtectorSettings) -> None:
        self._settings = settings
        self.size = settings.workers
        self._places = Places(settings.workers + settings.max_waiting)
        self._turns = asyncio.Semaphore(settings.workers)
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._closed = False
        self._has_said_what_confines = False

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that run now, busy ones first."""
        return [worker.pid for worker in (*self._busy, *self._idle) if worker.is_alive]

    @property
    def admitted(self) -> int:
        """Updates that work or wait for a worker now."""
        return self._places.taken

    def admission(self, owner: str) -> AbstractContextManager[None]:
        """A place among those who work or wait, for the duration of the block.

        Raises PoolBusyError when all are taken, or half of them by this owner.
        """
        return self._places.admission(owner)

    async def answer_to(
        self, job: Task, *, deadline: float, meter: Meter | None = None, most_seconds: float | None = None
    ) -> WorkerAnswer:
        """Have a text protected or looked through. `deadline` is in the event loop's time; `meter` counts what a worker spends on it, also in vain.

        Raises PoolBusyError when no worker is free before it. A job that passes a limit gives a `Failed` naming it;
        `most_seconds` is one of its own, below that of all.
        """
        answer = await self._answer_to(job, deadline, meter, most_seconds)
        return _failure(_NO_ANSWER) if isinstance(answer, LeakRead | Scored | RunKeysFound) else answer

    async def traced(
        self, job: TraceTask, *, deadline: float, meter: Meter | None = None, most_seconds: float | None = None
    ) -> TraceAnswer:
        """As `answer_to`, of a leak."""
        answer = await self._answer_to(job, deadline, meter, most_seconds)
        return _failure(_NO_ANSWER) if isinstance(answer, Done) else answer

    async def _answer_to(
        self, job: Task, deadline: float, meter: Meter | None, most_seconds: float | None
    ) -> WorkerAnswer | TraceAnswer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError:
            raise PoolBusyError from None
        try:
            began = loop.time()
            left = deadline - began
            if left <= 0:
                raise PoolBusyError
            try:
                return await self._done(job, min(self._settings.timeout_seconds, left, most_seconds or left))
            finally:
                if meter is not None:
                    meter.seconds += loop.time() - began
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Kill every worker; jobs under way fail. Further jobs fail at once."""
        self._closed = True
        await asyncio.gather(*(worker.kill() for worker in (*self._busy, *self._idle)))
        self._idle.clear()

    async def _done(self, job: Task, seconds: float) -> WorkerAnswer | TraceAnswer:
        try:
            worker = await self._take()
        except (WorkerDiedError, OSError) as error:
            logger.exception("no worker process could be started")
            return _failure(f"no worker process could be started: {error}")
        try:
            async with asyncio.timeout(seconds):
                return await worker.answer_to(job)
        except TimeoutError:
            await worker.kill()
            logger.warning("a script took longer than %.3g s; worker %d was killed", seconds, worker.pid)
            return past_limit(
                job, f"the script took longer than the {seconds:.3g} s it may take", "protector.timeout_seconds"
            )
        except WorkerDiedError as error:
            await worker.kill()
            logger.warning("worker %d failed: %s", worker.pid, error)
            return _failure(f"{error} while it worked on the script")
        except BaseException:
            await worker.kill()
            raise
        finally:
            self._give_back(worker)

    async def _take(self) -> WorkerProcess:
        while self._idle and not self._closed:
            worker = self._idle.pop()
            if worker.is_alive:
                self._busy.add(worker)
                return worker
        if self._closed:
            raise WorkerDiedError("the server is stopping")
        worker = await WorkerProcess.start(self._settings.memory_mib)
        if self._closed:  # meanwhile
            await worker.kill()
            raise WorkerDiedError("the server is stopping")
        self._say_what_confines(worker.confinement)
        self._busy.add(worker)
        return worker

    def _say_what_confines(self, confinement: Confinement) -> None:
        if self._has_said_what_confines:
            return
        self._has_said_what_confines = True
        if confinement.missing:
            logger.warning(
                "worker processes are confined by %s; this system does not give them %s",
                confinement.holds,
                confinement.missing,
            )
        else:
            logger.info("worker processes are confined by %s", confinement.holds)

    def _give_back(self, worker: WorkerProcess) -> None:
        self._busy.discard(worker)
        if worker.is_alive and not self._closed:
            self._idle.append(worker)


def _failure(message: str) -> Failed:
    return Failed(faults=[Fault("script", message)])
