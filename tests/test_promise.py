"""A promise: an ordinary future to tasks, and heard at once by whoever drives a coroutine by hand."""

import asyncio
from typing import Any

import pytest

from moonlatch.promise import Promise


async def test_who_asked_to_hears_of_the_result_before_the_next_line() -> None:
    promise: Promise[int] = Promise(asyncio.get_running_loop())
    heard: list[int] = []
    promise.call_at_once(lambda future: heard.append(future.result()))

    promise.set_result(7)

    assert heard == [7]


async def test_who_asked_to_hears_of_a_failure_too() -> None:
    promise: Promise[int] = Promise(asyncio.get_running_loop())
    heard: list[Any] = []
    promise.call_at_once(lambda future: heard.append(future.exception()))

    promise.set_exception(failure := ValueError("no"))

    assert heard == [failure]


async def test_tasks_await_it_as_any_future() -> None:
    promise: Promise[int] = Promise(asyncio.get_running_loop())

    async def wait() -> int:
        return await promise

    waiting = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    promise.set_result(7)
    assert await asyncio.gather(*waiting, promise) == [7, 7, 7, 7]

    failed: Promise[int] = Promise(asyncio.get_running_loop())
    failed.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await failed


async def test_a_listener_that_fails_harms_nobody_and_is_told_of() -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    promise: Promise[int] = Promise(loop)
    promise.call_at_once(lambda _: 1 // 0)

    promise.set_result(7)

    assert await promise == 7
    assert isinstance(told[0]["exception"], ZeroDivisionError)
