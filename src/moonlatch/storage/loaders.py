"""Loaders: the protected init scripts made for one script each. Their secrets are derived elsewhere, never stored."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

FIND_SERVED = Query(
    "loaders.find_served",
    "select l.id, l.version, l.base_url, l.keeps_leases, l.reports_errors from scripts s join loaders l on l.id = s.loader where s.id = :script_id",
)
INSERT = Query(
    "loaders.insert",
    "insert into loaders (id, script_id, version, base_url, keeps_leases, reports_errors, source, created_at) "
    "values (:id, :script_id, :version, :base_url, :keeps_leases, :reports_errors, :source, :created_at)",
)
# One that was replaced before keeps the earlier of both ends.
REPLACE = Query(
    "loaders.replace",
    "update loaders set valid_until = "
    "case when valid_until is null or valid_until > :valid_until then cast(:valid_until as bigint) else valid_until end "
    "where script_id = :script_id and id <> :id",
)
REMOVE_ENDED = Query("loaders.remove_ended", "delete from loaders where script_id = :script_id and valid_until <= :now")
SERVE = Query("loaders.serve", "update scripts set loader = :id where id = :script_id")

LIST_STARTING = Query(
    "loaders.list_starting",
    "select l.id, s.id, s.name, s.loader = l.id from loaders l join scripts s on s.id = l.script_id "
    "where s.loader = l.id or l.valid_until is null or l.valid_until > :now",
)
END = Query("loaders.end", "update loaders set valid_until = :now where id = :id")
ANY = Query("loaders.any", "select id from loaders limit 1")


class LoaderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loader was built with: the version of its source, the server address written into it, and whether it can keep leases and tell of errors."""

    id: str
    version: int
    base_url: str
    keeps_leases: bool = False
    reports_errors: bool = False


class StartingLoader(msgspec.Struct, frozen=True):
    """A loader that starts its script: the one that is served, or an earlier one that somebody may have kept."""

    id: str
    script_id: str
    script_name: str
    is_served: bool


async def find_served(db: Database | Transaction, script_id: str) -> LoaderInfo | None:
    """The loader that a script serves, None when it has none yet."""
    row = await db.fetch_one(FIND_SERVED, script_id=script_id)
    if row is None:
        return None
    return LoaderInfo(
        id=row[0], version=row[1], base_url=row[2], keeps_leases=bool(row[3]), reports_errors=bool(row[4])
    )


async def exist(db: Database | Transaction) -> bool:
    """Return whether any loader was ever made here and is still kept."""
    return await db.fetch_one(ANY) is not None


async def insert(tx: Transaction, loader: LoaderInfo, script_id: str, *, source: bytes, now: int) -> None:
    """Keep a loader's protected text."""
    await tx.execute(
        INSERT,
        id=loader.id,
        script_id=script_id,
        version=loader.version,
        base_url=loader.base_url,
        keeps_leases=loader.keeps_leases,
        reports_errors=loader.reports_errors,
        source=source,
        created_at=now,
    )


async def replace(
    tx: Transaction, loader: LoaderInfo, script_id: str, *, source: bytes, now: int, previous_valid_until: int
) -> None:
    """Serve a new loader from now on; all earlier ones start the script until then (Unix milliseconds), or until they end before."""
    await tx.execute(REMOVE_ENDED, script_id=script_id, now=now)
    await insert(tx, loader, script_id, source=source, now=now)
    await tx.execute(REPLACE, id=loader.id, script_id=script_id, valid_until=previous_valid_until)
    await tx.execute(SERVE, id=loader.id, script_id=script_id)


async def list_starting(db: Database, *, now: int) -> list[StartingLoader]:
    """Every loader of the installation that still starts its script at a time (Unix milliseconds), in no order."""
    return [StartingLoader(*row) for row in await db.search(LIST_STARTING, now=now)]


async def end(tx: Transaction, ids: Sequence[str], *, now: int) -> None:
    """Let loaders start nothing from now on."""
    await tx.execute_each(END, [(now, each) for each in ids])
