"""The servers that the tests bring along: each fresh, under control, and gone at the end whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from support.developer import eventually
from support.services import PostgresServer, RedisServer, redis_command


async def test_a_test_has_an_empty_postgresql_database_of_its_own(postgres_url: str):
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("create table mine (id int)")
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("_round", [1, 2])
def test_a_test_has_an_empty_redis_database(redis_url: str, _round: int):
    assert redis_command(redis_url, "DBSIZE") == ":0"
    assert redis_command(redis_url, "SET", "mine", "1") == "+OK"


async def test_postgresql_can_be_stopped_paused_and_started_again(own_postgres: PostgresServer):
    url = own_postgres.url("postgres")
    connection = await asyncpg.connect(url)

    own_postgres.pause()
    with pytest.raises(TimeoutError):
        await connection.fetchval("select 1", timeout=0.2)
    own_postgres.resume()
    await asyncio.to_thread(own_postgres.stop)
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await asyncpg.connect(url)

    await asyncio.to_thread(own_postgres.start)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select 1") == 1
    await connection.close()


def test_redis_can_be_stopped_paused_and_started_again(own_redis: RedisServer):
    own_redis.pause()
    own_redis.resume()
    own_redis.kill()
    with pytest.raises(OSError):
        redis_command(own_redis.url(0), "PING")

    own_redis.start()
    assert redis_command(own_redis.url(0), "PING") == "+PONG"


@pytest.mark.parametrize("kind", ["PostgresServer", "RedisServer"])
def test_a_server_ends_with_a_test_process_that_is_killed(kind: str):
    program = (
        f"from support.services import {kind}; import sys, time\n"
        f"server = {kind}().start(); print(server.pid_file.read_text().split()[0], server.folder, flush=True)\n"
        "time.sleep(600)"
    )
    tests = Path(__file__).parent
    killed = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tests)}
    )
    assert killed.stdout is not None
    server, folder = killed.stdout.readline().split()

    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()

    eventually(lambda: not Path(f"/proc/{server}").exists() and not Path(folder).exists())
