"""The directory that all processes share, in Redis: operations of `redis_directory.lua`, many in one round trip, none past its deadline.

It knows how to ask and whether Redis can be asked; what the operations mean is for those who ask. Importing it raises
MissingExtraError where the client library is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from importlib import resources
from typing import Any

import msgspec

from moonlatch.extras import needing
from moonlatch.live.interface import LiveUnavailableError

with needing("redis"):
    from redis.asyncio.connection import AbstractConnection, ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, RedisError

MAX_BATCH = 256
"""Operations per round trip; while they are done, Redis does nothing else."""

MAX_WAITING = 20_000
"""Operations that may wait; above, Redis is the bottleneck and waiting longer helps nobody."""

_READ_AT_ONCE = 200
_FAILURES = (RedisError, OSError, TimeoutError)
_SCRIPT = resources.files("moonlatch.live").joinpath("redis_directory.lua").read_text("utf-8")

Operation = tuple[Any, ...]
Entry = dict[bytes, bytes]

_encode = msgspec.msgpack.Encoder().encode
logger = logging.getLogger(__name__)


class RedisDirectory:
    """One process's way to Redis. Belongs to one event loop.

    All that is asked while a batch is under way goes with the next one. When a batch fails, so does everything that waits,
    and until `connect` has succeeded again every further question, at once.
    """

    def __init__(self, url: str, prefix: str, deadline_seconds: float) -> None:
        self._url = url
        self.prefix = prefix
        self._deadline_seconds = deadline_seconds
        self._asking: AbstractConnection | None = None
        self._reading: AbstractConnection | None = None
        self._script = ""
        self._waiting: list[tuple[Operation, asyncio.Future[Any]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self.failed = asyncio.Event()
        """Set while Redis cannot be asked."""
        self.failed.set()

    @property
    def is_up(self) -> bool:
        return not self.failed.is_set()

    def ask(self, name: str, *arguments: Any) -> asyncio.Future[Any]:
        """Have an operation done; the future is a plain one, for callers without a task. Raises LiveUnavailableError."""
        if self.failed.is_set() or len(self._waiting) >= MAX_WAITING:
            raise LiveUnavailableError
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(((name, *arguments), future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return future

    def tell(self, name: str, *arguments: Any) -> bool:
        """Have an operation done without waiting for it; False when it certainly is not."""
        try:
            self.ask(name, *arguments).add_done_callback(_ignore_outcome)
        except LiveUnavailableError:
            return False
        return True

    async def connect(self) -> None:
        """Open both connections anew. Raises LiveUnavailableError, with its cause as the message."""
        await self.close()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                self._asking, self._reading = self._connection(), self._connection()
                for connection in (self._asking, self._reading):
                    await connection.connect()  # type: ignore[no-untyped-call]
                self._script = (await _said(self._asking, "SCRIPT", "LOAD", _SCRIPT)).decode()
        except _FAILURES as error:
            await self.close()
            raise LiveUnavailableError(_reason(error)) from error
        self.failed.clear()

    async def read(self, positions: dict[str, str], block_ms: int) -> list[tuple[str, list[tuple[str, Entry]]]]:
        """New entries of streams (names without the prefix) behind these ids, at most after `block_ms`.

        Raises LiveUnavailableError.
        """
        streams = {self.prefix + name: position for name, position in positions.items()}
        try:
            async with asyncio.timeout(block_ms / 1000 + self._deadline_seconds):
                found = await _said(
                    self._reading,
                    *("XREAD", "COUNT", _READ_AT_ONCE, "BLOCK", block_ms, "STREAMS"),
                    *(*streams, *streams.values()),
                )
        except _FAILURES as error:
            await self._fail(error)
            raise LiveUnavailableError(_reason(error)) from error
        return [(name.decode().removeprefix(self.prefix), _entries(entries)) for name, entries in found or []]

    async def close(self) -> None:
        """Hang up; further questions are refused until `connect`."""
        self.failed.set()
        self._refuse(self._waiting)
        connections, self._asking, self._reading = (self._asking, self._reading), None, None
        for connection in connections:
            if connection is not None:
                with contextlib.suppress(*_FAILURES):
                    await connection.disconnect(nowait=True)

    async def settle(self) -> None:
        """Wait until everything told so far is done or has failed."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})

    def _connection(self) -> AbstractConnection:
        pool = ConnectionPool.from_url(
            self._url,
            protocol=2,
            # Ours bound every call; the library's own would end a read that blocks on purpose.
            socket_timeout=None,
            socket_connect_timeout=None,
            # Whether a batch was done before its connection broke is not known: nobody repeats it.
            retry=Retry(NoBackoff(), 0),
        )
        made: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    replies = await self._done([operation for operation, _ in batch])
                except _FAILURES as error:
                    self.failed.set()
                    self._refuse(batch)
                    await self._fail(error)
                    return
                for (_, future), reply in zip(batch, replies, strict=True):
                    _settle(future, reply)
        finally:
            self._flushing = None

    async def _done(self, operations: list[Operation]) -> list[Any]:
        async with asyncio.timeout(self._deadline_seconds):
            replies: list[Any] = await _said(self._asking, "EVALSHA", self._script, 0, self.prefix, _encode(operations))
        return replies

    async def _fail(self, error: BaseException) -> None:
        if self._asking is not None:
            logger.warning("Redis does not answer (%s); sessions of other processes are out of sight", _reason(error))
        await self.close()

    def _refuse(self, waiting: list[tuple[Operation, asyncio.Future[Any]]]) -> None:
        refused = list(waiting)
        waiting.clear()
        for _, future in refused:
            if not future.done():
                future.set_exception(LiveUnavailableError())


async def _said(connection: AbstractConnection | None, *words: Any) -> Any:
    """The answer to one command."""
    if connection is None:
        raise ConnectionError
    await connection.send_command(*words)
    return await connection.read_response()


def _entries(found: list[tuple[bytes, list[bytes]]]) -> list[tuple[str, Entry]]:
    return [(identity.decode(), dict(zip(fields[::2], fields[1::2], strict=True))) for identity, fields in found]


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if isinstance(reply, Exception):
        logger.error("an operation of the directory failed: %s", reply)
        reply = LiveUnavailableError()
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _ignore_outcome(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _reason(error: BaseException) -> str:
    # Never the text: a library may quote the address, and with it the password.
    if isinstance(error, AuthenticationError):
        return "it refuses the user or password of the setting redis_url"
    return type(error).__name__
