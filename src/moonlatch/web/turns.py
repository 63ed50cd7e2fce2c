"""Shares the event loop's turns out, so that much work of one kind at once makes nobody else wait for all of it. Knows no protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from moonlatch.clock import monotonic_seconds

T = TypeVar("T")

SECONDS_OF_A_TURN = 0.005
"""What all that is paced may take of one turn of the loop; a step that was begun is finished."""

_WOKEN_AT_ONCE = 64


class Turns:
    """Lets work go on, step by step, while there is time left in this turn of the loop; the rest goes on in a later one.

    Of those who wait each has one step in turn, with what they asked for first. A step is what is done from one await to the next. Belongs to one event loop.
    """

    def __init__(self, seconds: float = SECONDS_OF_A_TURN) -> None:
        self._seconds = seconds
        self._used = 0.0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap, by the round in which a step is to be taken, and in that by who came first."""
        self._round = 0
        self._rounds: dict[str, int] = {}
        """Of everybody's latest step that had to wait."""
        self._woken = 0
        """Those who were told to go on and have not yet; nobody who comes now goes before them."""
        self._next_number = 0
        self._is_due = False

    def paced(self, work: Awaitable[T], whose: str) -> Paced[T]:
        """Return what is awaited in place of somebody's work, whose steps wait for their turns."""
        return Paced(self, work, whose)

    def room(self, whose: str) -> Generator[Any, Any, None]:
        """Wait until there is time for a step of somebody's."""
        if not self._waiting and not self._woken and self._used < self._seconds:
            return
        loop = asyncio.get_running_loop()
        number, self._next_number = self._next_number, self._next_number + 1
        in_round = self._rounds[whose] = max(self._round, self._rounds.get(whose, 0)) + 1
        is_first = True
        while is_first or self._used >= self._seconds:
            is_first = False
            turn = loop.create_future()
            heappush(self._waiting, (in_round, number, turn))
            self._expect_next(loop)
            try:
                yield from turn
            finally:
                self._woken -= turn.done() and not turn.cancelled()
        self._round = max(self._round, in_round)
        if not self._waiting and not self._woken:
            self._rounds.clear()

    def note(self, seconds: float) -> None:
        """A step took so long."""
        self._used += seconds
        self._expect_next(asyncio.get_running_loop())

    def _expect_next(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Another turn of the loop."""
        self._is_due = False
        self._used = 0.0
        for _ in range(min(_WOKEN_AT_ONCE, len(self._waiting))):
            _, _, turn = heappop(self._waiting)
            if not turn.done():  # else its caller was cancelled
                turn.set_result(None)
                self._woken += 1
        if self._waiting:
            self._expect_next(loop)


class Paced(Generic[T]):
    """Work on its way, one step after the other. Awaited once."""

    __slots__ = ("_turns", "_whose", "_work")

    def __init__(self, turns: Turns, work: Awaitable[T], whose: str) -> None:
        self._turns = turns
        self._work = work
        self._whose = whose

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        answer: Any = None
        error: BaseException | None = None
        while True:
            if error is None:  # what is ended is not kept waiting
                try:
                    yield from self._turns.room(self._whose)
                except BaseException as raised:
                    error = raised
            began = monotonic_seconds()
            try:
                awaited = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as ended:
                result: T = ended.value
                return result
            finally:
                self._turns.note(monotonic_seconds() - began)
            answer = error = None
            try:
                answer = yield awaited
            except BaseException as raised:
                error = raised
