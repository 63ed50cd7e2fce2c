"""A seller with a project that is linked to a server of our own Discord, and the endpoint that Discord calls, on a real database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from moonlatch.discord.face import PATH, DiscordFace
from moonlatch.discord.role_sync import sync_some
from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.live.memory import LocalLive
from moonlatch.operations import discord, users
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.storage import discord_links, discord_roles, events
from moonlatch.storage.discord_links import Link
from moonlatch.storage.events import Event, EventFilter
from moonlatch.storage.interface import Database
from moonlatch.storage.user_keys import key_of
from moonlatch.storage.users import User, find_by_discord
from moonlatch.web.discord_api import DiscordApi
from moonlatch.web.limits import Buckets, RateLimit
from moonlatch.web.outgoing import Outgoing
from moonlatch.web.reach import ANYWHERE
from support import rows
from support.client_server import MovableClock, plain_http, served
from support.discord import ADMINS, CUSTOMERS, GUILD, STAFF, TOKEN, Client, FakeDiscord, Person
from support.keys import MASTER

T = TypeVar("T")

PUBLIC_URL = "https://scripts.example.com"
ROLES = {STAFF: "support", ADMINS: "admin"}


@dataclass
class Seller:
    """What the tests of Discord work with."""

    world: World
    discord: FakeDiscord
    client: Client
    face: DiscordFace
    clock: MovableClock
    account: str
    project: str

    @property
    def database(self) -> Database:
        return self.world.database

    @property
    def actor(self) -> Actor:
        return Actor(account_id=self.account, kind=ActorKind.CLI, id="t", name="tester")

    async def change(self, operation: Callable[[Change], Awaitable[T]]) -> T:
        return await perform(self.world, self.actor, operation)

    async def connect(self) -> None:
        found = await discord.look_up(self.world, TOKEN)
        await self.change(lambda change: discord.connect(change, found, TOKEN))

    async def link(self, project: str | None = None, **changes: Any) -> Link:
        """Link the project, or change its link."""
        return await self.change(lambda change: discord.link(change, project or self.project, changes))

    async def another_project(self, name: str, **changes: Any) -> str:
        """A further project of the account, linked to the same server."""
        project = await rows.add_project(self.database)
        await rows.change(
            self.database,
            "update projects set account_id = :account, name = :name where id = :id",
            account=self.account,
            name=name,
            id=project,
        )
        await self.link(project, guild_id=GUILD, roles=ROLES, **changes)
        return project

    async def user(self, **settings: Any) -> tuple[User, str]:
        """A user of the project, and its key."""
        project = settings.pop("project", self.project)
        (user,) = await self.change(lambda change: users.create(change, project, [settings], keys=[None]))
        assert self.world.keyring is not None
        return user, key_of(self.world.keyring, user)

    async def owned(self, person: Person, project: str | None = None) -> User | None:
        """The user who is theirs now."""
        return await find_by_discord(self.database, project or self.project, person.id)

    async def events(self, kind: str) -> list[Event]:
        return await events.list_of_account(
            self.database, self.account, EventFilter(kind=kind), before_id=None, limit=100
        )

    async def sync(self) -> None:
        """Look at everybody who is due now."""
        while await sync_some(self.world, self.account):
            pass

    async def link_now(self) -> Link:
        found = await discord_links.find(self.database, self.project)
        assert found is not None
        return found

    async def is_due(self) -> bool:
        return bool(await discord_roles.waiting_accounts(self.database, now=self.clock()))


def no_limit(_kind: str, *, per_second: float, burst: int) -> RateLimit:
    return Buckets(per_second=1e6, burst=1_000_000)


@contextlib.asynccontextmanager
async def seller_on(
    database: Database, fake: FakeDiscord, *, answer_seconds: float = 2.0, limits: Any = no_limit
) -> AsyncIterator[Seller]:
    """A seller whose project has customers, staff and admins on the server."""
    clock = MovableClock()
    project = await rows.add_project(database)
    account = await rows.value(database, "select account_id from projects where id = :id", id=project)
    live = LocalLive(database=database, clock=clock)
    async with Outgoing(ANYWHERE, keeps_connections=True) as outgoing:
        world = World(
            database=database,
            tiers=BUILT_IN,
            clock=clock,
            keyring=Keyring(MASTER),
            live=live,
            discord=DiscordApi(outgoing, fake.url),
        )
        face = DiscordFace(world, PUBLIC_URL, limits, answer_seconds=answer_seconds)
        async with served(face) as url, plain_http(timeout=60) as http:
            client = Client(fake, http, url + PATH, clock)
            seller = Seller(world, fake, client, face, clock, account, project)
            await seller.connect()
            await seller.link(guild_id=GUILD, roles=ROLES, customer_role_id=CUSTOMERS)
            try:
                yield seller
            finally:
                await face.aclose()
                await live.close_all()
