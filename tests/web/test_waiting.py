"""The small queue and gate of a connection do what asyncio's do."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.web.waiting import Gate, Mailbox


async def test_a_mailbox_gives_what_was_put_in_order_and_waits_when_it_is_empty() -> None:
    box = Mailbox()
    box.put_nowait(1)
    box.put_nowait(2)
    assert [await box.get(), await box.get(), box.empty()] == [1, 2, True]
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.put_nowait(3)
    assert await waiting == 3


async def test_a_reader_that_is_cancelled_takes_nothing() -> None:
    box = Mailbox()
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    box.put_nowait("kept")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await box.get() == "kept"


async def test_a_gate_lets_all_through_when_it_opens_and_none_while_it_is_closed() -> None:
    gate = Gate()
    await gate.wait()
    gate.clear()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert [one.done() for one in waiting[1:]] == [False, False]
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert gate.is_set()
