"""Line maps of builds: from places in the protected text to those in the source. They come and go sealed; this module could not open them."""

from __future__ import annotations

from typing import NamedTuple

from moonlatch.storage.interface import Database, Query, Transaction

INSERT = Query(
    "line_maps.insert", "insert into line_maps (id, script_id, build, map) values (:id, :script_id, :build, :map)"
)
FIND = Query("line_maps.find", "select id, map from line_maps where script_id = :script_id and build = :build")


class SealedMap(NamedTuple):
    """What was sealed, and for which id."""

    id: str
    content: bytes


async def insert(tx: Transaction, script_id: str, build: int, sealed: SealedMap) -> None:
    """Keep a build's map, as long as the build."""
    await tx.execute(INSERT, id=sealed.id, script_id=script_id, build=build, map=sealed.content)


async def find(db: Database | Transaction, script_id: str, build: int) -> SealedMap | None:
    """The map of a build, None when it has none."""
    row = await db.fetch_one(FIND, script_id=script_id, build=build)
    return None if row is None else SealedMap(row[0], bytes(row[1]))
