"""Loaders: the protected init scripts made for one script each. Their secrets are derived elsewhere, never stored."""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

FIND_SERVED = Query(
    "loaders.find_served",
    "select l.id, l.version, l.base_url from scripts s join loaders l on l.id = s.loader where s.id = :script_id",
)
INSERT = Query(
    "loaders.insert",
    "insert into loaders (id, script_id, version, base_url, source, created_at) "
    "values (:id, :script_id, :version, :base_url, :source, :created_at)",
)

ANY = Query("loaders.any", "select id from loaders limit 1")


class LoaderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loader was built with: the version of its source, and the server address written into it."""

    id: str
    version: int
    base_url: str


async def find_served(db: Database | Transaction, script_id: str) -> LoaderInfo | None:
    """The loader that a script serves, None when it has none yet."""
    row = await db.fetch_one(FIND_SERVED, script_id=script_id)
    return None if row is None else LoaderInfo(id=row[0], version=row[1], base_url=row[2])


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
        source=source,
        created_at=now,
    )
