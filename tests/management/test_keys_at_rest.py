"""After all that can happen to users, none of their keys stands in the database: not in a table, nor in the files of either engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonlatch.storage.interface import Database, Query
from support.client import Client, Refused
from support.keys import hashed
from support.management import Api, Developer, done, running_api

TABLES = {
    "sqlite": "select name from sqlite_master where type = 'table'",
    "postgres": "select tablename from pg_tables where schemaname = 'public'",
}
FILES_OF_POSTGRES = (
    "select pg_read_binary_file(pg_relation_filepath(oid)) from pg_class"
    " where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')"
)


async def lively(api: Api, me: Developer) -> list[str]:
    """Everything that takes a key or makes one; gives all keys that were used."""
    project, elsewhere = await me.new_project(), await me.new_project()
    client = await api.running_script(project)
    users = f"/projects/{project}/users"
    once = {"headers": {"Idempotency-Key": "first"}}
    made = done(await me.post(users, {"amount": 6, "note": "made"}, **once))["users"]
    assert done(await me.post(users, {"amount": 6, "note": "made"}, **once))["users"] == made
    brought = ["MYHUB-0001", f"MYHUB-{'x' * 50}", "short-ab"]
    done(await me.post(users, {"users": [{"key": key} for key in brought]}))
    keys = [user["key"] for user in made] + brought
    tried = done(await me.post(f"{users}?dry_run=true", {"key": "Tried-without-doing-it"}))["users"][0]["key"]
    taken = "Taken-by-somebody-else"
    await me.new_user(elsewhere, key=taken)
    assert (await me.post(users, {"users": [{}, {"key": taken}]})).status_code == 409
    unknown = "Nobody-has-this-key"
    assert (await me.get(f"/users/{unknown}")).status_code == 404
    for key in keys[:4]:
        copy = await client.execute(key=key)
        await copy.beat()
        wire = await copy.session()
        done(await me.get(f"/scripts/{client.script}/sessions/filter?key={key}"))
        assert done(await me.get(f"/sessions/{wire.id}"))["session"]["user_key"] == key
    await refused(client, key=keys[0], fingerprint="another")
    await refused(client, key=unknown)
    done(
        await me.post(
            f"/users/{keys[0]}/edit", {"note": "edited", "max_instances": 1}, headers={"Idempotency-Key": "second"}
        )
    )
    done(await me.post(f"/users/{keys[0]}/blacklist", {"reason": "test"}))
    await refused(client, key=keys[0])
    await refused(client, key=keys[4])  # on the same device
    done(await me.post(f"/users/{keys[0]}/unblacklist", {}))
    done(await me.post(f"/users/{keys[1]}/reset_fingerprint", {"force": True}))
    done(await me.post(f"/users/{keys[2]}/remove", {}))
    done(await me.post(f"{users}/restore", {"keys": [keys[2]]}))
    await client.execute(key=keys[2])
    done(await me.post(f"/users/{keys[3]}/remove", {}))
    done(await me.post(f"/users/{keys[4]}/remove", {"forever": True}))
    assert (await me.post(f"{users}/restore", {"keys": [keys[4]]})).status_code == 409
    bulk = done(await me.post(f"{users}/bulk", {"users": [*brought, unknown], "edit": {"note": "bulk"}}))
    assert (bulk["changed"], bulk["failures"][0]["key"]) == (3, unknown)
    assert done(await me.post(f"{users}/bulk", {"filter": {"key_starts": "MYHUB-0"}, "remove": {}}))["changed"] == 1
    found = done(await me.get(users, params={"key_starts": keys[5][:7], "key_ends": keys[5][-7:]}))["users"]
    assert [user["key"] for user in found] == [keys[5]]
    removed = done(await me.get(f"{users}/removed"))["users"]
    assert {one["user"]["key"] for one in removed} == {keys[3], brought[0]}
    for key in keys[:3]:
        done(await me.get(f"/users/{key}/events"))
        done(await me.get(f"/users/{key}/refusals"))
    await api.history.settle()
    return [*keys, tried, taken, unknown]


async def refused(client: Client, **claim: Any) -> None:
    with pytest.raises(Refused):
        await client.execute(**claim)


async def stored(database: Database, engine: str, folder: Path) -> bytes:
    """Every value of every table, and the files that hold them."""
    content = []
    for (table,) in await database.fetch_all(Query("test.tables", TABLES[engine])):
        for row in await database.fetch_all(Query("test.all", f"select * from {table}")):
            content += [bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in row]
    if engine == "postgres":
        files = await database.fetch_all(Query("test.files", FILES_OF_POSTGRES))
        content += [bytes(file) for (file,) in files]
    else:
        paths = list(folder.glob("moonlatch.db*"))
        assert len(paths) > 1, "the log is there"
        content += [path.read_bytes() for path in paths]
    return b"\n".join(content)


async def test_no_key_that_was_ever_used_is_in_the_database(tmp_path: Path, database_url: str) -> None:
    async with running_api(tmp_path, database_url=database_url) as api:
        keys = await lively(api, await api.developer())
        content = await stored(api.database, api.engine, tmp_path)
        assert hashed(keys[0]) in content, "what is looked through is the data"
        assert [key for key in keys if key.encode() in content or key[::-1].encode() in content] == []
    if not database_url:
        left = b"".join(path.read_bytes() for path in tmp_path.glob("moonlatch.db*"))
        assert [key for key in keys if key.encode() in left] == []


async def test_a_key_in_clear_would_be_found(tmp_path: Path, database_url: str) -> None:
    async with running_api(tmp_path, database_url=database_url) as api:
        me = await api.developer()
        key = await me.new_user(await me.new_project())
        await api.change("update users set note = :key", key=key)
        assert key.encode() in await stored(api.database, api.engine, tmp_path)
