"""How anything is changed: one transaction that holds the change, its events and the record of its answer; then the running are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from moonlatch import crypto
from moonlatch.keyring import Keyring
from moonlatch.live.interface import Live
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import ChangedMeanwhile, NotFound, Reason, Refused
from moonlatch.operations.standing import still_standing
from moonlatch.storage import accounts, events, projects, scripts, users
from moonlatch.storage.accounts import Account
from moonlatch.storage.events import Event
from moonlatch.storage.interface import Transaction
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.users import User

T = TypeVar("T")

Tell = Callable[[Live], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Resource:
    """What an event is about. `label` is what a person calls it, with secrets masked."""

    kind: str
    id: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Intent(Generic[T]):
    """How a change is to be made.

    `is_dry_run`: every check in a real transaction, which is then rolled back. `expected`: the version that the resource
    must still have. `keep`: writes down the answer, in the same transaction.
    """

    is_dry_run: bool = False
    expected: str | None = None
    keep: Callable[[Transaction, T], Awaitable[None]] | None = None


class Change:
    """One change on its way: an operation's hands. It may be begun anew, so operations keep nothing outside of it."""

    __slots__ = ("_account", "_events", "_expected", "actor", "now", "tells", "tx", "world")

    def __init__(self, world: World, actor: Actor, tx: Transaction, expected: str | None = None) -> None:
        self.world = world
        self.actor = actor
        self.tx = tx
        self.now = world.clock()
        self.tells: list[Tell] = []
        self._events: list[Event] = []
        self._account: Account | None = None
        self._expected = expected

    @property
    def keyring(self) -> Keyring:
        """The installation's keys. Raises RuntimeError where the master key is not at hand."""
        return keyring_of(self.world)

    async def account(self) -> Account:
        """The actor's account. Raises NotFound when it is gone."""
        if self._account is None:
            self._account = await accounts.find(self.tx, self.actor.account_id)
            if self._account is None:
                raise NotFound("account")
        return self._account

    async def require_active(self) -> None:
        """Raise Refused for an account whose time is over: it may read, and no longer write."""
        if (await self.account()).is_expired(self.now):
            raise Refused(Reason.ACCOUNT_EXPIRED)

    async def project(self, project_id: str) -> Project:
        """A project of the account that the actor reaches. Raises NotFound."""
        found = await projects.find_owned(self.tx, project_id, self.actor.account_id)
        if found is None or not self.actor.reaches(project_id):
            raise NotFound("project")
        return found

    async def script(self, script_id: str) -> Script:
        """A script of the account that the actor reaches. Raises NotFound."""
        found = await scripts.find_owned(self.tx, script_id, self.actor.account_id)
        if found is None or not self.actor.reaches(found.project_id):
            raise NotFound("script")
        return found

    async def user(self, user_id: str) -> User:
        """A user of the account that the actor reaches. Raises NotFound."""
        found = await users.find_owned(self.tx, user_id, self.actor.account_id)
        if found is None or not self.actor.reaches(found.project_id):
            raise NotFound("user")
        return found

    def expect(self, version: str) -> None:
        """Raise ChangedMeanwhile where the resource is no longer at the version that the caller read."""
        if self._expected is not None and not crypto.equal(self._expected, version):
            raise ChangedMeanwhile(version)

    def record(
        self,
        kind: EventKind,
        resource: Resource,
        *,
        project_id: str | None = None,
        changes: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        """Leave an event; it is written with the change, or not at all."""
        self._events.append(new_event(self.actor, kind, resource, now=self.now, project_id=project_id, changes=changes))

    def tell(self, tell: Tell) -> None:
        """Have the running copies told after the commit."""
        self.tells.append(tell)

    async def write_events(self) -> None:
        if self._events:
            await events.append(self.tx, self._events)


def keyring_of(world: World) -> Keyring:
    """The installation's keys. Raises RuntimeError where the master key is not at hand."""
    if world.keyring is None:
        raise RuntimeError("this needs the installation's master key")
    return world.keyring


Operation = Callable[[Change], Awaitable[T]]


class _RolledBack(Exception):
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


async def perform(world: World, actor: Actor, operation: Operation[T], intent: Intent[T] | None = None) -> T:
    """Carry an operation out, for good or to see what it would do, and give its result.

    Raises what the operation raises, NotAllowed for an actor who may no longer act, and UniqueViolation where an answer to the same call is kept already; then nothing
    was changed.
    """
    how: Intent[T] = intent or Intent()

    async def unit(tx: Transaction) -> tuple[T, list[Tell]]:
        change = Change(world, await still_standing(tx, actor, now=world.clock()), tx, how.expected)
        result = await operation(change)
        await change.write_events()
        if how.is_dry_run:
            raise _RolledBack(result)
        if how.keep is not None:
            await how.keep(tx, result)
        return result, change.tells

    try:
        async with world.shares.of(actor.account_id):
            result, tells = await world.database.run(unit)
    except _RolledBack as ended:
        dry: T = ended.result
        return dry
    if world.live is not None:
        for tell in tells:
            await tell(world.live)
    return result


async def note(
    world: World,
    actor: Actor,
    kind: EventKind,
    resource: Resource,
    *,
    project_id: str | None = None,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
) -> None:
    """Leave an event of something that changed nothing, as a refusal."""
    event = new_event(actor, kind, resource, now=world.clock(), project_id=project_id, changes=changes)
    await world.database.run(lambda tx: events.append(tx, [event]))


def new_event(
    actor: Actor,
    kind: EventKind,
    resource: Resource,
    *,
    now: int,
    project_id: str | None,
    changes: Mapping[str, tuple[Any, Any]] | None,
) -> Event:
    return Event(
        id=crypto.new_ordered_id(now),
        account_id=actor.account_id,
        project_id=project_id,
        at=now,
        kind=kind,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        address=actor.address,
        request_id=actor.request_id,
        resource_kind=resource.kind,
        resource_id=resource.id,
        resource_label=resource.label,
        changes=dict(changes or {}),
    )


def differences(
    old: msgspec.Struct, new: msgspec.Struct, *, masked: Mapping[str, Callable[[Any], Any]] = {}
) -> dict[str, tuple[Any, Any]]:
    """`[old, new]` of every field in which two records differ; `masked` says how a secret one is shown."""
    found = {}
    for name in old.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            shown = masked.get(name)
            found[name] = (before, after) if shown is None else (shown(before), shown(after))
    return found


def version_of(record: msgspec.Struct, *, without: frozenset[str]) -> str:
    """What a record is at: the same for the same settings, and another after any change of one.

    `without` names the fields that change by themselves, as counters do.
    """
    settings = [getattr(record, name) for name in record.__struct_fields__ if name not in without]
    return crypto.content_hash(msgspec.json.encode(settings))[:32]
