"""A future whose result is heard in the turn in which it is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Promise(asyncio.Future[T]):
    """A future that may be told whom to call at once.

    `asyncio.Future` has the loop call whoever waits in its next turn, which takes three times as long as setting the
    result. Whoever drives a coroutine without a task need not wait for that turn; a task must, and does.
    """

    __slots__ = ("_hear",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._hear: Callable[[asyncio.Future[Any]], object] | None = None

    def call_at_once(self, hear: Callable[[asyncio.Future[Any]], object]) -> None:
        """Have `hear` called by `set_result` and `set_exception` themselves."""
        self._hear = hear

    def set_result(self, result: T, /) -> None:
        super().set_result(result)
        if self._hear is not None:
            self._tell(self._hear)

    def set_exception(self, exception: type | BaseException, /) -> None:
        super().set_exception(exception)
        if self._hear is not None:
            self._tell(self._hear)

    def _tell(self, hear: Callable[[asyncio.Future[Any]], object]) -> None:
        self._hear = None
        try:
            hear(self)
        except Exception as error:
            # As the loop does: whoever sets a result does not suffer from what others make of it.
            self.get_loop().call_exception_handler(
                {"message": "a promise's listener failed", "exception": error, "future": self}
            )
