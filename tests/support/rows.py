"""Rows for tests of the client protocol, inserted as plain SQL: these tests depend on the schema, not on the management's stores."""

from __future__ import annotations

from typing import Any

from moonlatch.crypto import new_id
from moonlatch.keyring import Keyring
from moonlatch.storage.interface import Database, Query, Transaction
from support.keys import KEYRING, hashed, stored

PAYLOAD = b"return function(...) return ... end -- \xf0\x9f\x8c\x99\n"


async def change(database: Database, sql: str, **parameters: Any) -> None:
    """Commit one statement."""

    async def unit(tx: Transaction) -> None:
        await tx.execute(Query("test.change", sql), **parameters)

    await database.run(unit)


async def value(database: Database, sql: str, **parameters: Any) -> Any:
    """First column of the first row."""
    row = await database.fetch_one(Query("test.value", sql), **parameters)
    return None if row is None else row[0]


async def insert(database: Database, table: str, **columns: Any) -> None:
    names = ", ".join(columns)
    places = ", ".join(f":{name}" for name in columns)
    await change(database, f"insert into {table} ({names}) values ({places})", **columns)


async def add_project(database: Database, *, account_expires: int | None = None) -> str:
    """A project of an account of its own; gives its id."""
    account, project = new_id(), new_id()
    await insert(
        database,
        "accounts",
        id=account,
        name=account,
        tier="unlimited",
        expires_at=account_expires,
        created_at=1,
        obfuscation_period_start=1,
    )
    await insert(database, "projects", id=project, account_id=account, name="project", created_at=1)
    return project


async def add_script(database: Database, project: str, *, payload: bytes = PAYLOAD, **columns: Any) -> tuple[str, str]:
    """An enabled script with its first build and its loader; gives their ids."""
    script, loader = new_id(), new_id()
    fields = {"name": "Script", "enabled": True, "build": 1, **columns}
    await insert(database, "scripts", id=script, project_id=project, loader=loader, created_at=1, **fields)
    await insert(
        database,
        "loaders",
        id=loader,
        script_id=script,
        version=1,
        source=b"-- loader of " + script.encode(),
        created_at=1,
    )
    await add_build(database, script, 1, payload)
    return script, loader


async def add_build(database: Database, script: str, number: int, payload: bytes = PAYLOAD) -> None:
    await insert(
        database,
        "builds",
        script_id=script,
        number=number,
        payload=payload,
        profile="light",
        source_bytes=len(payload),
        created_at=1,
    )


async def add_error(database: Database, script: str, **columns: Any) -> str:
    """An error of a script's first build; gives its id."""
    error = {
        "id": new_id(), "script_id": script, "build": 1, "place": "57", "kin": b"kin", "signature": new_id().encode(), "kind": "main",
        "message": "attempt to index nil", "state": "open", "instances": 1, "keys": 1, "executors": "{}", "first_seen": 1,
        "last_seen": 1,
    }  # fmt: skip
    await insert(database, "error_groups", **error | columns)
    return str((error | columns)["id"])


async def add_user(database: Database, project: str, *, keyring: Keyring = KEYRING, **columns: Any) -> str:
    """A key of the project; gives it."""
    key, user = new_id(), new_id()
    kept = stored(key, user_id=user, project_id=project, keyring=keyring)
    await insert(database, "users", id=user, project_id=project, created_at=1, **kept, **columns)
    return key


async def id_of(database: Database, key: str, *, keyring: Keyring = KEYRING) -> str:
    """The id of the user with that key."""
    user = await value(database, "select id from users where key_hash = :hash", hash=hashed(key, keyring))
    assert isinstance(user, str)
    return user


async def add_ad_system(
    database: Database, account: str, project: str, user: str, *, secrets: bytes = b"\x00\xff"
) -> None:
    """A checkpoint with one row in each of its tables."""
    system = {"id": "y", "account_id": account, "project_id": project, "name": "🌙", "slug": "free", "enabled": True}
    limits = {"key_duration": 2**53, "max_keys": 1, "allow_extending": False, "max_duration": 2**53}
    daily = {"network_daily_keys": 1, "device_daily_keys": 1, "created_at": 1}
    await insert(database, "ad_systems", **system, **limits, **daily)
    step = {"id": "a", "system_id": "y", "number": 1, "provider": "custom", "settings": "{}", "enabled": True}
    await insert(
        database,
        "ad_steps",
        **step,
        secrets=secrets,
        postback_hash=b"p",
        minimum_seconds=0,
        created_at=1,
        down_until=None,
    )
    who = {"system_id": "y", "browser": b"b", "network": b"n", "address": b"\x00\xff"}
    times = {"steps": 0, "passes": 1, "began_at": 1, "ends_at": 2**53}
    await insert(database, "ad_attempts", id="t", **who, **times)
    await insert(database, "ad_passes", callback_hash=b"c", attempt_id="t", step_id="a", number=1, left_at=1)
    await insert(database, "ad_proofs", hash=b"h", used_at=1)
    await insert(database, "ad_grants", id="g", user_id=user, made_at=1, **who)
