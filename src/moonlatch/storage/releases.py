"""What a script serves besides its current build: its channels, and the keys that are on one or pinned to a build."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage import plans
from moonlatch.storage.columns import assigned, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """Which build of a script a key is given: that of a channel, and until `expires_at` (None: for good) a certain one.

    Times in Unix milliseconds.
    """

    user_id: str
    script_id: str
    channel: str | None = None
    build: int | None = None
    expires_at: int | None = None
    created_at: int


_COLUMNS = columns_of(Pin)
_SET = columns_of(Pin, without=("user_id", "script_id", "created_at"))

PUT_CHANNEL = Query(
    "releases.put_channel",
    "insert into channels (script_id, name, build) values (:script_id, :name, :build) "
    "on conflict (script_id, name) do update set build = excluded.build",
)
REMOVE_CHANNEL = Query("releases.remove_channel", "delete from channels where script_id = :script_id and name = :name")
MOVE_CHANNELS = Query(
    "releases.move_channels",
    "update channels set build = :successor where script_id = :script_id and build = :build",
)
DROP_CHANNELS = Query("releases.drop_channels", "delete from channels where script_id = :script_id and build = :build")
PUT_PIN = Query(
    "releases.put_pin",
    f"insert into pins ({listed(_COLUMNS)}) values ({placed(_COLUMNS)}) "
    f"on conflict (user_id, script_id) do update set {assigned(_SET)}",
)
REMOVE_PIN = Query("releases.remove_pin", "delete from pins where user_id = :user_id and script_id = :script_id")
FIND_PIN = Query(
    "releases.find_pin",
    f"select {listed(_COLUMNS)} from pins where user_id = :user_id and script_id = :script_id",
)
PINS = Query(
    "releases.pins",
    f"select {listed(_COLUMNS)} from pins where script_id = :script_id "
    "order by created_at, user_id limit :limit offset :offset",
)
PINS_OF_USER = Query(
    "releases.pins_of_user",
    f"select {listed(_COLUMNS)} from pins where user_id = :user_id order by script_id",
)
UNPIN = Query(
    "releases.unpin",
    "update pins set build = null, expires_at = null where script_id = :script_id and build = :build",
)
FORGET_EMPTY = Query(
    "releases.forget_empty",
    "delete from pins where script_id = :script_id and channel is null and build is null",
)


async def put_channel(tx: Transaction, script_id: str, name: str, build: int) -> None:
    """Make a channel serve a build; a channel that is not there comes to be."""
    await tx.execute(PUT_CHANNEL, script_id=script_id, name=name, build=build)
    await plans.write(tx, script_id)


async def remove_channel(tx: Transaction, script_id: str, name: str) -> bool:
    """Remove a channel: its keys get what others get. False where there was none."""
    is_removed = await tx.execute(REMOVE_CHANNEL, script_id=script_id, name=name) == 1
    await plans.write(tx, script_id)
    return is_removed


async def find_pin(db: Database | Transaction, script_id: str, user_id: str) -> Pin | None:
    row = await db.fetch_one(FIND_PIN, script_id=script_id, user_id=user_id)
    return None if row is None else _pin(row)


async def list_pins(db: Database | Transaction, script_id: str, *, offset: int, limit: int) -> list[Pin]:
    """A page of a script's pins, oldest first."""
    return [_pin(row) for row in await db.fetch_all(PINS, script_id=script_id, offset=offset, limit=limit)]


async def pins_of_user(db: Database | Transaction, user_id: str) -> list[Pin]:
    """The pins of a key, one for each script at most."""
    return [_pin(row) for row in await db.fetch_all(PINS_OF_USER, user_id=user_id)]


async def put_pin(tx: Transaction, pin: Pin) -> None:
    """Write a pin in place of the key's earlier one; one that says nothing is removed."""
    if pin.channel is None and pin.build is None:
        await tx.execute(REMOVE_PIN, user_id=pin.user_id, script_id=pin.script_id)
    else:
        await tx.execute(PUT_PIN, **msgspec.structs.asdict(pin))
    await plans.write(tx, pin.script_id)


async def take_build_away(tx: Transaction, script_id: str, build: int, *, successor: int | None) -> int:
    """Unpin every key from a build, and let its channels serve the successor, or end; gives how many keys were pinned to it."""
    unpinned = await tx.execute(UNPIN, script_id=script_id, build=build)
    await tx.execute(FORGET_EMPTY, script_id=script_id)
    if successor is None:
        await tx.execute(DROP_CHANNELS, script_id=script_id, build=build)
    else:
        await tx.execute(MOVE_CHANNELS, script_id=script_id, build=build, successor=successor)
    await plans.write(tx, script_id)
    return unpinned


def _pin(row: Row) -> Pin:
    return Pin(**values_of(Pin, row))
