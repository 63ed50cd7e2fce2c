"""Leaks that are read for several accounts at once: one at a time, in turns, and with rests for who has many."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.builds import leaks
from moonlatch.builds.job import Scored, ScoreHolders
from moonlatch.builds.leaks import LeakReader
from moonlatch.builds.pool import PoolBusyError, WorkerPool

PATIENCE_SECONDS = 600.0
SCORE = ScoreHolders(secret=bytes(32), read=[1] * 512, holders=[f"holder {number}" for number in range(200)], most=1)


def later() -> float:
    return asyncio.get_running_loop().time() + PATIENCE_SECONDS


async def trace(reader: LeakReader, account: str, order: list[str], tasks: int = 1) -> None:
    async with reader.turn(account, deadline=later()) as meter:
        for _ in range(tasks):
            assert isinstance(await reader.traced(SCORE, meter, deadline=later()), Scored)
            order.append(account)


async def test_who_traces_much_has_others_wait_for_one_task(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "RESTS", 0)
    reader, order = LeakReader(workers), list[str]()
    many = [asyncio.create_task(trace(reader, "many", order, tasks=3)) for _ in range(4)]
    await asyncio.sleep(0)
    await trace(reader, "one", order)
    assert order.index("one") <= 2, "behind what is under way, and at most one that came first"
    await asyncio.gather(*many)
    assert order.count("many") == 12
    assert len(workers.process_ids) == 1


async def test_after_a_trace_its_account_rests_and_others_do_not(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, order = LeakReader(workers), list[str]()
    await trace(reader, "a", order)
    await trace(reader, "a", order)  # waits for its rest
    monkeypatch.setattr(leaks, "RESTS", 1_000_000_000)
    await trace(reader, "b", order)
    with pytest.raises(PoolBusyError):
        await trace(reader, "b", order)
    await trace(reader, "c", order)


async def test_who_has_waited_too_long_to_end_in_time_does_not_begin(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = LeakReader(workers)
    async with reader.turn("a", deadline=later()):
        monkeypatch.setattr(leaks, "MOST_WAITING_SECONDS", 0.01)
        with pytest.raises(PoolBusyError):
            await trace(reader, "a", [])
        await trace(reader, "b", [])


async def test_one_account_cannot_take_every_place(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "RESTS", 0)
    reader, order = LeakReader(workers), list[str]()
    asked = [asyncio.create_task(trace(reader, "many", order)) for _ in range(20)]
    asked += [asyncio.create_task(trace(reader, "one", order))]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, PoolBusyError) for answer in answers) == 12
    assert answers[-1] is None
