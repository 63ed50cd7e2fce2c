"""The last starts of each key, by the hour: which they were, from what device and address. Decides nothing.

They stand as one text beside the hour's counts, so that a start writes nothing for them, and a removed user leaves nothing.
"""

# ruff: noqa: S608 -- what is put into the statements is this module's own
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from moonlatch.clock import HOUR_MS
from moonlatch.storage.executions import Execution
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names

MOST_LISTED = 50
"""Of a key and hour, the last; further ones are counted alone."""

_ID_CHARACTERS = 32
_HASH_CHARACTERS = 64
_NO_HASH = "-" * _HASH_CHARACTERS
_ENTRY_CHARACTERS = _ID_CHARACTERS + 2 * _HASH_CHARACTERS

MOST_CHARACTERS = MOST_LISTED * _ENTRY_CHARACTERS

_HOURS_AT_ONCE = 24
_EXECUTIONS_AT_ONCE = 50

HOURS = Query(
    "last_starts.hours",
    """
    select hour, last_starts from key_hours where user_id = :user_id and hour <= :hour and last_starts <> ''
    order by hour desc limit :most
    """,
)
_PLACES = tuple(f"id_{number}" for number in range(_EXECUTIONS_AT_ONCE))
EXECUTIONS = Query(
    "last_starts.executions",
    f"""
    select id, script_id, build, executor, started_at, coalesce(stopped, ended), ended_at
    from executions where id in ({", ".join(":" + place for place in _PLACES)})
    """,
)
assert sorted(parameter_names(EXECUTIONS.sql)) == sorted(_PLACES)


class PastExecution(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a user. `fingerprint` and `ip` are keyed hashes, times Unix milliseconds.

    `code` is that of the refusal that ended it; `ended_at` is when that was or, without one, when its last session closed.
    """

    id: str
    script_id: str
    build: int
    executor: str | None
    started_at: int
    fingerprint: bytes | None
    ip: bytes | None
    code: str | None
    ended_at: int | None


Entry = tuple[str, bytes | None, bytes | None]
"""A start's id, and the keyed hashes of its device and address."""


def listed(executions: Iterable[Execution]) -> str:
    """The text that names these starts."""
    return "".join([each.id + _hex(each.fingerprint) + _hex(each.ip) for each in executions])


def entries_of(text: str) -> list[Entry]:
    """The starts that a text names."""
    found = []
    for at in range(0, len(text), _ENTRY_CHARACTERS):
        hashes = at + _ID_CHARACTERS
        device, address = (
            text[hashes : hashes + _HASH_CHARACTERS],
            text[hashes + _HASH_CHARACTERS : at + _ENTRY_CHARACTERS],
        )
        found.append((text[at:hashes], _hash(device), _hash(address)))
    return found


async def executions_of(
    db: Database | Transaction, user_id: str, *, before: tuple[int, str], limit: int
) -> list[PastExecution]:
    """A page of a user's last starts, the newest first, behind the one with that start (Unix milliseconds) and id."""
    found: list[PastExecution] = []
    hour = before[0] // HOUR_MS
    while len(found) < limit:
        hours = await db.fetch_all(HOURS, user_id=user_id, hour=hour, most=_HOURS_AT_ONCE)
        entries: list[Entry] = []
        for hour, text in hours:  # noqa: B007 -- the last is where the next look begins
            entries += entries_of(text)
            if len(found) + len(entries) >= limit:
                break
        # Those of one hour all started after those of the hour before it.
        found += [each for each in await _executions(db, entries) if (each.started_at, each.id) < before]
        if not hours:
            break
        hour -= 1
    return found[:limit]


async def _executions(db: Database | Transaction, entries: list[Entry]) -> list[PastExecution]:
    """What is known of these starts, the newest first; those whose time is over are none."""
    found = []
    for first in range(0, len(entries), _EXECUTIONS_AT_ONCE):
        ids = [entry[0] for entry in entries[first : first + _EXECUTIONS_AT_ONCE]]
        ids += [""] * (_EXECUTIONS_AT_ONCE - len(ids))
        rows = {row[0]: row for row in await db.fetch_all(EXECUTIONS, **dict(zip(_PLACES, ids, strict=True)))}
        found += [
            _past(rows[entry[0]], entry) for entry in entries[first : first + _EXECUTIONS_AT_ONCE] if entry[0] in rows
        ]
    return sorted(found, key=lambda each: (each.started_at, each.id), reverse=True)


def _past(row: Row, entry: Entry) -> PastExecution:
    name, script_id, build, executor, started_at, code, ended_at = row
    return PastExecution(
        id=name,
        script_id=script_id,
        build=build,
        executor=executor,
        started_at=started_at,
        fingerprint=entry[1],
        ip=entry[2],
        code=code,
        ended_at=ended_at,
    )


def _hex(value: bytes | None) -> str:
    return value.hex() if value else _NO_HASH


def _hash(text: str) -> bytes | None:
    return None if text == _NO_HASH else bytes.fromhex(text)
