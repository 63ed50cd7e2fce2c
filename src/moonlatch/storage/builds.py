"""Builds: the published versions of a script, as protected text. The source they were made from is not kept."""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

# Locks the script's row and numbers the build in one statement. A script that was toggled off later stays off.
SERVE_NEXT = Query(
    "builds.serve_next",
    "update scripts set build = coalesce((select max(number) from builds where script_id = :script_id), 0) + 1, "
    "loader = coalesce(:loader_id, loader), enabled = (enabled or build = 0) where id = :script_id returning build",
)
INSERT = Query(
    "builds.insert",
    "insert into builds (script_id, number, payload, profile, target, engine, source_bytes, created_at) "
    "values (:script_id, :number, :payload, :profile, :target, :engine, :source_bytes, :created_at)",
)
PRUNE = Query(
    "builds.prune",
    "delete from builds where script_id = :script_id "
    "and number <= (select max(number) from builds where script_id = :script_id) - :keep "
    "and number <> (select build from scripts where id = :script_id)",
)
LIST = Query(
    "builds.list",
    "select number, profile, target, engine, source_bytes, length(payload), created_at from builds "
    "where script_id = :script_id order by number desc",
)


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """How a build was, or will be, protected; without a target it runs wherever its source does."""

    profile: str
    target: str | None
    engine: str


class BuildInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a build besides its text. Sizes in bytes, `created_at` in Unix milliseconds."""

    number: int
    protection: Protection
    source_bytes: int
    payload_bytes: int
    created_at: int


async def serve_next(tx: Transaction, script_id: str, *, loader_id: str | None) -> int | None:
    """Make the script serve its next build, and the loader when a new one is named.

    Gives the build's number, None when the script is gone. The first build also enables the script.
    """
    row = await tx.fetch_one(SERVE_NEXT, script_id=script_id, loader_id=loader_id)
    return None if row is None else int(row[0])


async def insert(
    tx: Transaction, script_id: str, number: int, *, payload: bytes, protection: Protection, source_bytes: int, now: int
) -> None:
    """Keep a build's protected text."""
    await tx.execute(
        INSERT,
        script_id=script_id,
        number=number,
        payload=payload,
        profile=protection.profile,
        target=protection.target,
        engine=protection.engine,
        source_bytes=source_bytes,
        created_at=now,
    )


async def prune(tx: Transaction, script_id: str, *, keep: int) -> int:
    """Remove builds older than the newest `keep`, except the one being served; gives how many went."""
    return await tx.execute(PRUNE, script_id=script_id, keep=keep)


async def list_of_script(db: Database | Transaction, script_id: str) -> list[BuildInfo]:
    """The builds that are kept, newest first."""
    return [
        BuildInfo(
            number=number,
            protection=Protection(profile=profile, target=target, engine=engine),
            source_bytes=source_bytes,
            payload_bytes=size,
            created_at=created_at,
        )
        for number, profile, target, engine, source_bytes, size, created_at in await db.fetch_all(
            LIST, script_id=script_id
        )
    ]
