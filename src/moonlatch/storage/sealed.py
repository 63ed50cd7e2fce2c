"""Everything in the database that a master key sealed: how much of it lies under which, and making it anew under the current one.

Whoever adds a column with something sealed adds its place here: otherwise its key could be retired under it.
"""

# ruff: noqa: S608 -- what is put into the statements is this module's own text
from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from moonlatch.crypto import (
    AD_STEP_SECRETS,
    COPY_TEMPLATE,
    DISCORD_TOKEN,
    IDEMPOTENT_REPLY,
    IDENTITY_KEY,
    LINE_MAP,
    LURAPH_KEY,
    SEAL_MARK_BYTES,
    SEALED,
    SERVER_VARIABLE,
    USER_KEY,
    WEBHOOK_SECRET,
    WEBHOOK_URL,
    UnreadableSecretError,
    seal_mark,
)
from moonlatch.keyring import Keyring
from moonlatch.proofs import TOTP_SECRET
from moonlatch.storage import installation
from moonlatch.storage.installation import Installation
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names, searching
from moonlatch.storage.user_keys import as_stored, key_of
from moonlatch.storage.users import User

ROWS_AT_ONCE = 500
"""Per commit: some 20 ms, so that others who write do not wait for long."""

ROWS_LOOKED_AT = 5_000
"""At once, for those that are left."""

PAUSE_SECONDS = 0.02
"""Between two commits."""

Told = Callable[[str, int], None]
"""Hears of each batch: what was made anew, and how many of them were by now."""

After = tuple[Any, ...]
"""Behind which row a search goes on; empty at the beginning."""


class Place(Protocol):
    """Where something sealed is kept."""

    what: str
    """As a person calls it."""
    purpose: str
    """What it is sealed for."""

    async def count(self, db: Database | Transaction, key_id: str | None) -> int:
        """How many lie under the key of this id; with None, how many there are."""
        ...


class Rewrappable(Place, Protocol):
    """A place whose rows are made anew under another key."""

    async def left(self, db: Database, key_id: str, after: After) -> tuple[list[Row], After | None]:
        """Some rows that lie under another key than this, and where to go on; None at the end."""
        ...

    async def rewrap(self, tx: Transaction, keyring: Keyring, rows: Sequence[Row]) -> int:
        """Make rows anew that are still as they were read; gives how many could not be opened."""
        ...


class Column:
    """A column of a table whose rows have one id: something sealed for that id alone."""

    others: ClassVar[tuple[str, ...]] = ()
    """Columns that change with it."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Columns that it takes to make the row anew."""

    def __init__(self, what: str, purpose: str, table: str, key: str, column: str) -> None:
        self.what = what
        self.purpose = purpose
        self._column = column
        mark = f"substr({column}, 1, {SEAL_MARK_BYTES})"
        changed = ", ".join(f"{name} = :{name}" for name in (column, *self.others))
        self.queries = {
            name: Query(f"sealed.{name}_{table}_{column}", sql)
            for name, sql in {
                "total": f"select count(*) from {table} where {column} is not null",
                "under": f"select count(*) from {table} where {mark} = :mark",
                "window": f"select max({key}) from "
                f"(select {key} from {table} where {key} > :after order by {key} limit :most) looked_at",
                "left": f"select {', '.join((key, column, *self.needs))} from {table} "
                f"where {key} > :after and {key} <= :until and {mark} <> :mark",
                "update": f"update {table} set {changed} where {key} = :row and {column} = :before",
            }.items()
        }
        self._update_names = parameter_names(self.queries["update"].sql)

    async def count(self, db: Database | Transaction, key_id: str | None) -> int:
        if key_id is None:
            return await _number(db, self.queries["total"])
        return await _number(db, self.queries["under"], mark=seal_mark(key_id))

    async def left(self, db: Database, key_id: str, after: After) -> tuple[list[Row], After | None]:
        (begin,) = after or ("",)
        ((until,),) = await db.search(self.queries["window"], after=begin, most=ROWS_LOOKED_AT)
        if until is None:
            return [], None
        return await db.search(self.queries["left"], after=begin, until=until, mark=seal_mark(key_id)), (until,)

    async def rewrap(self, tx: Transaction, keyring: Keyring, rows: Sequence[Row]) -> int:
        updates = []
        for row in rows:
            try:
                values = {**self.made(keyring, row), "row": row[0], "before": bytes(row[1])}
            except UnreadableSecretError:
                continue
            updates.append(tuple(values[name] for name in self._update_names))
        await tx.execute_each(self.queries["update"], updates)
        return len(rows) - len(updates)

    def made(self, keyring: Keyring, row: Row) -> dict[str, Any]:
        """The new columns. Raises UnreadableSecretError."""
        secret = keyring.open_secret(self.purpose, row[0], bytes(row[1]))
        return {self._column: keyring.seal_secret(self.purpose, row[0], secret)}


class _Sealed(msgspec.Struct):
    """Of a user, what opens the key."""

    id: str
    key_sealed: bytes


class KeysOfUsers(Column):
    """Keys of users, with the hash and the codes that find them."""

    others = ("key_hash", "start_code", "end_code")
    needs = ("project_id",)

    def made(self, keyring: Keyring, row: Row) -> dict[str, Any]:
        user_id, sealed, project_id = row
        key = key_of(keyring, _Sealed(user_id, bytes(sealed)))
        return as_stored(keyring, key, user_id=user_id, project_id=project_id)


class KeysOfRemovedUsers:
    """As `KeysOfUsers`, in the records of those who were removed; the hash names the row."""

    what = "keys of removed users"
    purpose = USER_KEY
    # Two rows of one key meet where it was removed, made again under the new master key and removed again: the later stays.
    queries: ClassVar = {
        "total": Query("sealed.total_removed", "select count(*) from removed_users"),
        "under": Query(
            "sealed.under_removed", "select count(*) from removed_users where replace(record, :mark, '') <> record"
        ),
        "left": Query(
            "sealed.left_removed",
            "select project_id, key_hash, record from removed_users where (project_id, key_hash) > (:project_id, :key_hash) "
            "and replace(record, :mark, '') = record order by project_id, key_hash limit :most",
        ),
        "take": Query(
            "sealed.take_removed",
            "delete from removed_users where project_id = :project_id and key_hash = :key_hash and record = :record "
            "returning discord_id, removed_at, removed_by",
        ),
        "keep": Query(
            "sealed.keep_removed",
            "insert into removed_users (project_id, key_hash, discord_id, removed_at, removed_by, record) "
            "values (:project_id, :key_hash, :discord_id, :removed_at, :removed_by, :record) "
            "on conflict (project_id, key_hash) do update set discord_id = excluded.discord_id, "
            "removed_at = excluded.removed_at, removed_by = excluded.removed_by, record = excluded.record "
            "where removed_users.removed_at < excluded.removed_at",
        ),
    }

    async def count(self, db: Database | Transaction, key_id: str | None) -> int:
        if key_id is None:
            return await _number(db, self.queries["total"])
        return await _number(db, self.queries["under"], mark=self._mark(key_id))

    async def left(self, db: Database, key_id: str, after: After) -> tuple[list[Row], After | None]:
        project_id, key_hash = after or ("", b"")
        rows = await db.search(
            self.queries["left"], project_id=project_id, key_hash=key_hash, mark=self._mark(key_id), most=ROWS_AT_ONCE
        )
        return rows, (rows[-1][0], bytes(rows[-1][1])) if rows else None

    async def rewrap(self, tx: Transaction, keyring: Keyring, rows: Sequence[Row]) -> int:
        unreadable = 0
        for project_id, key_hash, record in rows:
            user = msgspec.json.decode(record, type=User)
            try:
                stored = as_stored(keyring, key_of(keyring, user), user_id=user.id, project_id=project_id)
            except UnreadableSecretError:
                unreadable += 1
                continue
            taken = await tx.fetch_one(
                self.queries["take"], project_id=project_id, key_hash=bytes(key_hash), record=record
            )
            if taken is not None:
                await tx.execute(
                    self.queries["keep"],
                    project_id=project_id,
                    key_hash=stored["key_hash"],
                    discord_id=taken[0],
                    removed_at=taken[1],
                    removed_by=taken[2],
                    record=msgspec.json.encode(msgspec.structs.replace(user, **stored)).decode(),
                )
        return unreadable

    @staticmethod
    def _mark(key_id: str) -> str:
        """How the sealed key begins in the record's JSON."""
        assert SEAL_MARK_BYTES % 3 == 0  # or its last character would be of what follows, too
        return f'"key_sealed":"{b64encode(seal_mark(key_id)).decode()}'


class IdentityKey:
    """What devices and addresses are hashed with: one for the installation."""

    what = "key of the hashes of devices"
    purpose = IDENTITY_KEY

    async def count(self, db: Database | Transaction, key_id: str | None) -> int:
        found = await installation.find(db)
        sealed = b"" if found is None else found.identity_key or b""
        return int(bool(sealed) and (key_id is None or sealed.startswith(seal_mark(key_id))))

    async def left(self, db: Database, key_id: str, after: After) -> tuple[list[Row], After | None]:
        found = None if after else await installation.find(db)
        if found is None or found.identity_key is None or found.identity_key.startswith(seal_mark(key_id)):
            return [], None
        return [(found.key_check, found.identity_key)], (1,)

    async def rewrap(self, tx: Transaction, keyring: Keyring, rows: Sequence[Row]) -> int:  # noqa: ARG002
        found = await installation.find(tx)
        if found is not None:
            await installation.put(tx, Installation(found.key_check, keyring.seal_identity_key()))
        return 0


class Answers:
    """Answers to calls with an idempotency key. They are found by a hash of what is not kept, and gone within a day."""

    what = "answers to calls with an idempotency key"
    purpose = IDEMPOTENT_REPLY
    queries: ClassVar = {
        "total": Query("sealed.total_answers", "select count(*) from idempotency_records"),
        "under": Query(
            "sealed.under_answers",
            f"select count(*) from idempotency_records where substr(reply, 1, {SEAL_MARK_BYTES}) = :mark",
        ),
        "forget": Query(
            "sealed.forget_answers",
            f"delete from idempotency_records where substr(reply, 1, {SEAL_MARK_BYTES}) = :mark",
        ),
        "forget_unmarked": Query(
            "sealed.forget_unmarked_answers",
            f"delete from idempotency_records where substr(reply, 1, {len(SEALED)}) <> :sealed",
        ),
    }

    async def count(self, db: Database | Transaction, key_id: str | None) -> int:
        if key_id is None:
            return await _number(db, self.queries["total"])
        return await _number(db, self.queries["under"], mark=seal_mark(key_id))

    async def forget(self, tx: Transaction, key_id: str, *, has_unmarked: bool) -> None:
        """Forget those under a key, to which those that an earlier version sealed may belong."""
        await tx.execute(self.queries["forget"], mark=seal_mark(key_id))
        if has_unmarked:
            await tx.execute(self.queries["forget_unmarked"], sealed=SEALED)


ANSWERS = Answers()
REWRAPPED: tuple[Rewrappable, ...] = (
    IdentityKey(),
    KeysOfUsers("keys of users", USER_KEY, "users", "id", "key_sealed"),
    KeysOfRemovedUsers(),
    Column("keys with Luraph", LURAPH_KEY, "luraph_keys", "account_id", "sealed"),
    Column("secrets of one-time codes", TOTP_SECRET, "members", "id", "totp_secret"),
    Column("addresses of webhooks", WEBHOOK_URL, "endpoints", "id", "url"),
    Column("secrets of webhooks", WEBHOOK_SECRET, "endpoints", "id", "secret"),
    Column("earlier secrets of webhooks", WEBHOOK_SECRET, "endpoints", "id", "previous_secret"),
    Column("secrets of checkpoints", AD_STEP_SECRETS, "ad_steps", "id", "secrets"),
    Column("bot tokens with Discord", DISCORD_TOKEN, "discord_applications", "account_id", "bot_token"),
    Column("values of server variables", SERVER_VARIABLE, "variables", "id", "value"),
    Column("line maps of builds", LINE_MAP, "line_maps", "id", "map"),
    Column("templates of copies", COPY_TEMPLATE, "templates", "id", "template"),
)
PLACES: tuple[Place, ...] = (*REWRAPPED, ANSWERS)
QUERIES = {query.name: query for place in PLACES for query in getattr(place, "queries", {}).values()}


async def rewrap(db: Database, keyring: Keyring, told: Told, *, pause_seconds: float = PAUSE_SECONDS) -> dict[str, int]:
    """Make everything anew that lies under another than the current key; gives how many of what could not be opened.

    Several may do so at once, and whatever interrupts it loses nothing: the next goes on with what is left. Raises StorageError.
    """
    unreadable: dict[str, int] = {}
    for place in REWRAPPED:
        done = 0
        after: After | None = ()
        while after is not None:
            rows, after = await place.left(db, keyring.current.id, after)
            for begin in range(0, len(rows), ROWS_AT_ONCE):
                some = rows[begin : begin + ROWS_AT_ONCE]
                failed = await db.run(_rewrapping(place, keyring, some), is_guarded=True)
                done += len(some) - failed
                if failed:
                    unreadable[place.what] = unreadable.get(place.what, 0) + failed
                told(place.what, done)
                await asyncio.sleep(pause_seconds)
    return unreadable


def _rewrapping(place: Rewrappable, keyring: Keyring, rows: Sequence[Row]) -> Callable[[Transaction], Any]:
    return lambda tx: place.rewrap(tx, keyring, rows)


async def under_keys(
    db: Database | Transaction, key_ids: Sequence[str], first: str | None
) -> dict[str, dict[str, int]]:
    """What lies under each key, and how much of it. What an earlier version sealed, which left no mark, is the first key's."""
    found: dict[str, dict[str, int]] = {each: {} for each in key_ids}
    for place in PLACES:
        counts = {each: await place.count(db, each) for each in key_ids}
        if first in counts:
            counts[first] += await place.count(db, None) - sum(counts.values())
        for each, rows in counts.items():
            if rows:
                found[each][place.what] = rows
    return found


async def _number(db: Database | Transaction, query: Query, **parameters: Any) -> int:
    ((number,),) = await searching(db)(query, **parameters)
    return int(number)
