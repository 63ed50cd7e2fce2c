"""Templates of builds, which their marked copies are made of. They come and go sealed; this module could not open them."""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

INSERT = Query(
    "templates.insert",
    "insert into templates (id, script_id, build, places, template, created_at) "
    "values (:id, :script_id, :build, :places, :template, :created_at)",
)
FIND = Query("templates.find", "select id, template from templates where script_id = :script_id and build = :build")
LIST = Query(
    "templates.list", "select build, places, created_at from templates where script_id = :script_id order by build desc"
)


class SealedTemplate(msgspec.Struct, frozen=True):
    """What was sealed, and for which id."""

    id: str
    content: bytes


class TemplateInfo(msgspec.Struct, frozen=True):
    """The build that a template is of, the length of its copies' words, and when it was made, in Unix milliseconds."""

    build: int
    places: int
    created_at: int


async def insert(tx: Transaction, script_id: str, build: int, sealed: SealedTemplate, *, places: int, now: int) -> None:
    """Keep a build's template, as long as the script."""
    await tx.execute(
        INSERT,
        id=sealed.id,
        script_id=script_id,
        build=build,
        places=places,
        template=sealed.content,
        created_at=now,
    )


async def find(db: Database | Transaction, script_id: str, build: int) -> SealedTemplate | None:
    """The template of a build, None when it has none."""
    row = await db.fetch_one(FIND, script_id=script_id, build=build)
    return None if row is None else SealedTemplate(row[0], bytes(row[1]))


async def list_of_script(db: Database | Transaction, script_id: str) -> list[TemplateInfo]:
    """All there are, that of the newest build first."""
    return [TemplateInfo(*row) for row in await db.fetch_all(LIST, script_id=script_id)]
