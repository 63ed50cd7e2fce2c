"""Turns what `asyncpg` raises into our errors, and says which of them another attempt may mend. Runs no SQL but the catalogue's."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from moonlatch.storage.interface import StorageError, Unavailable, UniqueViolation

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # with TimeoutError and refused connections
    UnicodeEncodeError,
)
"""What `asyncpg` raises when the server, the way there or a value is at fault."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, insufficient resources, operator intervention
# (also: starting up, shutting down, statement timeout), system errors; and a standby that was not promoted yet.
_UNAVAILABLE_CLASSES = ("08", "53", "57", "58")
_UNAVAILABLE_STATES = ("25006", "25P03")
_CONFLICTS = ("40001", "40P01")

# Constraint texts as SQLite words them, so that callers need to know one wording only.
UNIQUE_COLUMNS = """
select index.relname, string_agg(tab.relname || '.' || att.attname, ', ' order by key.nth)
from pg_index i
join pg_class index on index.oid = i.indexrelid
join pg_class tab on tab.oid = i.indrelid
join pg_namespace space on space.oid = tab.relnamespace
cross join unnest(i.indkey) with ordinality key(attnum, nth)
join pg_attribute att on att.attrelid = tab.oid and att.attnum = key.attnum
where i.indisunique and space.nspname = current_schema()
group by index.relname
"""


class Conflict(StorageError):
    """Another transaction was in the way; nothing was written, and a new attempt may succeed."""


class ConnectionLost(Unavailable):
    """The connection broke before anything could be committed; another connection may do."""


def storage_error(error: Exception, unique_columns: Mapping[str, str]) -> StorageError:
    """Our error for one of `DRIVER_ERRORS`; `unique_columns` names the columns of each unique index."""
    if isinstance(error, asyncpg.UniqueViolationError):
        index = str(error.constraint_name)
        return UniqueViolation(unique_columns.get(index, index))
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Conflict(_text(error))  # the schema has changed under us
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        if state in _CONFLICTS:
            return Conflict(_text(error))
        if state.startswith("08") or state in ("57P01", "57P02"):
            return ConnectionLost(_text(error))
        if state.startswith(_UNAVAILABLE_CLASSES) or state in _UNAVAILABLE_STATES:
            return Unavailable(_text(error))
        return StorageError(_text(error))
    if isinstance(error, ConnectionError):
        return ConnectionLost(_text(error))
    if isinstance(error, OSError | asyncpg.InternalClientError):
        return Unavailable(_text(error))
    if isinstance(error, asyncpg.InterfaceError) and "connection is closed" in str(error):
        return ConnectionLost(_text(error))
    return StorageError(_text(error))


def _text(error: Exception) -> str:
    # Details quote values of rows; they do not belong into a log. Nor does what is said of a value that does not fit (class
    # 22, and the driver's own word for it), which quotes that value.
    if isinstance(error, ValueError) or str(getattr(error, "sqlstate", None) or "").startswith("22"):
        return type(error).__name__
    return f"{type(error).__name__}: {error.args[0] if error.args else ''}".splitlines()[0].rstrip(": ")
