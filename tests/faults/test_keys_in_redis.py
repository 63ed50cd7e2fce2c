"""What all processes share in Redis names users by their ids; nothing there is a key, nor stays from when keys were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from support.installation import Installation, running_installation
from support.live import eventually, redis_live
from support.services import Databases


@pytest.fixture
async def installation(tmp_path: Path, databases: Databases, redis_url: str) -> AsyncIterator[Installation]:
    with databases.migrated() as postgres_url:
        async with running_installation(tmp_path, postgres_url, redis_url) as running:
            yield running


def shared(url: str) -> list[bytes]:
    """Every name and value in a Redis database."""
    found: list[bytes] = []
    with redis.Redis.from_url(url) as connection:
        read: dict[bytes, Any] = {
            b"string": connection.get,
            b"hash": connection.hgetall,
            b"set": connection.smembers,
            b"zset": lambda name: connection.zrange(name, 0, -1),
            b"stream": connection.xrange,
        }
        for name in connection.scan_iter():
            found += [name, repr(read[connection.type(name)](name)).encode()]
    return found


async def test_no_key_of_a_running_copy_is_in_redis(installation: Installation, redis_url: str) -> None:
    client = await installation.client()
    keys = [await installation.user(max_instances=3) for _ in range(4)]
    for number, key in enumerate(keys):
        copy = await installation.at(client, number % 2).execute(key=key)
        await copy.beat()
        await copy.session()
        assert (
            await installation.call("POST", f"/users/{key}/edit", {"note": "x"}, process=number % 2)
        ).status_code == 200
    ids = [await installation.id_of(key) for key in keys]
    everything = b"\n".join(shared(redis_url))
    assert all(user.encode() in everything for user in ids)
    assert [key for key in keys if key.encode() in everything] == []


async def test_what_a_program_of_before_left_goes_with_the_first_process(
    installation: Installation, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        connection.zadd("test:key:A-KEY-IN-CLEAR", {"instance": 1})
        connection.hset("test:instances", "instance", "A-KEY-IN-CLEAR")
        connection.set("another:key", "of another program")
        async with redis_live(redis_url, installation.database) as live:
            await eventually(lambda: live.counts("script"))
            assert [name for name in shared(redis_url) if b"A-KEY" in name] == []
            assert connection.get("another:key") == b"of another program"
            connection.zadd("test:user:somebody", {"instance": 1})
        async with redis_live(redis_url, installation.database):
            assert connection.exists("test:user:somebody"), "once"
