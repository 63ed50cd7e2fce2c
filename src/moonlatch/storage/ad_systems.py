"""Ad systems and their steps. Secrets of providers come and go sealed; this module could not open them."""

# ruff: noqa: S608 -- what is put into the statements is this module's own lists of columns
from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.storage.columns import assigned, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class AdSystem(msgspec.Struct, frozen=True, kw_only=True):
    """A page at which visitors earn keys of a project. Durations and times in milliseconds; `slug` is where the page stands."""

    id: str
    account_id: str
    project_id: str
    name: str
    slug: str
    enabled: bool = True
    key_duration: int
    max_keys: int
    allow_extending: bool
    max_duration: int
    network_daily_keys: int
    device_daily_keys: int
    created_at: int


class AdStep(msgspec.Struct, frozen=True, kw_only=True):
    """One way through one step. Those of the same `number` stand in for each other, the oldest first.

    Times in Unix milliseconds: `down_until` is when the provider is tried again, `hurried_at` when it was last told that the
    step takes suspiciously little time.
    """

    id: str
    system_id: str
    number: int
    provider: str
    settings: dict[str, str]
    secrets: bytes
    postback_hash: bytes
    minimum_seconds: int
    enabled: bool = True
    down_until: int | None = None
    down_told_at: int | None = None
    hurried_at: int | None = None
    created_at: int


_SYSTEM = columns_of(AdSystem)
_SYSTEM_FLAGS = flags_of(AdSystem)
_SYSTEM_SETTINGS = columns_of(AdSystem, without=("id", "account_id", "project_id", "slug", "created_at"))
_STEP = columns_of(AdStep)
_STEP_FLAGS = flags_of(AdStep)
_STEP_SETTINGS = columns_of(AdStep, without=("id", "system_id", "provider", "postback_hash", "created_at"))

INSERT = Query("ad_systems.insert", f"insert into ad_systems ({listed(_SYSTEM)}) values ({placed(_SYSTEM)})")
SAVE = Query("ad_systems.save", f"update ad_systems set {assigned(_SYSTEM_SETTINGS)} where id = :id")
REMOVE = Query("ad_systems.remove", "delete from ad_systems where id = :id")
FIND_OWNED = Query(
    "ad_systems.find_owned", f"select {listed(_SYSTEM)} from ad_systems where id = :id and account_id = :account_id"
)
FIND = Query("ad_systems.find", f"select {listed(_SYSTEM)} from ad_systems where id = :id")
FIND_AT = Query("ad_systems.find_at", f"select {listed(_SYSTEM)} from ad_systems where slug = :slug")
FIND_OF_SCRIPT = Query(
    "ad_systems.find_of_script",
    f"select {listed(_SYSTEM, of='y')} from scripts s join ad_systems y on y.project_id = s.project_id "
    "where s.id = :script_id and y.enabled order by y.created_at, y.id limit 1",
)
LIST = Query(
    "ad_systems.list",
    f"select {listed(_SYSTEM)} from ad_systems where account_id = :account_id order by created_at, id limit :most",
)
COUNT = Query("ad_systems.count", "select count(*) from ad_systems where project_id = :project_id")
ADD_STEP = Query("ad_systems.add_step", f"insert into ad_steps ({listed(_STEP)}) values ({placed(_STEP)})")
SAVE_STEP = Query("ad_systems.save_step", f"update ad_steps set {assigned(_STEP_SETTINGS)} where id = :id")
REMOVE_STEP = Query("ad_systems.remove_step", "delete from ad_steps where id = :id")
FIND_STEP = Query("ad_systems.find_step", f"select {listed(_STEP)} from ad_steps where id = :id")
FIND_POSTBACK = Query(
    "ad_systems.find_postback", f"select {listed(_STEP)} from ad_steps where postback_hash = :postback_hash"
)
STEPS = Query(
    "ad_systems.steps",
    f"select {listed(_STEP)} from ad_steps where system_id = :system_id order by number, created_at, id",
)


def _system_of(row: Row) -> AdSystem:
    return AdSystem(**values_of(AdSystem, row, flags=_SYSTEM_FLAGS))


def _step_of(row: Row) -> AdStep:
    values = values_of(AdStep, row, flags=_STEP_FLAGS, blobs=("secrets", "postback_hash"))
    values["settings"] = msgspec.json.decode(values["settings"], type=dict[str, str])
    return AdStep(**values)


def _stored(step: AdStep) -> dict[str, Any]:
    return {name: getattr(step, name) for name in _STEP} | {"settings": msgspec.json.encode(step.settings).decode()}


async def insert(tx: Transaction, system: AdSystem) -> None:
    """Write a new system. Raises UniqueViolation where another one stands at its slug."""
    await tx.execute(INSERT, **{name: getattr(system, name) for name in _SYSTEM})


async def save(tx: Transaction, system: AdSystem) -> None:
    await tx.execute(SAVE, **{name: getattr(system, name) for name in ("id", *_SYSTEM_SETTINGS)})


async def remove(tx: Transaction, system_id: str) -> None:
    """Remove a system with its steps and the attempts at it; keys that were earned there stay."""
    await tx.execute(REMOVE, id=system_id)


async def find_owned(db: Database | Transaction, system_id: str, account_id: str) -> AdSystem | None:
    """The system if it is there and belongs to the account."""
    row = await db.fetch_one(FIND_OWNED, id=system_id, account_id=account_id)
    return None if row is None else _system_of(row)


async def find(db: Database | Transaction, system_id: str) -> AdSystem | None:
    """The system of any account."""
    row = await db.fetch_one(FIND, id=system_id)
    return None if row is None else _system_of(row)


async def find_at(db: Database | Transaction, slug: str) -> AdSystem | None:
    """The system of any account whose page stands there."""
    row = await db.fetch_one(FIND_AT, slug=slug)
    return None if row is None else _system_of(row)


async def find_of_script(db: Database | Transaction, script_id: str) -> AdSystem | None:
    """The oldest system that gives keys for this script now."""
    row = await db.fetch_one(FIND_OF_SCRIPT, script_id=script_id)
    return None if row is None else _system_of(row)


async def list_of_account(db: Database | Transaction, account_id: str, *, most: int) -> list[AdSystem]:
    """An account's systems, oldest first."""
    return [_system_of(row) for row in await db.fetch_all(LIST, account_id=account_id, most=most)]


async def count_of_project(tx: Transaction, project_id: str) -> int:
    row = await tx.fetch_one(COUNT, project_id=project_id)
    return 0 if row is None else int(row[0])


async def add_step(tx: Transaction, step: AdStep) -> None:
    await tx.execute(ADD_STEP, **_stored(step))


async def save_step(tx: Transaction, step: AdStep) -> None:
    stored = _stored(step)
    await tx.execute(SAVE_STEP, **{name: stored[name] for name in ("id", *_STEP_SETTINGS)})


async def remove_step(tx: Transaction, step_id: str) -> None:
    await tx.execute(REMOVE_STEP, id=step_id)


async def find_step(db: Database | Transaction, step_id: str) -> AdStep | None:
    """A step of any system: who asks looks whose that is."""
    row = await db.fetch_one(FIND_STEP, id=step_id)
    return None if row is None else _step_of(row)


async def find_postback(db: Database | Transaction, postback_hash: bytes) -> AdStep | None:
    """The step that the provider calls at the path with this hash."""
    row = await db.fetch_one(FIND_POSTBACK, postback_hash=postback_hash)
    return None if row is None else _step_of(row)


async def steps_of(db: Database | Transaction, system_id: str) -> list[AdStep]:
    """A system's steps in their order; of one number the oldest first."""
    return [_step_of(row) for row in await db.fetch_all(STEPS, system_id=system_id)]
