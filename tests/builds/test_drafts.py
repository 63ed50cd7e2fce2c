"""Scripts looked through while they are written: what an update would say of them, within bounds of their own."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.builds import drafts
from moonlatch.builds.drafts import DraftReader
from moonlatch.builds.job import Done, Draft, Failed, Invalid, WorkerAnswer
from moonlatch.builds.pool import PoolBusyError, WorkerPool

LARGE = b"local t = {}\n" + b"t[1] = t[2] + (t.x or 4) * 2 - t[3]\n" * 14_000  # 500 kB


async def look(reader: DraftReader, source: bytes, account: str = "a", target: str | None = None) -> WorkerAnswer:
    draft = Draft(source=source, profile="maximum", target=target, keeps_macros=False)
    return await reader.look_through(draft, account)


async def test_a_draft_is_answered_without_a_text(workers: WorkerPool) -> None:
    reader = DraftReader(workers)
    assert await look(reader, b"local x: number = 1\nx += 1") == Done(text=b"", warnings=[])
    broken = await look(reader, b"local x = = 1", "b")
    assert isinstance(broken, Invalid)
    assert broken.parser_output.startswith("script:1: ")
    assert isinstance(await look(reader, b"x += 1", "c", "lua51"), Done)
    assert isinstance(await look(reader, b"local n = 12345i", "d", "lua51"), Invalid)


async def test_after_a_draft_its_account_rests_and_others_do_not(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = DraftReader(workers)
    await look(reader, b"print(1)")
    await look(reader, b"print(1)")  # waits for its rest
    monkeypatch.setattr(drafts, "RESTS", 1_000_000)
    await look(reader, b"print(1)", "b")
    with pytest.raises(PoolBusyError):
        await look(reader, b"print(1)", "b")
    assert isinstance(await look(reader, b"print(1)", "c"), Done)


async def test_drafts_leave_the_other_workers_to_updates(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "WAIT_SECONDS", 600)  # on a busy machine four of them take longer than one may wait
    monkeypatch.setattr(drafts, "MOST_SECONDS", 600)
    reader = DraftReader(workers)
    answers = await asyncio.gather(*(look(reader, LARGE, str(number)) for number in range(4)))
    assert all(isinstance(answer, Done) for answer in answers)
    assert len(workers.process_ids) == 1


async def test_a_draft_that_takes_too_long_is_given_up_by_name(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = DraftReader(workers)
    await look(reader, b"print(1)", "warm")
    with monkeypatch.context() as patch:
        patch.setattr(drafts, "MOST_SECONDS", 0.01)
        answer = await look(reader, LARGE)
    assert isinstance(answer, Failed)
    assert "to be looked through while it is written" in answer.faults[0].message
    assert isinstance(await look(reader, b"print(1)", "b"), Done)


async def test_one_account_cannot_take_every_place(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "RESTS", 0)
    reader = DraftReader(workers)
    asked = [asyncio.create_task(look(reader, b"print(1)")) for _ in range(40)]
    asked += [asyncio.create_task(look(reader, b"print(1)", "b"))]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, PoolBusyError) for answer in answers) == 24
    assert isinstance(answers[-1], Done)
