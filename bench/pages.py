"""Pages of users and sessions, with filters, among many and among a thousand: `python bench/pages.py`.

Two installations answer the same calls of the management API in turn, in this process and without a network.

Goal: no page among 1,000,000 users and 100,000 sessions takes more than twice as long as the same one among 1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from figures import Figure, print_table

from moonlatch.app import open_moonlatch
from moonlatch.cli.first_start import first_account
from moonlatch.clock import DAY_MS, now_ms
from moonlatch.config import Settings
from moonlatch.crypto import new_id
from moonlatch.keyring import Keyring
from moonlatch.live.hub import Member
from moonlatch.live.interface import Instance, Session, Told
from moonlatch.master_key import MasterKeySource
from moonlatch.storage import projects, scripts
from moonlatch.storage.interface import Database, Query, Transaction
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.user_keys import as_stored

FEW, MANY_USERS, MANY_SESSIONS = 1_000, 1_000_000, 100_000
ROUNDS = 60
LIMIT = 20
# A page is full in both installations, whatever it asks for.
PER_NOTE, PER_JOB, PER_PLACE_SHARE, EVERY = 25, 25, 4, 10
INSERTED_AT_ONCE = 20_000

ADD_USER = Query(
    "bench.add_user_of_many",
    """
    insert into users (
        id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, key_expires, blacklisted, executions, created_at
    ) values (
        :id, :key_hash, :key_sealed, :start_code, :end_code, :project, :discord, :note, :expires, :blacklisted, 0, :created
    )
    """,
)


class Silent:
    """A session's socket that nothing is sent to."""

    def close(self, _code: int, _reason: str) -> None: ...


@dataclass
class Installation:
    """A project with one script, and many users and sessions."""

    http: httpx.AsyncClient
    project: str
    script: str
    key: str
    """Of one of the sessions' users."""

    def calls(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """A name, method, path and query or body for every page that is measured."""
        users, filtered = f"/projects/{self.project}/users", f"/scripts/{self.script}/sessions/filter"
        page = {"limit": LIMIT}
        yield "script", "GET", f"/scripts/{self.script}", {}
        yield "users", "GET", users, page
        yield "users from 900", "GET", users, {**page, "from": 900}
        yield "users: discord_id", "GET", users, {**page, "discord_id": str(10**17 + 7)}
        yield "users: note", "GET", users, {**page, "note": "note 3"}
        yield "users: key_starts", "GET", users, {**page, "key_starts": self.key[:5]}
        yield "users: blacklisted", "GET", users, {**page, "blacklisted": "true"}
        yield "users: not blacklisted", "GET", users, {**page, "blacklisted": "false"}
        yield "users: expired", "GET", users, {**page, "expired": "true"}
        yield "users: not expired", "GET", users, {**page, "expired": "false"}
        yield "users: note, not expired", "GET", users, {**page, "note": "note 3", "expired": "false"}
        yield "sessions", "POST", f"/scripts/{self.script}/sessions", page
        yield "sessions from 900", "POST", f"/scripts/{self.script}/sessions", {**page, "from": 900}
        yield "sessions: key", "GET", filtered, {**page, "key": self.key}
        yield "sessions: roblox_id", "GET", filtered, {**page, "roblox_id": "1007"}
        yield "sessions: place_id", "GET", filtered, {**page, "place_id": "3"}
        yield "sessions: job_id", "GET", filtered, {**page, "job_id": "job 3"}
        yield "sessions: place_id, job_id", "GET", filtered, {**page, "place_id": "3", "job_id": "job 3"}

    async def seconds(self, method: str, path: str, asked: dict[str, Any]) -> float:
        began = time.perf_counter()
        where = {"params": asked} if method == "GET" else {"json": asked}
        reply = await self.http.request(method, path, **where)
        took = time.perf_counter() - began
        assert reply.status_code == 200, reply.text
        return took


async def add_users(database: Database, keyring: Keyring, project: str, count: int) -> tuple[list[str], list[str]]:
    """Their keys and ids."""
    now = now_ms()
    keys, ids = [new_id() for _ in range(count)], [new_id() for _ in range(count)]
    rows = (
        (
            user,
            *as_stored(keyring, key, user_id=user, project_id=project).values(),
            project,
            str(10**17 + number),
            f"note {number % (count // PER_NOTE)}",
            now + (-DAY_MS if number % EVERY == 1 else DAY_MS) + number,
            number % EVERY == 2,
            number,
        )
        for number, (key, user) in enumerate(zip(keys, ids, strict=True))
    )
    while part := list(islice(rows, INSERTED_AT_ONCE)):

        async def insert(tx: Transaction, part: list[tuple[Any, ...]] = part) -> None:
            await tx.execute_each(ADD_USER, part)

        await database.run(insert)
    return keys, ids


def members(script: str, project: str, users: list[str], count: int) -> Iterator[Member]:
    for number in range(count):
        user = users[number % len(users)]
        session = Session(
            id=new_id(),
            instance_id=new_id(),
            script_id=script,
            project_id=project,
            user_id=user,
            roblox_id=1000 + number,
            place_id=number % PER_PLACE_SHARE,
            job_id=f"job {number % (count // PER_JOB)}",
            created_at=number,
            executor="Bench",
            build=1,
        )
        instance = Instance(
            id=session.instance_id,
            script_id=script,
            project_id=project,
            user_id=user,
            build=1,
            started_at=number,
            alive_until=number,
        )
        yield Member(session, instance, Silent(), Told(0, None))


@contextlib.asynccontextmanager
async def installation(folder: Path, users: int, sessions: int) -> AsyncIterator[Installation]:
    settings = Settings(data_dir=folder, management={"requests_per_second": 1e6, "burst": 1_000_000})
    async with open_moonlatch(settings) as moonlatch:
        first = await first_account(moonlatch.world, tier="unlimited")
        assert first is not None
        project = Project(id=new_id(), account_id=first.account.id, name="Many", created_at=1)
        script = Script(id=new_id(), project_id=project.id, name="script", created_at=1)

        async def add(tx: Transaction) -> None:
            await projects.insert(tx, project)
            await scripts.insert(tx, script)

        await moonlatch.database.run(add)
        keyring = MasterKeySource(folder).open()
        keys, ids = await add_users(moonlatch.database, keyring, project.id, users)
        hub = moonlatch.live._hub  # noqa: SLF001 -- so many sockets are more than a process may open
        for member in members(script.id, project.id, ids, sessions):
            hub.add(member)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(moonlatch.application),
            base_url="http://bench",
            headers={"token": first.token},
        ) as http:
            yield Installation(http, project.id, script.id, keys[7])
        for member in hub.all():
            hub.remove(member.session.id)


async def compared(folder: Path, rounds: int) -> list[tuple[str, float, float]]:
    """Every call's best seconds among few and among many."""
    async with (
        installation(folder / "few", FEW, FEW) as few,
        installation(folder / "many", MANY_USERS, MANY_SESSIONS) as many,
    ):
        found = []
        for small, large in zip(few.calls(), many.calls(), strict=True):
            pairs = [(await few.seconds(*small[1:]), await many.seconds(*large[1:])) for _ in range(rounds)]
            best = [min(one) for one in zip(*pairs, strict=True)]
            found.append((small[0], *best))
            print(f"  {small[0]:28} {best[0] * 1000:6.2f} ms | {best[1] * 1000:6.2f} ms", flush=True)
        return found


def measure(rounds: int = ROUNDS) -> list[Figure]:
    """The page that many make slowest, of users and of sessions."""
    print(f"pages among {FEW:,} | among {MANY_USERS:,} users and {MANY_SESSIONS:,} sessions:")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(compared(Path(folder), rounds))
    figures = []
    for what in ("users", "sessions"):
        name, few, many = max((one for one in found if one[0].startswith(what)), key=lambda one: one[2] / one[1])
        measured = f"slowest is {name!r}: {many * 1000:.2f} ms against {few * 1000:.2f}"
        figures.append(Figure(f"a page of many {what}", measured, many / few, 2))
    return figures


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    return print_table(measure(arguments.parse_args().rounds))


if __name__ == "__main__":
    sys.exit(main())
