"""Messages to a script's handlers that wait for their answers. Knows no socket."""

from __future__ import annotations

import asyncio

import msgspec

from moonlatch.client.wire import MessageReply
from moonlatch.json_bounds import decode_finite, has_too_many_values, is_too_deep
from moonlatch.live.interface import NEVER_RESPONDED, MessageOutcome

_INVALID_RETURN = MessageOutcome(processed=False, reason="invalid return data")
_NO_HANDLER = MessageOutcome(processed=False, reason="function doesnt exist")
_MAX_ERROR_CHARACTERS = 4_096


class Calls:
    """The calls of one session, numbered from 1."""

    __slots__ = ("_late", "_next_id", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[MessageOutcome]] = {}
        self._next_id = 1
        self._late = 0

    def begin(self) -> tuple[int, asyncio.Future[MessageOutcome]]:
        """A fresh id, and the future its answer settles."""
        call_id = self._next_id
        self._next_id += 1
        future: asyncio.Future[MessageOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        return call_id, future

    def give_up(self, call_id: int) -> None:
        """Nobody waits for this answer any more; it may still come."""
        if self._waiting.pop(call_id, None) is not None:
            self._late += 1

    def answer(self, reply: MessageReply) -> bool:
        """Settle the call that this answers; False when it answers none that was ever made."""
        future = self._waiting.pop(reply.id, None)
        if future is None:
            self._late -= 1
            return self._late >= 0
        if not future.done():
            future.set_result(outcome_of(reply))
        return True

    def end(self) -> None:
        """The session is over: nobody will answer."""
        for future in self._waiting.values():
            if not future.done():
                future.set_result(NEVER_RESPONDED)
        self._waiting.clear()


def outcome_of(reply: MessageReply) -> MessageOutcome:
    """What the sender of a message is told about this reply."""
    if reply.status == "missing":
        return _NO_HANDLER
    if reply.status == "errored":
        message = str(reply.message)[:_MAX_ERROR_CHARACTERS]
        return MessageOutcome(processed=False, reason=f"function errored, message: {message}")
    if not isinstance(reply.data, msgspec.Raw):
        return _INVALID_RETURN
    raw = bytes(reply.data)
    if has_too_many_values(raw):
        return _INVALID_RETURN
    try:
        data = decode_finite(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _INVALID_RETURN
    if not (data is None or isinstance(data, dict | list)) or is_too_deep(data):
        return _INVALID_RETURN
    return MessageOutcome(processed=True, response=data)
