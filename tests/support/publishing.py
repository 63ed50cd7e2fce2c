"""A publisher over a real database and real worker processes, with an account, a project and scripts to publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from moonlatch.builds.outcomes import Published
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.protection import Asked
from moonlatch.builds.publisher import LoaderRecipe, Publisher
from moonlatch.builds.workshop import Workshop
from moonlatch.clock import DAY_MS
from moonlatch.crypto import new_id
from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import NO_LIMITS, Tier
from moonlatch.live.memory import LocalLive
from moonlatch.luraph.order import RemoteEngine
from moonlatch.metrics.counts import BuildCounts
from moonlatch.operations.changing import Intent
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.operations.publishing import publish
from moonlatch.storage import accounts, builds, loaders, projects, scripts
from moonlatch.storage.accounts import Account
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database, Query
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script

NOW = 400 * DAY_MS
PAYLOAD = Query("test.payload", "select payload from builds where script_id = :id and number = :number")
LOADER = Query("test.loader", "select source from loaders where id = :id")


class WatchedLive(LocalLive):
    """The real thing, which also notes what it was told."""

    def __init__(self, database: Database) -> None:
        super().__init__(database=database, clock=lambda: NOW)
        self.changed: list[str] = []

    async def script_changed(self, script_id: str) -> None:
        self.changed.append(script_id)
        await super().script_changed(script_id)


def write_loader(
    *,
    script_id: str,
    loader_id: str,
    secret: bytes,
    signing_key: bytes,
    exchange_key: bytes,
    base_url: str,
    keeps_leases: bool,
    reports_errors: bool,
) -> bytes:
    """A small loader: plain Lua that returns what it was made with."""
    return f"return {script_id!r}, {loader_id!r}, {secret.hex()!r}, {base_url!r}, {str(keeps_leases)!r}, {str(reports_errors)!r}".encode()


@dataclass(frozen=True)
class Updates:
    """Publishes by the operation, on one world."""

    world: World

    @property
    def counts(self) -> BuildCounts:
        assert self.world.publisher is not None
        return self.world.publisher.counts

    async def update(
        self, account: Account, script: Script, source: str, asked: Asked | None = None, **intent: Any
    ) -> Published:
        actor = Actor(account_id=account.id, kind=ActorKind.CLI, id="test", name="test")
        return await publish(self.world, actor, script, source, asked=asked, intent=Intent(**intent))

    async def protection(self, script: Script, asked: Asked | None = None) -> Protection | None:
        assert self.world.publisher is not None
        return await self.world.publisher.protection(script, asked)


class Publishing:
    """One account of one tier, and a publisher for it. `now` may be moved."""

    def __init__(
        self, database: Database, workers: WorkerPool, tier: Tier = NO_LIMITS, remote: RemoteEngine | None = None
    ) -> None:
        self.now = NOW
        self.database = database
        self.live = WatchedLive(database)
        self.keyring = Keyring(bytes(32))
        self.workshop = Workshop(database=database, keyring=self.keyring, workers=workers, remote=remote)
        self.tier = tier
        self.account = Account(
            id=new_id(), name="owner", tier=tier.name, expires_at=None, created_at=NOW, obfuscation_period_start=NOW
        )
        self.project = Project(id=new_id(), account_id=self.account.id, name="project", created_at=NOW)

    def publisher(self, *, loader: LoaderRecipe | None = None, public_url: str = "http://127.0.0.1:8400") -> Updates:
        publisher = Publisher(
            database=self.database,
            workshop=self.workshop,
            public_url=public_url,
            keyring=self.keyring,
            loader=loader or LoaderRecipe(version=1, write=write_loader),
            clock=lambda: self.now,
        )
        return Updates(
            World(
                database=self.database,
                keyring=self.keyring,
                tiers={self.tier.name: self.tier},
                clock=lambda: self.now,
                live=self.live,
                publisher=publisher,
            )
        )

    async def set_up(self) -> Script:
        """Write the account and the project; gives a first script."""
        await self.database.run(lambda tx: accounts.insert(tx, self.account))
        await self.database.run(lambda tx: projects.insert(tx, self.project))
        return await self.new_script()

    async def new_script(self) -> Script:
        script = Script(id=new_id(), project_id=self.project.id, name="script", created_at=NOW)
        await self.database.run(lambda tx: scripts.insert(tx, script))
        return script

    async def script(self, script_id: str) -> Script:
        """The script as it stands now."""
        found = await scripts.find(self.database, script_id)
        assert found is not None
        return found

    async def used(self) -> int:
        """Obfuscations counted against the account."""
        found = await accounts.find(self.database, self.account.id)
        assert found is not None
        return found.obfuscations_used

    async def build_ms_used(self) -> int:
        """Build time counted against the account."""
        found = await accounts.find(self.database, self.account.id)
        assert found is not None
        return found.build_ms_used

    async def expire(self) -> Account:
        """Let the account have expired; gives it."""
        self.account = msgspec.structs.replace(self.account, expires_at=self.now)
        await self.database.run(lambda tx: accounts.save(tx, self.account))
        return self.account

    async def snapshot(self, script_id: str) -> tuple[object, ...]:
        """Everything an update could change."""
        return (
            await self.used(),
            await self.script(script_id),
            await builds.list_of_script(self.database, script_id),
            await loaders.find_served(self.database, script_id),
            list(self.live.changed),
        )

    async def payload(self, script_id: str, number: int) -> str:
        """The protected text of a build."""
        row = await self.database.fetch_one(PAYLOAD, id=script_id, number=number)
        assert row is not None
        return bytes(row[0]).decode("ascii")

    async def loader_source(self, script_id: str) -> str:
        """The protected text of the loader that is served."""
        row = await self.database.fetch_one(LOADER, id=(await self.script(script_id)).loader)
        assert row is not None
        return bytes(row[0]).decode("ascii")
