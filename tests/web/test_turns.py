"""Turns of the event loop: much work at once is done step by step, and whoever is not part of it goes on in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from moonlatch.web.turns import Turns

STEP_SECONDS = 0.004
WORKERS, STEPS = 20, 3
LITTLE = 1e-9
"""So few seconds of a turn that each has room for one step."""


async def laborious(done: list[int], number: int) -> int:
    for _ in range(STEPS):
        time.sleep(STEP_SECONDS)
        done.append(number)
        await asyncio.sleep(0)
    return number


async def most_steps_in_a_turn(works: list[Awaitable[int]], done: list[int]) -> int:
    """How many steps were done at most between two turns of somebody else's."""
    working = asyncio.gather(*works)
    most = 0
    while not working.done():
        before = len(done)
        await asyncio.sleep(0)
        most = max(most, len(done) - before)
    assert await working == list(range(WORKERS))
    return most


async def test_others_go_on_between_the_steps_of_many() -> None:
    done: list[int] = []
    turns = Turns(seconds=STEP_SECONDS)
    assert await most_steps_in_a_turn([turns.paced(laborious(done, one), "ann") for one in range(WORKERS)], done) <= 2
    assert len(done) == WORKERS * STEPS
    assert await most_steps_in_a_turn([laborious(done, one) for one in range(WORKERS)], done) == WORKERS


async def test_whoever_waited_longest_goes_first() -> None:
    done: list[int] = []
    turns = Turns(seconds=STEP_SECONDS)
    await asyncio.gather(*(turns.paced(laborious(done, one), "ann") for one in range(WORKERS)))
    assert done[:WORKERS] == list(range(WORKERS))


async def test_whoever_has_much_to_do_leaves_turns_to_others() -> None:
    done: list[int] = []
    turns = Turns(seconds=STEP_SECONDS)
    many = [asyncio.create_task(_paced(turns, laborious(done, one))) for one in range(WORKERS)]
    await asyncio.sleep(0)
    before = len(done)
    await turns.paced(laborious(done, WORKERS), "bob")
    # Between two of his steps each of the others' accounts has one or two, however many it waits with.
    assert len(done) - before <= 4 * STEPS
    await asyncio.gather(*many)
    assert turns._rounds == {}


async def test_what_comes_of_a_step_is_what_comes_of_the_work() -> None:
    turns = Turns()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def asking() -> str:
        try:
            await failing()
        except LookupError:
            return await asyncio.to_thread(str, 1)
        return ""

    assert await turns.paced(asking(), "ann") == "1"
    with pytest.raises(LookupError):
        await turns.paced(failing(), "ann")


@pytest.mark.parametrize("is_busy", [False, True], ids=["while it waits for something", "while it waits for its turn"])
async def test_work_that_is_given_up_hears_of_it(is_busy: bool) -> None:
    turns = Turns(seconds=LITTLE if is_busy else 1)
    heard: list[str] = []

    async def endless() -> None:
        try:
            while True:
                await asyncio.sleep(0 if is_busy else 10)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await turns.paced(endless(), "ann")
    assert heard == ["cancelled"]
    assert await turns.paced(asyncio.sleep(0, "goes on"), "ann") == "goes on"


async def test_those_who_are_given_up_hold_nobody_up() -> None:
    turns = Turns(seconds=LITTLE)
    waiting = [asyncio.create_task(_paced(turns, asyncio.sleep(10))) for _ in range(30)]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    async with asyncio.timeout(5):
        assert await turns.paced(asyncio.sleep(0, "goes on"), "ann") == "goes on"
    assert (turns._waiting, turns._woken) == ([], 0)


async def _paced(turns: Turns, work: Awaitable[Any]) -> None:
    await turns.paced(work, "ann")
