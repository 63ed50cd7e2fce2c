"""Builds: the published versions of a script, as protected text. The source they were made from is not kept."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns and conditions
from __future__ import annotations

from collections.abc import Collection

import msgspec

from moonlatch.storage.interface import Database, Query, Row, Transaction

_NEWEST = "select max(number) from builds where script_id = :script_id"
_NEXT = f"coalesce(({_NEWEST}), 0) + 1"
NEWEST = Query("builds.newest", _NEWEST)
# Locks the script's row and numbers the build in one statement.
NUMBER_NEXT = Query(
    "builds.number_next",
    f"update scripts set loader = coalesce(:loader_id, loader) where id = :script_id returning {_NEXT}",
)
INSERT = Query(
    "builds.insert",
    "insert into builds (script_id, number, payload, profile, target, engine, source_bytes, created_at, label, notes, "
    "source_hash, payload_hash, publisher_kind, publisher_id, publisher_name, source_lines, run_lock) "
    "values (:script_id, :number, :payload, :profile, :target, :engine, :source_bytes, :created_at, :label, :notes, "
    ":source_hash, :payload_hash, :publisher_kind, :publisher_id, :publisher_name, :source_lines, :run_lock)",
)
# A script's first build switches it on. One that was toggled off later stays off.
SERVE = Query(
    "builds.serve",
    "update scripts set enabled = (enabled or build = 0), build = :number where id = :script_id",
)
YANK = Query("builds.yank", "update builds set yanked_at = :now where script_id = :script_id and number = :number")
_UNREFERENCED = (
    "script_id = :script_id and number not in (select build from scripts where id = :script_id "
    "union all select build from channels where script_id = :script_id "
    "union all select build from pins where script_id = :script_id and build is not null "
    "union all select build from rollouts where script_id = :script_id and ended_at is null "
    "union all select build from scheduled_builds where script_id = :script_id)"
)
UNREFERENCED = Query("builds.unreferenced", f"select number from builds where {_UNREFERENCED} order by number desc")
REMOVE = Query("builds.remove", "delete from builds where script_id = :script_id and number = :number")
_INFO = (
    "select number, profile, target, engine, source_bytes, length(payload), created_at, label, notes, source_hash, "
    "payload_hash, publisher_kind, publisher_id, publisher_name, yanked_at, source_lines from builds where script_id = :script_id"
)
LIST = Query("builds.list", f"{_INFO} order by number desc")
FIND = Query("builds.find", f"{_INFO} and number = :number")


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """How a build was, or will be, protected; without a target it runs wherever its source does."""

    profile: str
    target: str | None
    engine: str


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """Who published a build, as the events name an actor."""

    kind: str
    id: str
    name: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What its developer says of a build: what it is called (`1.4.2`), and what is new in it."""

    label: str | None = None
    notes: str | None = None


UNNAMED = Release()
"""Nothing was said of it."""


class BuildInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a build besides its text. Sizes in bytes, times in Unix milliseconds, hashes SHA-256.

    Hashes, publisher and lines are None for builds from before they were kept, `yanked_at` for one that may be served.
    """

    number: int
    protection: Protection
    source_bytes: int
    payload_bytes: int
    created_at: int
    release: Release = UNNAMED
    source_hash: bytes | None = None
    payload_hash: bytes | None = None
    publisher: Publisher | None = None
    yanked_at: int | None = None
    source_lines: int | None = None


async def newest(db: Database | Transaction, script_id: str) -> int:
    """The number of the script's newest build; 0 without any."""
    row = await db.fetch_one(NEWEST, script_id=script_id)
    return 0 if row is None or row[0] is None else int(row[0])


async def number_next(tx: Transaction, script_id: str, *, loader_id: str | None) -> int | None:
    """Take the number of the script's next build, and serve the loader when a new one is named. None when the script is gone."""
    row = await tx.fetch_one(NUMBER_NEXT, script_id=script_id, loader_id=loader_id)
    return None if row is None else int(row[0])


async def insert(
    tx: Transaction,
    script_id: str,
    number: int,
    *,
    payload: bytes,
    protection: Protection,
    source_bytes: int,
    now: int,
    source_lines: int | None = None,
    release: Release = UNNAMED,
    source_hash: bytes | None = None,
    payload_hash: bytes | None = None,
    publisher: Publisher | None = None,
    run_lock: bytes | None = None,
) -> None:
    """Keep a build's protected text, and the lock of its run keys, if it needs any, as `Lock.to_bytes` has it."""
    await tx.execute(
        INSERT,
        script_id=script_id,
        number=number,
        payload=payload,
        profile=protection.profile,
        target=protection.target,
        engine=protection.engine,
        source_bytes=source_bytes,
        source_lines=source_lines,
        created_at=now,
        label=release.label,
        notes=release.notes,
        source_hash=source_hash,
        payload_hash=payload_hash,
        publisher_kind=None if publisher is None else publisher.kind,
        publisher_id=None if publisher is None else publisher.id,
        publisher_name=None if publisher is None else publisher.name,
        run_lock=run_lock,
    )


async def serve(tx: Transaction, script_id: str, number: int) -> None:
    """Make the script serve one of its builds as its current one. The first one also enables the script."""
    await tx.execute(SERVE, script_id=script_id, number=number)


async def yank(tx: Transaction, script_id: str, number: int, *, now: int) -> None:
    """Note that a build is never to be served again."""
    await tx.execute(YANK, script_id=script_id, number=number, now=now)


async def prune(tx: Transaction, script_id: str, *, keep: int, running: Collection[int] = ()) -> int:
    """Remove all but the newest `keep` (at least 1) of the builds that nothing refers to and no copy runs; gives how many went.

    The newest of all is never among them: its number is what the next one's follows.
    """
    found = [row[0] for row in await tx.fetch_all(UNREFERENCED, script_id=script_id)]
    removed = [number for number in found if number not in running][keep:]
    for number in removed:
        await tx.execute(REMOVE, script_id=script_id, number=number)
    return len(removed)


async def find(db: Database | Transaction, script_id: str, number: int) -> BuildInfo | None:
    """One of a script's builds, None when there is no such build any more."""
    row = await db.fetch_one(FIND, script_id=script_id, number=number)
    return None if row is None else _info(row)


async def list_of_script(db: Database | Transaction, script_id: str) -> list[BuildInfo]:
    """The builds that are kept, newest first."""
    return [_info(row) for row in await db.fetch_all(LIST, script_id=script_id)]


def _info(row: Row) -> BuildInfo:
    number, profile, target, engine, source_bytes, size, created_at, label, notes, *rest = row
    source_hash, payload_hash, publisher_kind, publisher_id, publisher_name, yanked_at, source_lines = rest
    return BuildInfo(
        number=number,
        protection=Protection(profile=profile, target=target, engine=engine),
        source_bytes=source_bytes,
        payload_bytes=size,
        created_at=created_at,
        release=Release(label=label, notes=notes),
        source_hash=None if source_hash is None else bytes(source_hash),
        payload_hash=None if payload_hash is None else bytes(payload_hash),
        publisher=None
        if publisher_kind is None
        else Publisher(kind=publisher_kind, id=publisher_id, name=publisher_name),
        yanked_at=yanked_at,
        source_lines=source_lines,
    )
