"""Who is removed leaves no trace, but what brings them back for seven days: no table holds a value that identifies the user or their device."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.jobs.retention import REMOVED_USERS_KEPT, remove_old
from moonlatch.storage.interface import Query
from support.client import DEVICE, Refused
from support.keys import hashed
from support.management import Api, Developer, done

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEVELOPERS_ADDRESS = "127.0.0.1"
"""In the tests developers and customers call from one machine; where a developer called from is kept."""

TABLES = {
    "sqlite": Query("test.tables", "select name from sqlite_master where type = 'table'"),
    "postgres": Query("test.tables", "select tablename from pg_tables where schemaname = 'public'"),
}


async def places_of(api: Api, values: dict[str, Any]) -> set[tuple[str, str]]:
    """Table and name of each value that stands anywhere in a table."""
    found = set()
    for (table,) in await api.database.fetch_all(TABLES[api.engine]):
        for row in await api.database.fetch_all(Query("test.all", f"select * from {table}")):
            if table in ("events", "tokens"):
                row = [cell for cell in row if cell != DEVELOPERS_ADDRESS]
            for cell in row:
                text = bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
                found |= {(table, name) for name, value in values.items() if value in text}
    return found


@pytest.mark.parametrize("way", ["users", "users for ever", "projects"])
async def test_a_removed_user_is_in_no_table(api: Api, me: Developer, project: str, way: str) -> None:
    client = await api.running_script(project)
    key = await me.new_user(project, discord_id="987654321098765432", note="Ada, of 12 Example Street")
    user = (await me.user(key))["id"]
    copy = await client.execute(key=key, executor="A rare executor", job_id="a-job-of-its-own")
    wire = await copy.session()
    await copy.beat()
    done(await me.post(f"/users/{key}/blacklist", {"reason": "charge-back of Ada's card"}))
    assert await wire.stopped() == "BLACKLISTED"
    with pytest.raises(Refused):
        await client.execute(key=key)
    await api.history.settle()

    keyring = api.keyring
    values = {
        "key": hashed(key),
        "key in clear": key.encode(),
        "user": user.encode(),
        "discord": b"987654321098765432",
        "note": b"Ada, of",
        "reason": b"charge-back of Ada",
        "fingerprint": keyring.fingerprint(project, "fingerprint", DEVICE),
        "raw fingerprint": DEVICE.encode(),
        "ip": keyring.fingerprint(project, "ip", "127.0.0.1"),
        "network": keyring.fingerprint(project, "network", "127.0.0.0/24"),
        "raw ip": b"127.0.0.1",
        "job": b"a-job-of-its-own",
        "session": wire.id.encode(),
        "token": copy.reply["token"].encode(),
    }
    values |= {f"{name} in hex": values[name].hex().encode() for name in ("key", "fingerprint", "ip", "network")}
    before = await places_of(api, values)
    assert before == {
        ("users", "key"),
        ("users", "discord"),
        ("users", "note"),
        ("users", "reason"),
        ("events", "reason"),
        ("events", "user"),
        ("users", "fingerprint"),
        ("users", "ip"),
        ("users", "user"),
        ("bars", "user"),
        ("refusals", "user"),
        ("bars", "fingerprint"),
        ("refusals", "fingerprint"),
        ("refusals", "ip"),
        ("key_hours", "user"),
        ("key_hours", "fingerprint in hex"),
        ("key_hours", "ip in hex"),
        ("key_uses", "user"),
        ("key_uses", "fingerprint"),
        ("key_uses", "network"),
    }

    if way == "projects":
        done(await me.post(f"/projects/{project}/remove", {}))
    else:
        done(await me.post(f"/users/{key}/remove", {"forever": way == "users for ever"}))
    del values["user"]  # which stays in events, and says nothing of whom
    if way == "users":
        assert {table for table, _ in await places_of(api, values)} == {"removed_users"}
        await remove_old(api.database, REMOVED_USERS_KEPT, now=api.clock() + 7 * DAY_MS + 1)

    assert await places_of(api, values) == set()
    assert await api.value("select count(*) from removed_users where project_id = :id", id=project) == 0
    if way != "projects":  # what was counted stays, and says nothing of whom
        assert (await me.script(client.script))["total_executions"] == 1
