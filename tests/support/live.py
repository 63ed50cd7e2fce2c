"""Live sessions without sockets: instances, sessions and connections that write down what they are told, over either engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from moonlatch.crypto import new_id
from moonlatch.licensing.verdict import Refusal
from moonlatch.live.interface import Instance, MessageOutcome, NoPlaceError, Session, Told
from moonlatch.live.memory import LocalLive
from moonlatch.live.redis import RedisLive
from moonlatch.live.redis_directory import RedisDirectory
from moonlatch.storage.interface import Database
from support.client_server import MovableClock

DEADLINE_SECONDS = 10.0
AnyLive = LocalLive | RedisLive


class Recorded:
    """A connection that writes down what it is told, and answers a message with its data."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.called: list[str] = []
        self.data: list[Any] = []

    def show(self, variables: dict[str, Any]) -> None:
        self.heard.append(variables)

    def forget(self, name: str) -> None:
        self.heard.append(f"forget {name}")

    def assure(self) -> None:
        self.heard.append("alive")

    def stop(self, refusal: Refusal) -> None:
        self.heard.append(refusal.code)

    def close(self, code: int, _reason: str) -> None:
        self.heard.append(code)

    async def call(self, key: str, data: Any, _timeout_seconds: float) -> MessageOutcome:
        self.called.append(key)
        self.data.append(data)
        if key == "silent":
            await asyncio.sleep(_timeout_seconds)
            return MessageOutcome(processed=False, reason="client never responded")
        return MessageOutcome(processed=True, response=data)


def new_instance(script: str = "script", key: str | None = None, **changes: Any) -> Instance:
    return Instance(
        **{
            "id": new_id(),
            "script_id": script,
            "project_id": "project",
            "user_id": key,
            "build": 1,
            "started_at": 1,
            "alive_until": 1,
            **changes,
        }
    )


def new_session(instance: Instance, **changes: Any) -> Session:
    return Session(
        **{
            "id": new_id(),
            "instance_id": instance.id,
            "script_id": instance.script_id,
            "project_id": instance.project_id,
            "user_id": instance.user_id,
            "roblox_id": None,
            "place_id": None,
            "job_id": None,
            "created_at": 1,
            "executor": "Tests",
            "build": instance.build,
            **changes,
        }
    )


async def join(
    live: AnyLive, script: str = "script", project: str = "project", key: str | None = None, **changes: Any
) -> tuple[Session, Recorded]:
    """An open session of a fresh instance; changes are those of the session."""
    instance = new_instance(script, key, project_id=project)
    return await join_as(live, instance, **changes)


async def join_as(live: AnyLive, instance: Instance, **changes: Any) -> tuple[Session, Recorded]:
    session, connection = new_session(instance, **changes), Recorded()
    known = await live.find(instance.id) or instance
    assert await live.join(session, known, connection, Told(0, None), new_id(), limit=None)
    return session, connection


async def has_claimed(live: AnyLive, instance: Instance, limit: int | None) -> bool:
    """Return whether a start gets one of so many places."""
    return await has_place(live.claim(instance, limit, beats=True))


async def has_place(call: Awaitable[Any]) -> bool:
    """Return whether a claim, a beat or a session finds a place."""
    try:
        await call
    except NoPlaceError:
        return False
    return True


@contextlib.asynccontextmanager
async def redis_live(
    url: str, database: Database, clock: MovableClock | None = None, **settings: Any
) -> AsyncIterator[RedisLive]:
    """One process's share, as if it were another process."""
    directory = RedisDirectory(url, "test:", settings.pop("deadline_seconds", DEADLINE_SECONDS))
    live = RedisLive(directory=directory, database=database, clock=clock or MovableClock(), **settings)
    await live.start()
    try:
        yield live
    finally:
        await empty(live.here)
        await live.close()


async def empty(live: LocalLive) -> None:
    """Let every session leave, and end it."""
    for member in live.members():
        await live.leave(member.session.id)
    await live.close_all()


def die(live: RedisLive) -> Awaitable[None]:
    """As if its process had been killed: nothing more is said to Redis."""
    assert live._work is not None
    live._work.cancel()
    return live._directory.close()


async def eventually(condition: Callable[[], Awaitable[Any]], within_seconds: float = 10) -> Any:
    """The condition's value as soon as it is true."""
    async with asyncio.timeout(within_seconds):
        while not (value := await condition()):
            await asyncio.sleep(0.02)
    return value
