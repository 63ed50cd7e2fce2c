"""A periodic job goes on after a failure and stops when it is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from moonlatch.jobs.periodic import run_periodically


async def run_until_third(job: Callable[[], Awaitable[None]], third: asyncio.Event) -> asyncio.Task[None]:
    task = asyncio.create_task(run_periodically("counting", job, every_seconds=0.001))
    await asyncio.wait_for(third.wait(), 60)
    return task


async def test_a_failing_job_is_logged_and_runs_again(caplog: pytest.LogCaptureFixture):
    runs = 0
    third = asyncio.Event()

    async def job() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()
        raise ValueError(f"run {runs}")

    task = await run_until_third(job, third)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert "counting failed; the next attempt is in 0.001 s" in caplog.text
    assert "ValueError: run 1" in caplog.text


async def test_runs_never_overlap():
    running = 0
    most = 0
    runs = 0
    third = asyncio.Event()

    async def job() -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        runs += 1
        if runs == 3:
            third.set()

    task = await run_until_third(job, third)
    task.cancel()
    await asyncio.wait([task])

    assert most == 1


async def test_a_job_that_is_cancelled_in_the_middle_ends():
    entered = asyncio.Event()

    async def job() -> None:
        entered.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(run_periodically("sleeping", job, every_seconds=60))
    await asyncio.wait_for(entered.wait(), 60)
    task.cancel()
    await asyncio.wait([task], timeout=60)

    assert task.cancelled()
