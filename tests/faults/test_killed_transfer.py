"""`moonlatch transfer`, killed at random moments: nothing of it counts and the next one does all of it, or all is there already."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from moonlatch.master_key import MASTER_KEY_NAME, MasterKeySource
from support import rows
from support.crash import assert_sound
from support.database import opened
from support.rounds import rounds
from support.server import MoonlatchServer
from support.services import Databases

KILLS = rounds(2, 40)
SEED = 20_261_130
USERS = 3_000


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """An installation of some seconds: many rows, and some that are large."""
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    MasterKeySource(folder).open()
    async with opened(folder / "moonlatch.db") as database:
        project = await rows.add_project(database)
        for _ in range(4):
            await rows.add_script(database, project, payload=os.urandom(1_000_000))
        await rows.change(
            database,
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < :most)"
            " insert into users (id, key_hash, key_sealed, start_code, end_code, project_id, created_at)"
            " select 'id-' || i, cast('hash-' || i as blob), :bytes, :bytes, :bytes, :project, i from n",
            most=USERS,
            project=project,
            bytes=b"\x00\xff" * 20,
        )
    return folder


def state_of(folder: Path) -> dict[str, str]:
    """Every file that holds anything of the installation, by its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name in {"moonlatch.db", MASTER_KEY_NAME} or (path.stat().st_size and not path.name.endswith("-shm"))
    }


def counted_in(file: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(file)) as source:
        names = [name for (name,) in source.execute("select name from sqlite_master where type = 'table'")]
        return {
            name: source.execute(f"select count(*) from {name}").fetchone()[0]
            for name in names
            if not name.startswith("sqlite_") and name != "schema_migrations"
        }


async def counted_at(url: str) -> dict[str, int]:
    """How many rows each table has; nothing before there are tables."""
    connection = await asyncpg.connect(url)
    try:
        names = [
            name
            for (name,) in await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
            if name != "schema_migrations"
        ]
        return {name: await connection.fetchval(f"select count(*) from {name}") for name in names}
    finally:
        await connection.close()


class Transfer:
    """The command as a process, with a folder of its own for what it would leave there."""

    def __init__(self, data: Path, temporary: Path) -> None:
        self._data = data
        self.temporary = temporary
        temporary.mkdir()

    def begun(self, url: str) -> subprocess.Popen[str]:
        settings = {"MOONLATCH_DATABASE_URL": url, "TMPDIR": str(self.temporary)}
        environment = MoonlatchServer(self._data, settings).environment()
        return subprocess.Popen(
            [sys.executable, "-m", "moonlatch", "transfer", str(self._data)],
            env=environment,
            cwd=self.temporary,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, url: str) -> None:
        """Let it do all of it, or find that the last one did."""
        process = self.begun(url)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0 or "the database is not empty" in told, told


async def test_a_transfer_that_is_killed_is_whole_or_nothing(data: Path, tmp_path: Path, databases: Databases) -> None:
    expected = counted_in(data / "moonlatch.db")
    before = state_of(data)
    transfer = Transfer(data, tmp_path / "temporary")
    with databases.fresh() as url:
        began = time.monotonic()
        transfer.ended(url)
        lasts = time.monotonic() - began
        assert await counted_at(url) == expected
    moments = random.Random(SEED)
    with contextlib.ExitStack() as ending:
        url = ending.enter_context(databases.fresh())
        for _ in range(KILLS):
            process = transfer.begun(url)
            await asyncio.sleep(moments.uniform(0.2 * lasts, 1.05 * lasts))
            process.kill()
            process.communicate()
            assert state_of(data) == before
            assert list(transfer.temporary.iterdir()) == []
            found = await counted_at(url)
            if sum(found.values()):
                assert found == expected
                url = ending.enter_context(databases.fresh())
        assert_sound(data / "moonlatch.db")
        # At once, whatever PostgreSQL still does for the last one, be it a commit.
        transfer.ended(url)
        assert await counted_at(url) == expected
    assert state_of(data) == before
