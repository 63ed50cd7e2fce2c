"""Messages to sessions of other processes: sent once per process however many sessions it holds, and matched with their answers.

It knows nothing of sockets; whoever holds the session makes the call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from moonlatch.live.interface import NEVER_RESPONDED, LiveUnavailableError, MessageOutcome
from moonlatch.live.redis_directory import RedisDirectory

AGAIN_SECONDS = 0.25
"""How long to wait before an answer is sent again that Redis did not take."""

logger = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True):
    """What the holder of a session is asked to call."""

    key: str
    data: Any
    timeout_seconds: float


class CallAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What became of the call with this number."""

    number: int
    outcome: MessageOutcome


# As `json_bounds.decode` for what has a shape around it: what is called for, and answered, may be any JSON.
_request = msgspec.json.Decoder(Request, float_hook=float)
_answer = msgspec.json.Decoder(CallAnswer, float_hook=float)

_Group = tuple[str, int, float]
"""Calls that differ in their session alone: handler, identity of the data, time to wait."""


class RemoteCalls:
    """The calls this process waits for, numbered from 1."""

    def __init__(self, directory: RedisDirectory) -> None:
        self._directory = directory
        self._next = 1
        self._waiting: dict[int, asyncio.Future[MessageOutcome]] = {}
        self._asked: dict[int, str] = {}
        """By the process that is to answer."""
        self._groups: dict[_Group, tuple[Request, list[tuple[str, asyncio.Future[MessageOutcome]]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, caller: str, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        """Have a handler called and wait for its answer. Raises LiveUnavailableError: it may have been called all the same."""
        future: asyncio.Future[MessageOutcome] = asyncio.get_running_loop().create_future()
        group = (key, id(data), timeout_seconds)  # `data` lives as long as its group, so nothing else has its identity
        if group not in self._groups:
            self._groups[group] = Request(key, data, timeout_seconds), []
            task = asyncio.create_task(self._send(caller, group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._groups[group][1].append((session_id, future))
        try:
            async with asyncio.timeout(timeout_seconds):
                return await future
        except TimeoutError:
            return NEVER_RESPONDED

    def answered(self, body: bytes) -> None:
        """Take an answer; one that nobody waits for any more is fine."""
        answer = _answer.decode(body)
        self._asked.pop(answer.number, None)
        future = self._waiting.pop(answer.number, None)
        if future is not None and not future.done():
            future.set_result(answer.outcome)

    def give_up_except(self, up: Iterable[str]) -> None:
        """Nobody else will answer any more; a process' name may have changed behind its dot."""
        names = {_who(name) for name in up}
        for number in [number for number, process in self._asked.items() if _who(process) not in names]:
            del self._asked[number]
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_result(NEVER_RESPONDED)

    async def _send(self, caller: str, group: _Group) -> None:
        await asyncio.sleep(0)  # all that is called in this turn goes together
        request, calls = self._groups.pop(group)
        first = self._next
        self._next += len(calls)
        for number, (_, future) in enumerate(calls, start=first):
            self._waiting[number] = future
            future.add_done_callback(partial(self._forget, number))
        try:
            body = msgspec.json.encode(request).decode()
            processes = await self._directory.ask("call", caller, first, [session for session, _ in calls], body)
        except Exception as error:
            for _, future in calls:
                if not future.done():
                    future.set_exception(error)
            return
        for number, ((_, future), process) in enumerate(zip(calls, processes, strict=True), start=first):
            if process is None:
                if not future.done():
                    future.set_result(NEVER_RESPONDED)
            elif number in self._waiting:
                self._asked[number] = process.decode()

    def _forget(self, number: int, _future: asyncio.Future[MessageOutcome]) -> None:
        self._waiting.pop(number, None)
        self._asked.pop(number, None)


def request_of(body: bytes) -> Request:
    """What another process asks for."""
    return _request.decode(body)


async def answer_to(directory: RedisDirectory, caller: str, number: int, outcome: MessageOutcome, until: float) -> None:
    """Bring an answer to who asked; again and again until `until` (the loop's time) while Redis is away."""
    body = msgspec.json.encode(CallAnswer(number, outcome)).decode()
    while True:
        try:
            await directory.ask("reply", caller, body)
        except LiveUnavailableError:
            if asyncio.get_running_loop().time() > until:
                return
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return


def _who(process: str) -> str:
    return process.partition(".")[0]
