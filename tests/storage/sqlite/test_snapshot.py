"""The reads of one turn of the event loop: what they see together, and that nothing of them stays behind."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from moonlatch.storage.interface import Query, StorageError
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.accounts import account_ids, add_account
from support.database import database

__all__ = ["database"]

BROKEN = Query("test.broken", "select missing from nowhere")


def add_beside(path: Path, name: str) -> None:
    """Commit an account over a connection of its own, as another process does."""
    other = sqlite3.connect(path / "moonlatch.db", isolation_level=None)
    other.execute(
        "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values (?, ?, 'free', 1, 1)",
        (name, name),
    )
    other.close()


def unread_log_frames(path: Path) -> int:
    """Frames of the write-ahead log that a reader keeps from being folded into the file."""
    other = sqlite3.connect(path / "moonlatch.db", isolation_level=None)
    other.execute("pragma busy_timeout = 0")
    _, frames, folded = other.execute("pragma wal_checkpoint(passive)").fetchone()
    other.close()
    return int(frames - folded)


async def test_the_reads_of_one_turn_see_one_state(database: SqliteDatabase, tmp_path: Path):
    before = await account_ids(database)
    add_beside(tmp_path, "ann")

    assert await account_ids(database) == before == []


async def test_commits_of_others_are_seen_by_the_next_turn(database: SqliteDatabase, tmp_path: Path):
    for number in range(20):
        assert len(await account_ids(database)) == number
        add_beside(tmp_path, f"{number:02}")
        await asyncio.sleep(0)


async def test_whoever_waited_for_a_commit_reads_it(database: SqliteDatabase):
    async def write_and_read(name: str) -> bool:
        await account_ids(database)
        await add_account(database, name)
        return name in await account_ids(database)

    async def read_all_the_time() -> None:
        while True:
            await account_ids(database)
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read_all_the_time()) for _ in range(5)]
    outcomes = []
    for round_ in range(20):
        outcomes += await asyncio.gather(*(write_and_read(f"{round_}/{number}") for number in range(10)))
    for reader in readers:
        reader.cancel()

    assert outcomes == [True] * 200


async def test_whoever_is_called_by_another_thread_reads_what_it_committed(database: SqliteDatabase, tmp_path: Path):
    for number in range(50):
        await account_ids(database)
        await asyncio.to_thread(add_beside, tmp_path, f"{number:02}")

        assert len(await account_ids(database)) == number + 1


async def test_no_snapshot_is_held_while_the_loop_waits(database: SqliteDatabase, tmp_path: Path):
    await account_ids(database)
    await asyncio.to_thread(add_beside, tmp_path, "ann")
    await account_ids(database)
    await asyncio.sleep(0)

    assert await asyncio.to_thread(unread_log_frames, tmp_path) == 0


async def test_a_failed_read_leaves_nothing_behind(database: SqliteDatabase, tmp_path: Path):
    with pytest.raises(StorageError, match="nowhere"):
        await database.fetch_one(BROKEN)
    with pytest.raises(StorageError, match="nowhere"):
        await database.fetch_all(BROKEN)
    await add_account(database, "ann")
    assert await account_ids(database) == ["ann"]
    await asyncio.sleep(0)

    assert await asyncio.to_thread(unread_log_frames, tmp_path) == 0


async def test_closing_in_the_turn_of_a_read_lets_its_snapshot_go(database: SqliteDatabase, tmp_path: Path):
    await add_account(database, "ann")
    assert await account_ids(database) == ["ann"]

    await database.close()

    assert [entry.name for entry in tmp_path.iterdir()] == ["moonlatch.db"]
    with pytest.raises(StorageError, match="closed"):
        await account_ids(database)


async def test_what_many_ask_is_read_once_a_turn_and_anew_in_the_next(database: SqliteDatabase):
    shared = Query("test.shared", "select count(*) from accounts where id <> :other", shared=True)

    async def counted(other: str) -> int:
        row = await database.fetch_one(shared, other=other)
        return row[0]

    assert [await counted("x"), await counted("x"), await counted("ann")] == [0, 0, 0]
    await add_account(database, "ann")
    assert [await counted("x"), await counted("ann")] == [1, 0]
