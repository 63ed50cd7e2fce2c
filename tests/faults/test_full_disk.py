"""When the disk takes no more, no write is acknowledged, reads go on, and writing resumes once there is room."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import httpx
import pytest

from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import StorageError, Transaction, Unavailable
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.accounts import ADD_ACCOUNT, account_ids, add_account
from support.client import Client
from support.crash import assert_sound
from support.database import database, opened
from support.developer import Developer
from support.full_disk import full_disk
from support.installation import code_of
from support.server import MoonlatchServer

__all__ = ["database"]


async def add_large(tx: Transaction, name: str) -> None:
    await tx.execute(ADD_ACCOUNT, id=name, name=name + "x" * 200_000)


async def fill_log(database: SqliteDatabase) -> None:
    """Make the write-ahead log the largest file, so that the limit meets its next page."""
    for number in range(5):
        await database.run(lambda tx, n=number: add_large(tx, f"before-{n}"))


BEFORE = [f"before-{number}" for number in range(5)]


async def test_a_write_that_does_not_fit_is_refused_and_reads_go_on(database: SqliteDatabase, tmp_path: Path):
    await fill_log(database)

    with full_disk(tmp_path):
        with pytest.raises(StorageError):
            await database.run(lambda tx: add_large(tx, "refused"))
        assert await account_ids(database) == BEFORE

    await add_account(database, "later")
    assert await account_ids(database) == [*BEFORE, "later"]


async def test_of_a_batch_that_does_not_fit_no_caller_is_told_it_was_written(database: SqliteDatabase, tmp_path: Path):
    await fill_log(database)

    with full_disk(tmp_path):
        outcomes = await asyncio.gather(
            *(database.run(lambda tx, n=number: add_large(tx, f"refused-{n}")) for number in range(20)),
            return_exceptions=True,
        )
        stored = await account_ids(database)

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 20
    assert len({id(outcome) for outcome in outcomes}) == 20
    assert stored == BEFORE


async def test_after_a_full_disk_the_file_is_sound_and_opens_again(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    async with opened(path) as database:
        await fill_log(database)
        with full_disk(tmp_path):
            for number in range(10):
                with pytest.raises(StorageError):
                    await database.run(lambda tx, n=number: add_large(tx, f"refused-{n}"))
        await add_account(database, "later")

    assert_sound(path)
    async with opened(path) as database:
        assert await account_ids(database) == [*BEFORE, "later"]


async def test_a_unit_too_large_for_the_cache_fails_in_the_middle_and_spares_the_file(
    database: SqliteDatabase, tmp_path: Path
):
    await fill_log(database)

    async def huge(tx: Transaction) -> None:
        for number in range(100):
            await add_large(tx, f"huge-{number}")

    with full_disk(tmp_path):
        outcomes = await asyncio.gather(
            database.run(lambda tx: tx.execute(ADD_ACCOUNT, id="first", name="first")),
            database.run(huge),
            database.run(lambda tx: tx.execute(ADD_ACCOUNT, id="last", name="last")),
            return_exceptions=True,
        )

    stored = await account_ids(database)
    written = [name for name, outcome in zip(("first", "huge", "last"), outcomes, strict=True) if outcome == 1]
    assert isinstance(outcomes[1], StorageError)
    assert stored == sorted([*BEFORE, *written])
    await add_account(database, "later")


async def test_what_still_fits_into_the_log_of_a_full_disk_is_granted_and_saved(tmp_path: Path):
    """A log that was folded into the file is written anew from its beginning, in the place that it has on the disk already."""
    server = MoonlatchServer(tmp_path / "data")
    token = server.new_account("ann")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        script, key = developer.new_script(project, "print(1)"), developer.new_key(project)
        with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
            (loader,) = connection.execute("select loader from scripts").fetchone()
            connection.execute("pragma wal_checkpoint(restart)")
        secret = MasterKeySource(server.data).open().loader_secret(loader)
        async with httpx.AsyncClient(timeout=60) as http:
            client = Client(server.url, script, loader, secret, http)
            with full_disk(server.data, server.pid):
                codes = [await code_of(client.execute(key=key)) for _ in range(60)]
                granted = codes.count("granted")
                assert codes == ["granted"] * granted + ["503 UNAVAILABLE"] * (60 - granted)
                assert 0 < granted < 60
                server.kill()
            with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
                assert connection.execute("select count(*) from executions").fetchone() == (granted,)
                assert connection.execute("select executions from users").fetchone() == (granted,)
            server.start()
            assert await code_of(client.execute(key=key)) == "granted"
