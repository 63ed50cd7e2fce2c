"""Durable executions of a script with a rollout and 100,000 pinned keys against the same script without: `python bench/rollout.py`.

Every second of the keys that start is pinned; the others take part in the rollout, which gives the build to half of them. Both servers
have as many users.

Goal: a start costs at most 1.02 times as much.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import engines
import execute
import licensed_script
import servers
from figures import Figure, print_table
from load import compare, load, measured
from rates import ROUNDS, SECONDS

from moonlatch.clock import now_ms
from moonlatch.crypto import new_id
from moonlatch.licensing.rollout import RolloutState, Step
from moonlatch.storage import plans, rollouts
from moonlatch.storage.interface import Database, Query, Transaction
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.rollouts import Rollout
from moonlatch.storage.sqlite.engine import open_sqlite
from support import rows

PINNED = 100_000
GOAL = 1.02
_PATH = "/client/v1/execute"
_BATCH = 5_000
_ADD_PIN = Query(
    "bench.add_pin",
    "insert into pins (user_id, script_id, build, created_at) values (:user, :script, 1, 1)",
)


def measure(rounds: int, seconds: float, engine: str, pinned: int = PINNED) -> list[Figure]:
    """What a start costs with a plan, of what it does without. Raises NotThereError."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as plain_folder,
        engines.database(engine) as url,
        engines.database(engine) as plain_url,
    ):
        script = _made(Path(folder), url, pinned, is_planned=True)
        plain = _made(Path(plain_folder), plain_url, pinned, is_planned=False)
        bodies, plain_bodies = (
            [execute.starts(one, number) for number in range(execute.CONNECTIONS)] for one in (script, plain)
        )
        with servers.started("ours", folder, url) as ours, servers.started("ours", plain_folder, plain_url) as baseline:
            load(ours.port, _PATH, bodies, 0.5)
            load(baseline.port, _PATH, plain_bodies, 0.5)
            print(f"executions, {engine}, with a rollout and {pinned:,} pins, against none:")
            found = compare(
                lambda: measured(ours, _PATH, bodies, seconds),
                lambda: measured(baseline, _PATH, plain_bodies, seconds),
                rounds,
            )
    what = f"executions, rollout and {pinned:,} pins, {engine}"
    return [Figure(what, found.measured, 1 / found.speed, GOAL)]


def _made(folder: Path, url: str, pinned: int, *, is_planned: bool) -> licensed_script.LicensedScript:
    script = licensed_script.make(
        folder, users=execute.CONNECTIONS, payload_bytes=execute.PAYLOAD_BYTES, database_url=url
    )
    asyncio.run(_furnish(folder, url, script, pinned, is_planned=is_planned))
    return script


async def _furnish(
    folder: Path, url: str, script: licensed_script.LicensedScript, pinned: int, *, is_planned: bool
) -> None:
    """Further users, and where it is planned, their pins and a rollout of a second build."""
    database = await (open_postgres(url) if url else open_sqlite(folder / servers.DATABASE))
    project = await rows.value(database, "select project_id from scripts where id = :id", id=script.script)
    others = [new_id() for _ in range(pinned - len(script.ids) // 2)]
    for start in range(0, len(others), _BATCH):
        await _add_users(database, project, others[start : start + _BATCH])
    if is_planned:
        await rows.add_build(database, script.script, 2, os.urandom(execute.PAYLOAD_BYTES))
        users = [*script.ids[::2], *others]
        for start in range(0, len(users), _BATCH):
            await _add_pins(database, script.script, users[start : start + _BATCH])
        await database.run(lambda tx: _begin(tx, script.script))
    await database.close()


async def _add_users(database: Database, project: str, users: list[str]) -> None:
    values = [(user, os.urandom(32), os.urandom(64), b"AbCd", b"wXyZ", project, None) for user in users]
    await database.run(lambda tx: tx.execute_each(licensed_script.ADD_USER, values))


async def _add_pins(database: Database, script: str, users: list[str]) -> None:
    await database.run(lambda tx: tx.execute_each(_ADD_PIN, [(user, script) for user in users]))


async def _begin(tx: Transaction, script: str) -> None:
    now = now_ms()
    rollout = Rollout(
        id=new_id(),
        script_id=script,
        build=2,
        state=RolloutState.PAUSED,
        steps=(Step(5_000, 60),),
        step=0,
        step_since=now,
        salt=new_id(),
        created_at=now,
    )
    await rollouts.insert(tx, rollout)
    await plans.write(tx, script)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--engine", choices=list(execute.GOALS), default=engines.SQLITE)
    arguments.add_argument("--pinned", type=int, default=PINNED)
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.rounds, options.seconds, options.engine, options.pinned))


if __name__ == "__main__":
    sys.exit(main())
