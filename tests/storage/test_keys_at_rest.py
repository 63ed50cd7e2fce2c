"""The migration that takes users' keys out of the database: nobody loses theirs, whatever interrupts it, and nothing of them is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from moonlatch.crypto import USER_KEY
from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.rewriting import master_key_in
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.engine import migrate_file
from moonlatch.storage.sqlite.migration import migrate
from support.crash import assert_sound
from support.database import ENGINES
from support.forked import HeardCommand
from support.services import Databases, wait_for

BEFORE = 13
SPAN = re.compile(r"Sealed keys: ([\d,]+) of ([\d,]+) users")
ACCOUNT = (
    "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('ann', 'ann', 'free', 1, 1)"
)
PROJECT = "insert into projects (id, account_id, name, created_at) values ('one', 'ann', 'one', 1)"
USER = (
    "insert into users (id, key, key_forward, key_backward, project_id, discord_id, note, fingerprint, fingerprintless,"
    " blacklisted, executions, created_at) values (?, ?, ?, ?, 'one', ?, ?, ?, ?, ?, ?, ?)"
)
BAR = "insert into bars (project_id, fingerprint, user_key, expires_at) values ('one', ?, ?, 7)"
REMOVED = (
    "insert into removed_users (project_id, key, discord_id, removed_at, removed_by, record)"
    " values ('one', ?, '9', 5, 'developer', ?)"
)
ANSWER = (
    "insert into idempotency_records (account_id, key, request_hash, status, reply, created_at)"
    " values ('ann', 'call', ?, 200, ?, 1)"
)
REFUSAL = (
    "insert into refusals (user_id, day, code, moment, script_id, fingerprint, first_at, refused_at, times)"
    " values (?, 1, 'KEY_EXPIRED', 'start', 's', ?, 1, 1, 1)"
)
COLUMNS = "id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, fingerprint, fingerprintless, blacklisted, executions, created_at"


def key_of(number: int) -> str:
    return f"Key-0{number:05}-{'x' * (number % 50)}{number * 7919 % 100_000:05}"


@dataclass
class Old:
    """A data folder of before, on either engine, with its master key."""

    folder: Path
    url: str

    @property
    def path(self) -> Path:
        return self.folder / "moonlatch.db"

    def fill(self, users: int) -> None:
        """The schema of before and rows in it."""
        self.folder.mkdir(exist_ok=True)
        MasterKeySource(self.folder).open()
        if self.url:
            wait_for(lambda: migrate_postgres(self.url, shipped_migrations("postgres")[:BEFORE]))
        else:
            with contextlib.closing(connect_writer(self.path)) as connection:
                migrate(connection, shipped_migrations("sqlite")[:BEFORE])
        self.write(ACCOUNT, [()])
        self.write(PROJECT, [()])
        self.add_users(range(users))
        self.write(BAR, [(b"device 1", key_of(1)), (b"device 2", key_of(2))])
        self.write(REFUSAL, [("user 00003", b"")])
        gone = {
            "id": "gone",
            "key": "Gone-key-of-somebody",
            "project_id": "one",
            "created_at": 3,
            "note": "🌙",
            "ip": None,
        }
        self.write(REMOVED, [(gone["key"], json.dumps(gone))])
        self.write(ANSWER, [(b"sha-256 of a call", b"sealed")])

    def add_users(self, numbers: range) -> None:
        rows: list[tuple[Any, ...]] = []
        for number in numbers:
            key = key_of(number)
            discord = str(number) if number % 3 == 0 else None
            rest = (
                discord,
                f"note {number}",
                b"\x00\xff" if number % 2 else None,
                number % 5 == 0,
                number == 1,
                number,
                number,
            )
            rows.append((f"user {number:05}", key, key, key[::-1], *rest))
        self.write(USER, rows)

    def write(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if not self.url:
            with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
                connection.executemany(sql, rows)
            return

        async def write() -> None:
            numbers = iter(range(1, 99))
            connection = await asyncpg.connect(self.url)
            await connection.executemany(re.sub(r"\?", lambda _: f"${next(numbers)}", sql), rows)
            await connection.close()

        wait_for(write)

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        if not self.url:
            with contextlib.closing(sqlite3.connect(self.path)) as connection:
                return connection.execute(sql).fetchall()

        async def read() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return wait_for(read)

    def migrate(self, told: Any = lambda *_: None) -> None:
        if self.url:
            migrations = shipped_migrations("postgres")
            wait_for(lambda: migrate_postgres(self.url, migrations, master_key=master_key_in(self.folder), told=told))
        else:
            migrate_file(self.path, told)

    def command(self) -> HeardCommand:
        """`moonlatch migrate` in a process of its own."""
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MOONLATCH_")}
        if self.url:
            surroundings["MOONLATCH_DATABASE_URL"] = self.url
        return HeardCommand(["migrate", "--data", str(self.folder)], surroundings)

    def verify(self, users: int) -> None:
        """Everybody is there as they were, with a key that opens; and no key stands anywhere in clear."""
        keyring = MasterKeySource(self.folder).open(create=False)
        rows = self.read(f"select {COLUMNS} from users order by id")
        assert len(rows) == users
        for number, (user, key_hash, sealed, start, end, *rest) in enumerate(rows):
            key = key_of(number)
            assert user == f"user {number:05}"
            assert bytes(key_hash) == keyring.user_key_hash(key)
            assert keyring.open_secret(USER_KEY, user, bytes(sealed)) == key
            assert bytes(start) == keyring.part_of_key("one", "forward", key)
            assert bytes(end) == keyring.part_of_key("one", "backward", key[::-1])
            assert rest == [
                "one",
                str(number) if number % 3 == 0 else None,
                f"note {number}",
                b"\x00\xff" if number % 2 else None,
                number % 5 == 0,
                number == 1,
                number,
                number,
            ]
        assert sorted(self.read("select fingerprint, user_id, expires_at from bars")) == [
            (b"device 1", "user 00001", 7),
            (b"device 2", "user 00002", 7),
        ]
        assert self.read("select user_id from refusals") == [("user 00003",)]
        ((key_hash, discord, record),) = self.read("select key_hash, discord_id, record from removed_users")
        gone = json.loads(record)
        assert (bytes(key_hash), discord) == (keyring.user_key_hash("Gone-key-of-somebody"), "9")
        assert (gone["id"], gone["note"], "key" in gone) == ("gone", "🌙", False)
        assert self.read("select request_hash, reply from idempotency_records") == [
            (keyring.request_hash(b"sha-256 of a call"), b"sealed")
        ]
        stored = self.everything()
        found = [clear for clear in (b"Key-0", b"0-yeK", b"Gone-key") if clear in stored]
        assert found == [], "keys in clear"

    def everything(self) -> bytes:
        """The bytes of the file and its log, or of PostgreSQL's own files of these tables and their indexes."""
        if not self.url:
            return b"".join(path.read_bytes() for path in self.folder.glob("moonlatch.db*"))
        files = (
            "select pg_read_binary_file(pg_relation_filepath(oid)) from pg_class"
            " where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')"
        )
        self.write("checkpoint", [()])
        return b"".join(bytes(content) for (content,) in self.read(files))


@pytest.fixture(params=ENGINES)
def old(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Old]:
    if request.param == "sqlite":
        yield Old(tmp_path / "data", "")
        return
    with databases.fresh() as url:
        yield Old(tmp_path / "data", url)


def test_every_key_is_sealed_and_nothing_of_it_is_left(old: Old) -> None:
    old.fill(1_203)
    gone_before = key_of(1_202)
    assert gone_before.encode() in old.everything()
    old.write("delete from users where id = 'user 01202'", [()])
    heard: list[tuple[str, int, int]] = []
    old.migrate(lambda *told: heard.append(told))
    assert heard == [
        ("users", 500, 1_202),
        ("users", 1_000, 1_202),
        ("users", 1_202, 1_202),
        ("removed users", 1, 1),
        ("answers", 1, 1),
    ]
    old.verify(1_202)
    assert gone_before.encode() not in old.everything()
    old.migrate(lambda *_: pytest.fail("nothing is left to do"))
    old.verify(1_202)


def test_a_migration_that_is_killed_goes_on_where_it_was(old: Old) -> None:
    old.fill(21_000)
    left: list[int] = []
    for _ in range(2):
        command = old.command()
        line = command.stderr.readline()
        command.kill()
        told = SPAN.match(line)
        assert told is not None, line
        left.append(int(told[2].replace(",", "")))
        if not old.url:
            assert_sound(old.path)
    assert left[0] == 21_000
    assert 0 < left[1] <= 11_000
    out, _ = old.command().communicate()
    assert "keys_at_rest" in out
    old.verify(21_000)


def test_several_migrate_at_once_and_none_fails(old: Old) -> None:
    old.fill(5_000)
    commands = [old.command() for _ in range(3)]
    ended = [(command.communicate(), command.returncode) for command in commands]
    assert [status for _, status in ended] == [0, 0, 0], ended
    old.verify(5_000)


def test_users_who_are_added_meanwhile_by_a_program_of_before_are_sealed_too(old: Old) -> None:
    old.fill(700)

    def told(what: str, done: int, rows: int) -> None:
        if (what, done) == ("users", 500):
            old.write("update users set note = 'note 4' where id = 'user 00004'", [()])
            old.add_users(range(700, 1_300))

    old.migrate(told)
    old.verify(1_300)


@pytest.mark.parametrize("how", ["missing", "another", "broken"])
def test_without_the_right_master_key_nothing_is_sealed(old: Old, how: str) -> None:
    old.fill(4)
    old.write(
        "insert into installation (id, key_check) values (1, ?)", [(MasterKeySource(old.folder).open().check_value(),)]
    )
    master = old.folder / "master.key"
    right = master.read_text()
    if how == "missing":
        master.unlink()
    else:
        master.write_text("ab" * 32 if how == "another" else "?")
    word = {
        "missing": "master.key is not there",
        "another": "not the one that the data belongs to",
        "broken": "cannot be read",
    }
    with pytest.raises(StorageError, match=word[how]):
        old.migrate()
    assert len(old.read("select key from users where key_hash is null")) == 4
    assert master.exists() == (how != "missing"), "none is made"
    master.write_text(right)
    old.migrate()
    old.verify(4)


def test_data_without_users_needs_no_master_key(old: Old) -> None:
    if old.url:
        wait_for(lambda: migrate_postgres(old.url, shipped_migrations("postgres")[:BEFORE]))
    else:
        old.folder.mkdir()
        with contextlib.closing(connect_writer(old.path)) as connection:
            migrate(connection, shipped_migrations("sqlite")[:BEFORE])
    old.migrate()
    assert old.read("select max(version) from schema_migrations") >= [(BEFORE + 1,)]
    assert not (old.folder / "master.key").exists()
