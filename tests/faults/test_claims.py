"""Many reach for few free places at the same moment, from several processes' connections: exactly as many get one as there are."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from moonlatch.clock import now_ms
from moonlatch.crypto import new_id
from moonlatch.live.interface import Told
from moonlatch.live.memory import LocalLive
from moonlatch.storage import quota, users
from moonlatch.storage.executions import Execution, ExecutionLog, OvertakenError, Use
from moonlatch.storage.interface import Database
from moonlatch.storage.users import User
from support import rows
from support.database import ENGINES, engine_url, opened, opened_at
from support.keys import stored
from support.live import AnyLive, Recorded, empty, has_place, new_instance, new_session, redis_live
from support.rounds import rounds

CLAIMANTS = 64
ROUNDS = rounds(3, 200)
PROCESSES = 3
"""Databases opened side by side: none knows of the others, as if each were in a process of its own."""


@pytest.fixture(params=ENGINES)
async def databases_side_by_side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Database]]:
    with engine_url(request, request.param) as url:
        async with contextlib.AsyncExitStack() as closing:
            yield [await closing.enter_async_context(opened_at(url, tmp_path)) for _ in range(PROCESSES)]


@pytest.fixture(params=range(ROUNDS))
def places(request: pytest.FixtureRequest) -> int:
    """How many are free in this round: the edges first, then anything between."""
    edges = (1, CLAIMANTS - 1, 7)
    number: int = request.param
    return edges[number] if number < len(edges) else random.Random(number).randrange(1, CLAIMANTS)


async def all_at_once(claims: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*claims, return_exceptions=True)


def starts_of(project: str, script: str, user: str, *, devices: int) -> list[Execution]:
    """A start of the key from each claimant, spread over so many devices."""
    return [
        Execution(
            id=new_id(),
            project_id=project,
            script_id=script,
            build=1,
            user_id=user,
            premium=True,
            fingerprint=b"device %d" % (number % devices),
            ip=b"ip",
            executor="x",
            started_at=now_ms(),
        )
        for number in range(CLAIMANTS)
    ]


async def record(databases: Sequence[Database], executions: Sequence[Execution]) -> list[Any]:
    logs = [ExecutionLog(database) for database in databases]
    return await all_at_once([logs[number % len(logs)].record(one) for number, one in enumerate(executions)])


async def test_max_executions(databases_side_by_side: list[Database], places: int) -> None:
    database = databases_side_by_side[0]
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    user = await rows.id_of(database, await rows.add_user(database, project, max_executions=places))

    outcomes = await record(databases_side_by_side, starts_of(project, script, user, devices=1))

    uses = sorted(outcome.executions for outcome in outcomes if isinstance(outcome, Use))
    assert uses == list(range(1, places + 1))
    assert sum(isinstance(outcome, OvertakenError) for outcome in outcomes) == CLAIMANTS - places
    for count in (
        "select executions from users where id = :user",
        "select count(*) from executions where script_id = :script",
        "select total_executions from scripts where id = :script",
        "select sum(executions) from execution_days where script_id = :script",
    ):
        assert await rows.value(database, count, user=user, script=script) == places


async def test_the_first_device_to_use_a_key(databases_side_by_side: list[Database], places: int) -> None:
    database = databases_side_by_side[0]
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    user = await rows.id_of(database, await rows.add_user(database, project))

    executions = starts_of(project, script, user, devices=max(2, places))
    outcomes = await record(databases_side_by_side, executions)

    winners = {one.fingerprint for one, outcome in zip(executions, outcomes, strict=True) if isinstance(outcome, Use)}
    bound = await rows.value(database, "select fingerprint from users where id = :user", user=user)
    assert winners == {bound}
    by_winner = sum(one.fingerprint == bound for one in executions)
    assert await rows.value(database, "select executions from users where id = :user", user=user) == by_winner


async def test_obfuscation_quota(databases_side_by_side: list[Database], places: int) -> None:
    database = databases_side_by_side[0]
    await rows.add_project(database)
    account = await rows.value(database, "select id from accounts")
    now = now_ms()

    claims = await all_at_once(
        [
            one.run(lambda tx: quota.claim(tx, account, 1, limit=places, now=now))
            for _, one in zip(range(CLAIMANTS), databases_side_by_side * CLAIMANTS, strict=False)
        ]
    )

    assert [claim for claim in claims if not isinstance(claim, bool)] == []
    assert sum(claims) == places
    assert await rows.value(database, "select obfuscations_used from accounts") == places


async def test_one_discord_per_project(databases_side_by_side: list[Database], places: int) -> None:
    """So many ids are free; each is wanted by several keys."""
    database = databases_side_by_side[0]
    project = await rows.add_project(database)

    outcomes = await all_at_once(
        [
            one.run(
                lambda tx, number=number: users.insert(
                    tx,
                    [
                        User(
                            id=f"id-{number}",
                            **stored(f"key-{number}", user_id=f"id-{number}", project_id=project),
                            project_id=project,
                            discord_id=f"discord-{number % places}",
                            created_at=1,
                        )
                    ],
                )
            )
            for number, one in zip(range(CLAIMANTS), databases_side_by_side * CLAIMANTS, strict=False)
        ]
    )

    assert outcomes.count([True]) == places
    assert outcomes.count([False]) == CLAIMANTS - places
    assert await rows.value(database, "select count(distinct discord_id) from users") == places


async def test_max_instances(request: pytest.FixtureRequest, tmp_path: Path, places: int) -> None:
    """In one process and among several, as many copies of a key start, or come back by a beat or a session, as it may run."""
    async with opened(tmp_path / "moonlatch.db") as database:
        local = LocalLive(database=database, clock=now_ms)
        assert await winners([local], places) == places
        await empty(local)
        url = request.getfixturevalue("redis_url")
        async with contextlib.AsyncExitStack() as closing:
            shared = [await closing.enter_async_context(redis_live(url, database)) for _ in range(PROCESSES)]
            assert await winners(shared, places) == places
            assert await shared[0].instances_of("key") == places


async def winners(processes: Sequence[AnyLive], places: int) -> int:
    def claim(number: int) -> Awaitable[Any]:
        live, copy = processes[number % len(processes)], new_instance(key="key")
        match number // len(processes) % 3:
            case 0:
                return live.claim(copy, places, beats=True)
            case 1:
                return live.beat(copy, 1, False, limit=places)
            case _:
                return live.join(new_session(copy), copy, Recorded(), Told(0, None), new_id(), limit=places)

    return sum(await asyncio.gather(*(has_place(claim(number)) for number in range(CLAIMANTS))))
