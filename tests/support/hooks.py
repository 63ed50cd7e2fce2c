"""An account with a project whose events are delivered, without a server around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.licensing.webhooks import ExecutionNews
from moonlatch.operations import endpoints, projects
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.storage import deliveries
from moonlatch.storage.deliveries import Attempt, Delivery
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.endpoints import find_owned as find_endpoint
from moonlatch.storage.interface import Database
from moonlatch.web.outgoing import Outgoing
from moonlatch.web.reach import Reach
from moonlatch.webhooks.deliverer import Deliverer
from support import rows
from support.client_server import MovableClock
from support.keys import MASTER

T = TypeVar("T")
TIMEOUT_SECONDS = 5.0


@dataclass
class Hooks:
    """What the tests of webhooks work with. `clock` moves the schedule; how long calls take is real."""

    world: World
    clock: MovableClock
    client: Outgoing
    project: str
    account: str
    deliverers: list[Deliverer] = field(default_factory=list)
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.world.database

    @property
    def actor(self) -> Actor:
        return Actor(account_id=self.account, kind=ActorKind.CLI, id="t", name="tester")

    async def change(self, operation: Callable[[Change], Awaitable[T]]) -> T:
        return await perform(self.world, self.actor, operation)

    async def endpoint(self, url: str, **options: Any) -> tuple[Endpoint, str]:
        """An endpoint of the project, and its secret. Without a word it gets no event of its own."""
        options = {"name": "hook", "events": None, "executions": ExecutionNews.NONE, **options}
        made = await self.change(lambda change: endpoints.create(change, self.project, url=url, **options))
        await rows.change(self.database, "delete from deliveries where kind = 'endpoint.created'")
        return made

    async def rename(self, name: str) -> None:
        """Something that happens in the project."""
        await self.change(lambda change: projects.edit(change, self.project, {"name": name}))

    def deliverer(self, *, is_alone: bool = True, timeout_seconds: float = TIMEOUT_SECONDS) -> Deliverer:
        return Deliverer(self.world, self.client, timeout_seconds=timeout_seconds, most=64, is_alone=is_alone)

    def start(self, **options: Any) -> asyncio.Task[None]:
        self.deliverers.append(deliverer := self.deliverer(**options))
        task = asyncio.create_task(deliverer.run())
        self._running.append(task)
        return task

    def counted(self) -> Counter[str]:
        """What became of attempts."""
        return sum((each.counts.outcomes for each in self.deliverers), Counter())

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._running.clear()

    async def found(self, endpoint: Endpoint, state: str = "") -> list[Delivery]:
        """An endpoint's deliveries, the oldest first."""
        found = await deliveries.list_of_endpoint(self.database, endpoint.id, state=state, before_id=None, limit=1000)
        return found[::-1]

    async def ended(self, endpoint: Endpoint, state: str, count: int = 1) -> list[Delivery]:
        """Wait until so many deliveries are in a state."""
        async with asyncio.timeout(60):
            while len(found := await self.found(endpoint, state)) < count:
                await asyncio.sleep(0.02)
        return found

    async def tried(self, delivery: Delivery, attempts: int) -> list[Attempt]:
        """Wait for so many attempts; the newest first."""
        async with asyncio.timeout(60):
            while len(found := await deliveries.attempts(self.database, delivery.id, limit=50)) < attempts:
                await asyncio.sleep(0.02)
        return found

    async def now(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as it is kept now."""
        found = await find_endpoint(self.database, endpoint.id, self.account)
        assert found is not None
        return found

    async def until(self, endpoint: Endpoint, is_so: Callable[[Endpoint], bool]) -> Endpoint:
        """Wait until something is so of the endpoint."""
        async with asyncio.timeout(60):
            while not is_so(found := await self.now(endpoint)):
                await asyncio.sleep(0.02)
        return found


@contextlib.asynccontextmanager
async def hooks_on(database: Database, clock: MovableClock) -> AsyncIterator[Hooks]:
    project = await rows.add_project(database)
    account = await rows.value(database, "select account_id from projects where id = :id", id=project)
    async with Outgoing(Reach(["127.0.0.0/8"]), keeps_connections=True) as client:
        world = World(database=database, tiers=BUILT_IN, clock=clock, keyring=Keyring(MASTER), outgoing=client)
        hooks = Hooks(world, clock, client, project, account)
        try:
            yield hooks
        finally:
            await hooks.stop()
