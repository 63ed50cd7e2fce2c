"""PostgreSQL goes away in every way there is, under load: no call waits past its deadline, nothing is lost or doubled, all heals."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from typing import Any

import asyncpg
import pytest

from moonlatch.storage.interface import OutcomeUnknown, Query, StorageError, Unavailable
from moonlatch.storage.postgres.connections import PostgresOptions
from moonlatch.storage.postgres.engine import INCARNATION, PostgresDatabase, open_postgres
from support.accounts import SET_USED, USED, add_account
from support.database import asked
from support.ledger import Ledger
from support.proxy import CUTS, proxied
from support.rounds import rounds
from support.services import PostgresServer

CALLERS = 12
DEADLINE_SECONDS = 1.0
BUSY_MACHINE_SECONDS = 10.0
"""How late a call may be answered because this machine was busy with something else."""
HEALED_SECONDS = 5.0
OPTIONS = PostgresOptions(deadline_seconds=DEADLINE_SECONDS, max_connections=6)


async def opened(url: str) -> PostgresDatabase:
    return await open_postgres(url, OPTIONS)


async def test_of_many_cuts_in_the_network_none_loses_or_doubles_anything(own_postgres: PostgresServer) -> None:
    moments = random.Random(20_261_124)
    async with proxied(own_postgres.port) as proxy:
        url = own_postgres.url("postgres").replace(str(own_postgres.port), str(proxy.port))
        database = await opened(url)
        ledger = Ledger(database, callers=CALLERS)
        await ledger.prepare()
        writing = asyncio.create_task(ledger.write())
        healed = []
        for number in range(rounds(8, 200)):
            await asyncio.sleep(moments.uniform(0.01, 0.15))
            await proxy.cut(CUTS[number % len(CUTS)])
            await asyncio.sleep(moments.uniform(0.01, 1.5 * DEADLINE_SECONDS if number % 5 == 2 else 0.3))
            await proxy.heal()
            healed.append(await asyncio.wait_for(ledger.answered(), 30))
        ledger.stop()
        await writing
        await database.close()

    direct = await opened(own_postgres.url("postgres"))
    await ledger.compare(direct)
    await direct.close()
    counts = ledger.counts()
    assert counts["written"] > counts["failed"] > 0, counts
    assert ledger.slowest_seconds < DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
    assert max(healed) < HEALED_SECONDS + BUSY_MACHINE_SECONDS


async def test_of_many_crashes_of_postgresql_none_loses_or_doubles_anything(own_postgres: PostgresServer) -> None:
    moments = random.Random(20_261_125)
    database = await opened(own_postgres.url("postgres"))
    ledger = Ledger(database, callers=CALLERS)
    await ledger.prepare()
    writing = asyncio.create_task(ledger.write())
    healed = []
    for number in range(rounds(3, 50)):
        await asyncio.sleep(moments.uniform(0.05, 0.3))
        await asyncio.to_thread(own_postgres.kill if number % 2 else own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)
        healed.append(await asyncio.wait_for(ledger.answered(), 30))
    ledger.stop()
    await writing

    await ledger.compare(database)
    await database.close()
    assert ledger.counts()["written"] > 0
    assert ledger.slowest_seconds < DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
    assert max(healed) < HEALED_SECONDS + BUSY_MACHINE_SECONDS


async def test_a_commit_whose_answer_is_lost_is_looked_up(own_postgres: PostgresServer) -> None:
    """The connection breaks between the server's commit and its answer, as often as it takes to meet that moment."""
    async with proxied(own_postgres.port) as proxy:
        # No look-up is to be given up here because the machine is busy.
        patient = PostgresOptions(deadline_seconds=20, max_connections=6)
        url = own_postgres.url("postgres").replace(str(own_postgres.port), str(proxy.port))
        database = await open_postgres(url, patient)
        ledger = Ledger(database, callers=CALLERS)
        await ledger.prepare()
        writing = asyncio.create_task(ledger.write())
        for _ in range(rounds(12, 300)):
            await asyncio.sleep(0.02)
            await proxy.cut("reset")
            # On a busy machine it may take longer than the pause to connect anew, and a look-up would find nothing but resets.
            await asyncio.wait_for(ledger.answered(), 30)
        ledger.stop()
        await writing
        await ledger.compare(database)
        await database.close()
    # Every break was over at once, so each fate could be found out.
    assert ledger.counts()["unknown"] == 0


async def test_a_connection_that_is_slow_to_go_back_takes_no_commit_with_it(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncpg.Pool.release

    async def slow(pool: asyncpg.Pool, connection: Any) -> None:
        await asyncio.sleep(2 * DEADLINE_SECONDS)
        await release(pool, connection)

    database = await opened(own_postgres.url("postgres"))
    monkeypatch.setattr(asyncpg.Pool, "release", slow)
    await add_account(database, "one")  # raises where it is told to have failed
    monkeypatch.undo()
    await database.close()


@pytest.mark.parametrize("crash", ["of the server", "of one process"])
async def test_what_a_crashed_database_says_of_a_commit_before_is_not_believed(
    own_postgres: PostgresServer, crash: str
) -> None:
    """It may have forgotten that commit, and mean another one to which it gave the same id since."""
    own = Query(
        "test.own",
        f"update accounts set name = name returning pg_current_xact_id()::text, {INCARNATION}, pg_backend_pid()",
    )
    database = await opened(own_postgres.url("postgres"))
    await add_account(database, "ann")
    witness = await asyncpg.connect(own_postgres.url("postgres"))
    broken = asyncio.Event()
    witness.add_termination_listener(lambda _: broken.set())
    try:
        written, incarnation, process = await database.run(lambda transaction: transaction.fetch_one(own))
        until = asyncio.get_running_loop().time() + 30
        await database._find_out_fate(written, incarnation, until)
        if crash == "of the server":
            own_postgres.kill()
            own_postgres.start()
        else:
            os.kill(process, signal.SIGKILL)
        async with asyncio.timeout(60):
            # Before the server notices that a process of its died, it still answers, and rightly.
            await broken.wait()
            with pytest.raises(OutcomeUnknown):
                await database._find_out_fate(written, incarnation, until)
    finally:
        await database.close()


async def test_a_database_that_hangs_fails_every_call_in_time(own_postgres: PostgresServer) -> None:
    database = await opened(own_postgres.url("postgres"))
    await add_account(database, "ann")
    hot = Query("test.hot", USED.sql, is_hot=True)
    own_postgres.pause()
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcomes = await asyncio.gather(
            *(database.fetch_one(USED, id="ann") for _ in range(10)),
            *(asked(database, hot, "ann") for _ in range(10)),
            *(database.run(lambda tx: tx.execute(SET_USED, id="ann", used=1)) for _ in range(10)),
            return_exceptions=True,
        )
        assert loop.time() - began < DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
        assert Counter(isinstance(outcome, Unavailable) for outcome in outcomes) == {True: 30}
    finally:
        own_postgres.resume()

    async with asyncio.timeout(HEALED_SECONDS + BUSY_MACHINE_SECONDS):
        while True:
            try:
                assert await asked(database, hot, "ann") is not None
                break
            except StorageError:
                await asyncio.sleep(0.02)
    await database.close()


async def test_a_server_that_is_down_is_unavailable_at_once(own_postgres: PostgresServer) -> None:
    database = await opened(own_postgres.url("postgres"))
    await asyncio.to_thread(own_postgres.stop)

    for attempt in (database.fetch_all(USED, id="ann"), database.run(lambda tx: tx.fetch_all(USED, id="ann"))):
        with pytest.raises(Unavailable):
            await attempt
    await database.close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await opened(own_postgres.url("postgres"))
