"""Moving an installation to PostgreSQL: every row as it was, or nothing at all, and the file untouched."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from moonlatch.storage.interface import Query, StorageError
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.sqlite.engine import open_sqlite
from moonlatch.storage.transfer import Table, TransferError, transfer
from support import rows
from support.database import opened

TABLES = [
    *(
        "accounts",
        "ad_attempts",
        "ad_grants",
        "ad_passes",
        "ad_proofs",
        "ad_steps",
        "ad_systems",
        "bars",
        "builds",
        "channels",
        "deliveries",
        "delivery_attempts",
        "device_names",
        "discord_applications",
        "discord_channels",
        "discord_dues",
        "discord_grants",
        "discord_interactions",
        "discord_links",
        "endpoints",
        "error_groups",
        "error_hours",
        "error_witnesses",
        "event_retention",
        "events",
        "execution_days",
        "executions",
    ),
    *(
        "idempotency_records",
        "installation",
        "key_devices",
        "key_hours",
        "key_signals",
        "key_uses",
        "line_maps",
        "loaders",
        "luraph_keys",
        "master_keys",
        "member_links",
        "member_sessions",
        "members",
    ),
    *("passkey_challenges", "passkeys", "pins", "projects", "recovery_codes", "refusals", "remotes", "removed_users"),
    *("rollout_starts", "rollouts", "scheduled_builds", "scripts", "templates", "tokens", "users", "variables"),
]


class Interrupted(Exception):
    """What stops a transfer half-way."""


@pytest.fixture
async def source(tmp_path: Path) -> Path:
    """A file with something in every table, nulls and strange values among it."""
    path = tmp_path / "moonlatch.db"
    async with opened(path) as database:
        project = await rows.add_project(database)
        account = await rows.value(database, "select id from accounts")
        await rows.insert(
            database, "tokens", id="t", account_id=account, name="Grüße 🌙", hash=b"\x00\xff", created_at=2**53
        )
        script, _ = await rows.add_script(database, project, payload=os.urandom(300_000), free_for_all=True)
        key = await rows.add_user(database, project, note="", fingerprint=b"", fingerprintless=True, key_expires=-1)
        user = await rows.id_of(database, key)
        await rows.change(
            database,
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 600)"
            " insert into users (id, key_hash, key_sealed, start_code, end_code, project_id, created_at)"
            " select 'id-' || i, cast('hash-' || i as blob), :bytes, :bytes, :bytes, :project, i from n",
            project=project,
            bytes=b"\x00\xff",
        )
        await rows.insert(database, "bars", project_id=project, fingerprint=b"f", user_id=user)
        await rows.insert(database, "key_hours", user_id=user, hour=1, starts=2)
        await rows.insert(database, "key_devices", user_id=user, fingerprint=b"\x00\xff", bound_at=1)
        await rows.insert(database, "device_names", user_id=user, fingerprint=b"\x00\xff", name="Grüße")
        await rows.insert(database, "key_signals", user_id=user, day=1, rule="devices", action="signal")
        use = {"user_id": user, "day": 1, "device": b"\x00\xff", "network": b"", "executor": "x"}
        await rows.insert(database, "key_uses", **use, starts=1, first_at=1, last_at=1)
        await rows.insert(database, "executions", id="e", script_id=script, build=1, executor="x", started_at=1)
        await rows.insert(database, "channels", script_id=script, name="beta", build=1)
        await rows.insert(database, "pins", user_id=user, script_id=script, channel="beta", build=1, created_at=1)
        later = {"script_id": script, "build": 1, "steps": '[{"basis_points":500,"minutes":60}]'}
        await rows.insert(database, "scheduled_builds", **later, channel="stable", publish_at=1)
        state = {"state": "rolling", "step": 0, "step_since": 1, "salt": "s", "created_at": 1}
        await rows.insert(database, "rollouts", id="r", **later, **state)
        await rows.insert(database, "line_maps", id="l", script_id=script, build=1, map=b"\x00\xff")
        await rows.insert(
            database, "templates", id="c", script_id=script, build=1, places=2**53, template=b"\x00\xff", created_at=1
        )
        error = await rows.add_error(database, script, message="snow \N{SNOWMAN}")
        await rows.insert(database, "error_hours", group_id=error, hour=1, instances=2)
        await rows.insert(database, "error_witnesses", group_id=error, witness=b"\x00\xff", seen_at=1)
        begun = {"is_new": True, "basis_points": 500, "holder": b"\x00\xff", "started_at": 1, "outcome": None}
        await rows.insert(database, "rollout_starts", instance="i", rollout_id="r", **begun, group_id=error)
        bot = {"application_id": "5", "public_key": b"\x00\xff", "name": "🌙", "bot_token": b"\x00", "created_at": 1}
        await rows.insert(database, "discord_applications", account_id=account, **bot)
        await rows.insert(database, "discord_interactions", id="7", at=1)
        await rows.change(database, "update users set discord_id = '8' where id = :id", id=user)
        link = {"guild_id": "6", "customer_role_id": "9", "roles": '{"1":"support"}', "created_at": 1}
        await rows.insert(database, "discord_links", project_id=project, account_id=account, **link)
        await rows.insert(database, "discord_channels", project_id=project, discord_id="8", channels="beta")
        whose = {"account_id": account, "guild_id": "6", "discord_id": "8"}
        await rows.insert(database, "discord_grants", **whose, role_id="9", given_at=1)
        await rows.insert(database, "discord_dues", **whose, due_at=2**53, attempts=3)
        day = {"project_id": project, "script_id": script, "day": "2026-01-01", "executor": "x", "executions": 7}
        await rows.insert(database, "execution_days", **day)
        actor = {"actor_kind": "token", "actor_id": "t", "actor_name": "Grüße 🌙"}
        about = {"resource_kind": "project", "resource_id": project, "kind": "project.edited"}
        hook = {"account_id": account, "project_id": project, "created_at": 1, "executions_until": 2**53, "field": None}
        secret = {"url": b"\x00\xff", "secret": b"", "shown_url": "🌙", "kind": "standard", "executions": "none"}
        await rows.insert(database, "endpoints", id="h", name="🌙", enabled=True, **hook, **secret)
        await rows.insert(database, "events", id="0-e", account_id=account, project_id=project, at=1, **actor, **about)
        attempt = {"delivery_id": "0-e-h", "number": 1, "at": 1, "milliseconds": 2, "status": 200, "answer": "🌙"}
        await rows.insert(database, "delivery_attempts", **attempt)
        kept = {"value_bytes": 1, "cache_seconds": 1, "revision": 1, "created_at": 1, "updated_at": 2**53}
        whose_it_is = {"account_id": account, "project_id": project, "script_id": script, "user_id": None}
        await rows.insert(database, "variables", id="v", name="x", value=b"\x00\xff", **whose_it_is, **kept)
        limits = {
            "per_key": 1,
            "per_instance": 1,
            "timeout_seconds": 1,
            "revision": 1,
            "created_at": 1,
            "updated_at": 2**53,
        }
        called = {"account_id": account, "project_id": project, "script_id": script, "endpoint_id": "h", **limits}
        await rows.insert(database, "remotes", id="r", kind="webhook", name="x", template='"🌙"', **called)
        await rows.insert(database, "event_retention", id=1, before=1)
        answer = {"request_hash": b"\x00\xff", "status": 200, "reply": b"{}", "created_at": 1}
        await rows.insert(database, "idempotency_records", account_id=account, key="k", **answer)
        removed = {
            "key_hash": b"\x00gone",
            "discord_id": None,
            "removed_at": 2**53,
            "removed_by": "expiry",
            "record": '{"🌙": 1}',
        }
        await rows.insert(database, "removed_users", project_id=project, **removed)
        refusal = {"day": 1, "code": "KEY_EXPIRED", "moment": "start", "script_id": script, "fingerprint": b""}
        await rows.insert(database, "refusals", user_id=user, first_at=1, refused_at=2**53, times=3, **refusal)
        member = {"name": "Ana 🌙", "sign_in_name": "ana@example.com", "role": "owner", "invited_by": "ops"}
        await rows.insert(
            database,
            "members",
            id="m",
            account_id=account,
            created_at=1,
            totp_enabled=True,
            totp_secret=b"\xff",
            **member,
        )
        await rows.insert(database, "member_links", member_id="m", hash=b"\x00", created_at=1, expires_at=2**53)
        session = {"created_at": 1, "last_used_at": 2, "address": "::1", "user_agent": "🌙"}
        await rows.insert(database, "member_sessions", id="s", member_id="m", hash=b"\x01", **session)
        await rows.insert(database, "recovery_codes", member_id="m", hash=b"\x02")
        passkey = {"credential_id": b"\x03", "public_key": b"\x04", "sign_count": 2**32 - 1, "created_at": 1}
        await rows.insert(database, "passkeys", id="p", member_id="m", name="laptop", **passkey)
        await rows.insert(database, "passkey_challenges", id="c", challenge=b"\x05", expires_at=1)
        await rows.add_ad_system(database, account, project, user)
        await rows.insert(database, "installation", id=1, key_check=b"check", identity_key=b"\x00sealed")
        await rows.insert(database, "master_keys", id="63686563", key_check=b"check", added_at=1, is_first=True)
        await rows.insert(database, "luraph_keys", account_id=account, sealed=b"sealed")
    return path


async def test_every_row_of_every_table_arrives_as_it_was(source: Path, postgres_url: str) -> None:
    heard: dict[str, list[int]] = {}

    def told(table: Table, steps: int) -> None:
        heard.setdefault(table.name, []).append(steps)

    tables = await transfer(source, postgres_url, told)

    counts = {table.name: table.rows for table in tables}
    assert sorted(counts) == TABLES
    assert (counts["users"], min(counts.values())) == (601, 1)
    assert heard["users"] == [256, 512, 601, 601 + 256, 601 + 512, 2 * 601]
    before, after = await open_sqlite(source), await open_postgres(postgres_url)
    try:
        for table in tables:
            every = Query("test.all", f"select {', '.join(table.columns)} from {table.name}")
            expected = [normal(tuple(row)) for row in await before.fetch_all(every)]
            assert sorted(map(repr, expected)) == sorted(
                repr(normal(tuple(row))) for row in await after.fetch_all(every)
            )
    finally:
        await before.close()
        await after.close()


def normal(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite gives booleans as 0 and 1."""
    return tuple(int(value) if isinstance(value, bool) else value for value in row)


async def test_the_file_is_left_as_it_was(source: Path, postgres_url: str) -> None:
    before = hashlib.sha256(source.read_bytes()).digest()

    await transfer(source, postgres_url, lambda *_: None)

    assert hashlib.sha256(source.read_bytes()).digest() == before


async def test_a_database_with_anything_in_it_is_refused_and_left_alone(source: Path, postgres_url: str) -> None:
    await transfer(source, postgres_url, lambda *_: None)
    with pytest.raises(TransferError, match="not empty"):
        await transfer(source, postgres_url, lambda *_: None)

    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("select count(*) from users") == 601
    await connection.close()


async def test_of_a_transfer_that_is_interrupted_nothing_remains(source: Path, postgres_url: str) -> None:
    def interrupt(table: Table, steps: int) -> None:
        if table.name == "users" and steps == 2 * table.rows:
            raise Interrupted

    with pytest.raises(Interrupted):
        await transfer(source, postgres_url, interrupt)

    tables = await transfer(source, postgres_url, lambda *_: None)
    assert len(tables) == len(TABLES)


async def test_a_row_that_postgresql_changes_on_its_way_is_noticed(source: Path, postgres_url: str) -> None:
    database = await open_postgres(postgres_url)
    await database.close()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        "create function meddle() returns trigger language plpgsql as"
        " $$ begin if new.note is not null then new.note := new.note || '!'; end if; return new; end $$;"
        " create trigger meddling before insert on users for each row execute function meddle()"
    )

    with pytest.raises(StorageError, match="users did not arrive as it was"):
        await transfer(source, postgres_url, lambda *_: None)

    assert await connection.fetchval("select count(*) from accounts") == 0
    await connection.close()


async def test_a_file_of_another_schema_version_is_refused(source: Path, postgres_url: str) -> None:
    connection = sqlite3.connect(source)
    connection.execute("delete from schema_migrations where version = (select max(version) from schema_migrations)")
    connection.commit()
    connection.close()

    with pytest.raises(TransferError, match="schema version"):
        await transfer(source, postgres_url, lambda *_: None)
