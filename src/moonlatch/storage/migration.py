"""The numbered steps of the schema, and which of them a database still needs. Applies none: each engine does that its own way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from moonlatch.storage.interface import StorageError
from moonlatch.storage.key_sealing import KEYS_AT_REST
from moonlatch.storage.rewriting import Rewrite

_REWRITES = {"keys_at_rest": KEYS_AT_REST}
"""By the name of the migration."""

BEGUN = "migration_begun"
"""A table that is there while a migration with rewrites is not finished."""

Dialect = Literal["sqlite", "postgres"]

CREATE_HISTORY = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    applied_at bigint not null
)"""
VERSIONS = "select version from schema_migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema. In its SQL every statement ends at the end of a line.

    One with rewrites takes several commits: `sql`, then the rows in batches, then `finish`, which makes it count as applied.
    """

    version: int
    name: str
    sql: str
    rewrites: tuple[Rewrite, ...] = ()
    finish: str = ""


class SchemaTooNew(StorageError):
    """The database was last used by a newer version of this program."""


class SchemaTooOld(StorageError):
    """The database needs `moonlatch migrate` before this program can use it."""


def shipped_migrations(dialect: Dialect) -> list[Migration]:
    """The migrations this program comes with, in order; `0001_initial.sql` is version 1, `initial`.

    `0002_name.postgres.sql` and `0002_name.sqlite.sql` are one step in two dialects; `0002_name.finish.sqlite.sql` is its end,
    where rows are rewritten in between.
    """
    folder = files("moonlatch.storage") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            name, _, only = file.name.removesuffix(".sql").partition(".")
            if only in ("", dialect):
                number, _, name = name.partition("_")
                finish = folder / f"{number}_{name}.finish.{dialect}.sql"
                found.append(
                    Migration(
                        int(number),
                        name,
                        file.read_text(encoding="utf-8"),
                        rewrites=_REWRITES.get(name, ()),
                        finish=finish.read_text(encoding="utf-8") if finish.is_file() else "",
                    )
                )
    return sorted(found, key=lambda migration: migration.version)


def missing(migrations: Sequence[Migration], applied: Collection[int]) -> list[Migration]:
    """Those of `migrations` that were not applied. Raises SchemaTooNew when the database has versions beyond them."""
    newest = max((migration.version for migration in migrations), default=0)
    if applied and max(applied) > newest:
        raise SchemaTooNew(
            f"the database has schema version {max(applied)}, and this program knows versions up to {newest}; "
            "run the newer program, or restore a backup made with this one"
        )
    return [migration for migration in migrations if migration.version not in applied]
