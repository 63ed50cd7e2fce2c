"""What is particular to the SQLite engine: its one writer thread, its file, and other processes beside it."""

import asyncio
import gc
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moonlatch.storage.interface import Query, StorageError, Transaction
from moonlatch.storage.sqlite.engine import SqliteDatabase, open_sqlite
from moonlatch.storage.sqlite.writer import LONG_SECONDS
from support.accounts import ACCOUNT_IDS, ADD_ACCOUNT, SET_USED, account_ids, add_account, used
from support.database import database, opened
from support.wal import commits_in_wal

__all__ = ["database"]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that take everything along however slow the machine is."""
    monkeypatch.setattr("moonlatch.storage.sqlite.writer.LONG_SECONDS", 60)


@contextmanager
def busy_writer(database: SqliteDatabase) -> Iterator[None]:
    """Keep the writer thread inside a unit, so that everything submitted meanwhile waits."""
    entered = threading.Event()
    release = threading.Event()

    async def wait(tx: Transaction) -> None:
        entered.set()
        release.wait(10)

    task = asyncio.ensure_future(database.run(wait))
    try:
        yield
    finally:
        asyncio.get_running_loop().call_soon(release.set)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


async def in_another_process(path: Path, statement: str) -> str:
    program = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n"
        "c.execute('pragma foreign_keys = on')\n"
        "print(c.execute(sys.argv[2]).fetchall())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), statement, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().strip()


async def test_the_file_is_flushed_at_every_commit(database: SqliteDatabase):
    async def pragmas(tx: Transaction) -> dict[str, object]:
        found = {}
        for name in ("synchronous", "journal_mode", "foreign_keys"):
            row = await tx.fetch_one(Query("test.pragma", f"pragma {name}"))
            found[name] = row[0]
        return found

    full = 2
    assert await database.run(pragmas) == {"synchronous": full, "journal_mode": "wal", "foreign_keys": 1}


async def test_only_the_owner_may_read_the_files(database: SqliteDatabase, tmp_path: Path):
    await add_account(database, "ann")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"moonlatch.db": 0o600, "moonlatch.db-wal": 0o600, "moonlatch.db-shm": 0o600}


@pytest.mark.usefixtures("patient")
async def test_writes_that_wait_together_are_committed_together(database: SqliteDatabase, tmp_path: Path):
    wal = tmp_path / "moonlatch.db-wal"
    before = commits_in_wal(wal)

    with busy_writer(database):
        await asyncio.sleep(0)
        writes = [asyncio.create_task(add_account(database, f"{number:03}")) for number in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)

    assert commits_in_wal(wal) - before == 1
    assert len(await account_ids(database)) == 100


@pytest.mark.usefixtures("patient")
async def test_a_batch_is_bounded(tmp_path: Path):
    database = await open_sqlite(tmp_path / "moonlatch.db", max_batch=10)
    wal = tmp_path / "moonlatch.db-wal"
    before = commits_in_wal(wal)

    with busy_writer(database):
        await asyncio.sleep(0)
        writes = [asyncio.create_task(add_account(database, f"{number:03}")) for number in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)

    # The busy unit may have taken nine along.
    assert 10 <= commits_in_wal(wal) - before <= 11
    await database.close()


async def test_a_full_queue_refuses_more_writes_and_recovers(tmp_path: Path):
    database = await open_sqlite(tmp_path / "moonlatch.db", max_waiting=5)

    with busy_writer(database):
        writes = [asyncio.create_task(add_account(database, f"{number}")) for number in range(10)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, StorageError)]
    assert len(refused) == 6  # the busy unit is the fifth that waits
    assert await account_ids(database) == ["0", "1", "2", "3"]
    await add_account(database, "later")
    await database.close()


async def test_a_caller_cancelled_before_its_turn_writes_nothing(database: SqliteDatabase):
    with busy_writer(database):
        await asyncio.sleep(0.01)
        cancelled = asyncio.create_task(add_account(database, "cancelled"))
        kept = asyncio.create_task(add_account(database, "kept"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
    await kept

    assert cancelled.cancelled()
    assert await account_ids(database) == ["kept"]


async def test_a_unit_that_awaits_something_else_is_refused_and_writes_nothing(database: SqliteDatabase):
    async def unit(tx: Transaction) -> None:
        await tx.execute(ADD_ACCOUNT, id="ann", name="ann")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="nothing but its transaction"):
        await database.run(unit)

    assert await account_ids(database) == []


async def test_a_unit_cannot_use_the_database_around_its_transaction(database: SqliteDatabase):
    async def read(tx: Transaction) -> None:
        await database.fetch_all(ACCOUNT_IDS)

    async def nest(tx: Transaction) -> None:
        await add_account(database, "ann")

    with pytest.raises(StorageError, match="thread"):
        await database.run(read)
    with pytest.raises(RuntimeError, match="event loop"):
        await database.run(nest)
    await add_account(database, "bob")
    assert await account_ids(database) == ["bob"]


async def test_even_an_exit_raised_in_a_unit_reaches_its_caller_only(database: SqliteDatabase):
    class Odd(BaseException):
        pass

    async def unit(tx: Transaction) -> None:
        raise Odd

    with pytest.raises(Odd):
        await database.run(unit)
    await add_account(database, "ann")


async def test_commits_of_other_processes_are_seen_by_the_next_read(database: SqliteDatabase, tmp_path: Path):
    await add_account(database, "ann")
    await add_account(database, "bob")
    first = await database.fetch_one(ACCOUNT_IDS)  # leaves the second row unread

    await in_another_process(tmp_path / "moonlatch.db", "delete from accounts returning id")

    assert first["id"] == "ann"
    assert await account_ids(database) == []


async def test_a_write_waits_for_another_process_that_is_writing(database: SqliteDatabase, tmp_path: Path):
    other = sqlite3.connect(tmp_path / "moonlatch.db", isolation_level=None)
    other.execute("begin immediate")
    write = asyncio.create_task(add_account(database, "ann"))
    await asyncio.sleep(0.05)

    assert not write.done()
    assert await account_ids(database) == []  # reads do not wait

    other.execute("commit")
    other.close()
    await write
    assert await account_ids(database) == ["ann"]


async def test_the_loop_is_free_while_the_writer_is_busy(database: SqliteDatabase):
    with busy_writer(database):
        ticks = 0
        for _ in range(10):
            await asyncio.sleep(0.001)
            ticks += 1
            assert await account_ids(database) == []
    assert ticks == 10


async def test_closing_folds_the_log_into_the_file_and_may_be_repeated(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    database = await open_sqlite(path)
    await add_account(database, "ann")

    await asyncio.gather(database.close(), database.close())
    await database.close()

    assert [entry.name for entry in tmp_path.iterdir()] == ["moonlatch.db"]
    async with opened(path) as again:
        assert await account_ids(again) == ["ann"]


async def test_closing_leaves_no_thread(tmp_path: Path):
    database = await open_sqlite(tmp_path / "moonlatch.db")
    assert [thread.name for thread in threading.enumerate()].count("storage-writer") == 1

    await database.close()

    async with asyncio.timeout(60):
        while "storage-writer" in [thread.name for thread in threading.enumerate()]:
            await asyncio.sleep(0.01)


async def test_a_program_that_forgets_to_close_ends_and_keeps_its_writes(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from moonlatch.storage.interface import Query\nfrom moonlatch.storage.sqlite.engine import open_sqlite\n"
        "ADD = Query('add', \"insert into accounts (id, name, tier, created_at, obfuscation_period_start)\"\n"
        "    \" values ('ann', 'ann', 'free', 1, 1)\")\n"
        "async def main():\n"
        "    database = await open_sqlite(Path(sys.argv[1]))\n"
        "    await database.run(lambda tx: tx.execute(ADD))\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path))

    assert await asyncio.wait_for(process.wait(), 20) == 0
    async with opened(path) as database:
        assert await account_ids(database) == ["ann"]


async def test_a_folder_that_is_not_there_is_refused_with_the_path(tmp_path: Path):
    path = tmp_path / "missing" / "moonlatch.db"

    with pytest.raises(StorageError, match="missing"):
        await open_sqlite(path)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    path.write_bytes(b"this is a letter, not a database" * 100)

    with pytest.raises(StorageError, match=r"moonlatch\.db.*not a database"):
        await open_sqlite(path)

    assert path.read_bytes() == b"this is a letter, not a database" * 100


async def test_finished_units_are_not_kept_in_memory(database: SqliteDatabase):
    class Unit:
        async def __call__(self, tx: Transaction) -> None:
            await tx.fetch_all(ACCOUNT_IDS)

    for _ in range(50):
        await database.run(Unit())
    await database.run(lambda tx: tx.fetch_all(ACCOUNT_IDS))
    gc.collect()

    assert sum(isinstance(thing, Unit) for thing in gc.get_objects()) == 0


async def test_units_run_in_the_order_they_were_given(database: SqliteDatabase):
    await add_account(database, "ann")

    await asyncio.gather(
        *(database.run(lambda tx, n=number: tx.execute(SET_USED, id="ann", used=n)) for number in range(1, 31))
    )

    assert await used(database, "ann") == 30


async def test_a_guarded_unit_waits_for_one_long_unit_at_most(database: SqliteDatabase):
    done: list[str] = []

    async def long(tx: Transaction) -> None:
        time.sleep(2 * LONG_SECONDS)
        done.append("long")

    async def start(tx: Transaction) -> None:
        done.append("start")

    longs = [asyncio.create_task(database.run(long)) for _ in range(6)]
    while not done:
        await asyncio.sleep(0.001)
    before = len(done)
    await database.run(start, is_guarded=True)
    assert len(done) - before <= 2
    await asyncio.gather(*longs)
    assert done.count("long") == 6


async def test_what_others_there_are_has_its_turn_beside_guarded_units(database: SqliteDatabase):
    is_over = False

    async def nothing(tx: Transaction) -> None:
        pass

    async def start_again_and_again() -> None:
        while not is_over:
            await database.run(nothing, is_guarded=True)

    starting = [asyncio.create_task(start_again_and_again()) for _ in range(50)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(database.run(nothing) for _ in range(20)))
    is_over = True
    await asyncio.gather(*starting)
