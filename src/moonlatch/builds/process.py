"""One worker process as seen from the server: start it, give it a job, kill it. Keeps nothing between jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from moonlatch.builds.confinement import Confinement
from moonlatch.builds.job import LENGTH_BYTES, Task, TraceAnswer, WorkerAnswer, answer_of, frame, frame_length, ready_of

START_SECONDS = 30.0
_BUFFER_BYTES = 1024 * 1024
# Where Python and its packages are found; nothing that might be a secret of the server's.
_INHERITED = ("PATH", "LANG", "LC_", "PYTHON", "LD_LIBRARY_PATH")


class WorkerDiedError(Exception):
    """The process ended, or said what no worker says, instead of answering. The message tells people how."""


class WorkerProcess:
    """A running worker, and what confines it. After any error it is of no use: kill it."""

    confinement: Confinement

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, memory_mib: int) -> WorkerProcess:
        """Start one and wait until it is ready. Raises WorkerDiedError."""
        process = await asyncio.create_subprocess_exec(
            # -P: what lies in the current folder is not imported.
            *(sys.executable, "-P", "-m", "moonlatch.builds.fork_server", str(memory_mib), str(os.getpid())),
            stdin=PIPE,
            stdout=PIPE,
            limit=_BUFFER_BYTES,
            env={name: value for name, value in os.environ.items() if name.startswith(_INHERITED)},
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                worker.confinement = ready_of(await worker._read())
        except TimeoutError:
            await worker.kill()
            raise WorkerDiedError(f"a worker process did not start within {START_SECONDS:g} s") from None
        except (ValueError, msgspec.MsgspecError):
            await worker.kill()
            raise WorkerDiedError("the worker process did not say that it is ready") from None
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def answer_to(self, job: Task) -> WorkerAnswer | TraceAnswer:
        """Send a job and wait for its answer, as long as it takes. Raises WorkerDiedError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame(job))
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._death() from None
        try:
            return answer_of(await self._read())
        except (ValueError, msgspec.MsgspecError):
            raise WorkerDiedError("the worker process gave no proper answer") from None

    async def kill(self) -> None:
        """End it at once, whatever it does, and wait until it is gone."""
        if self.is_alive:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
        # Shielded, so that a cancelled caller leaves no zombie behind.
        await asyncio.shield(self._process.wait())

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        try:
            head = await self._process.stdout.readexactly(LENGTH_BYTES)
            return await self._process.stdout.readexactly(frame_length(head))
        except asyncio.IncompleteReadError:
            raise await self._death() from None

    async def _death(self) -> WorkerDiedError:
        status = await self._process.wait()
        how = f"ended with status {status}" if status >= 0 else f"was killed by signal {_signal_name(-status)}"
        return WorkerDiedError(f"the worker process {how}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
