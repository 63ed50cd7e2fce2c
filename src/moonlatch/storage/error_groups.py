"""Errors that scripts had, those that are one together: how often, where, since when, and how they stand. Decides nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns and conditions
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.licensing.crashes import ErrorKind, ErrorState
from moonlatch.storage.columns import assigned, blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class ErrorGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one build, in one place, with one message. Times in Unix milliseconds.

    `place` is that of the protected text, empty where the host told none; `file`, `line` and `function` are the source's. `kin` is the
    same for what seems to be the same error in other builds. `instances` and `keys` are how many copies and keys had it; `executors`
    tells of how many copies each program ran.
    """

    id: str
    script_id: str
    build: int
    place: str
    kin: bytes
    signature: bytes
    kind: ErrorKind
    message: str
    file: str | None = None
    line: int | None = None
    function: str | None = None
    state: ErrorState = ErrorState.OPEN
    resolved_build: int | None = None
    instances: int = 0
    keys: int = 0
    executors: dict[str, int] = {}
    first_seen: int
    last_seen: int
    spiked_at: int | None = None
    regressed_at: int | None = None


_BLOBS = blobs_of(ErrorGroup)
COLUMNS = columns_of(ErrorGroup)
_LISTED = listed(COLUMNS)
_SET = ("instances", "keys", "executors", "last_seen", "spiked_at")
_STATE = ("state", "resolved_build", "regressed_at")
_CHOSEN = (
    "script_id = :script_id and (cast(:state as text) is null or state = :state) "
    "and (cast(:build as bigint) is null or build = :build)"
)

FIND = Query(
    "error_groups.find",
    f"select {_LISTED} from error_groups where script_id = :script_id and build = :build and signature = :signature",
)
FIND_OWNED = Query(
    "error_groups.find_owned",
    f"select {listed(COLUMNS, of='g')}, s.project_id from error_groups g join scripts s on s.id = g.script_id "
    "join projects p on p.id = s.project_id where g.id = :id and p.account_id = :account_id",
)
OF_KIN = Query(
    "error_groups.of_kin",
    f"select {_LISTED} from error_groups where script_id = :script_id and kin = :kin order by build desc, last_seen desc",
)
LIST = Query(
    "error_groups.list",
    f"select {_LISTED} from error_groups where {_CHOSEN} order by last_seen desc, id desc limit :limit offset :offset",
)
COUNT = Query("error_groups.count", "select count(*) from error_groups where script_id = :script_id")
COUNT_NEW = Query(
    "error_groups.count_new",
    "select count(*) from error_groups where script_id = :script_id and last_seen >= :since and first_seen >= :since",
)
INSERT = Query("error_groups.insert", f"insert into error_groups ({_LISTED}) values ({placed(COLUMNS)})")
SAVE = Query("error_groups.save", f"update error_groups set {assigned(_SET)} where id = :id")
SET_STATE = Query(
    "error_groups.set_state",
    f"update error_groups set {assigned(_STATE)} where script_id = :script_id and kin = :kin",
)
MAKE_ROOM = Query(
    "error_groups.make_room",
    "delete from error_groups where id = (select id from error_groups where script_id = :script_id order by last_seen, id limit 1)",
)
ADD_WITNESS = Query(
    "error_groups.add_witness",
    "insert into error_witnesses (group_id, witness, seen_at) values (:group_id, :witness, :seen_at) on conflict do nothing",
)
ADD_HOUR = Query(
    "error_groups.add_hour",
    "insert into error_hours (group_id, hour, instances) values (:group_id, :hour, :instances) "
    "on conflict (group_id, hour) do update set instances = error_hours.instances + excluded.instances",
)
HOURS = Query(
    "error_groups.hours",
    "select hour, instances from error_hours where group_id = :group_id and hour >= :since order by hour",
)
FORGET_HOURS = Query(
    "error_groups.forget_hours", "delete from error_hours where group_id = :group_id and hour < :before"
)
PRUNE = Query(
    "error_groups.prune",
    "delete from error_groups where id in (select id from error_groups where last_seen < :before order by last_seen limit :most)",
)
PRUNE_WITNESSES = Query(
    "error_groups.prune_witnesses",
    "delete from error_witnesses where (group_id, witness) in "
    "(select group_id, witness from error_witnesses where seen_at < :before order by seen_at limit :most)",
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, int]).decode


async def find(db: Database | Transaction, script_id: str, build: int, signature: bytes) -> ErrorGroup | None:
    row = await db.fetch_one(FIND, script_id=script_id, build=build, signature=signature)
    return None if row is None else _group(row)


async def find_owned(db: Database | Transaction, group_id: str, account_id: str) -> tuple[ErrorGroup, str] | None:
    """The group and its script's project, if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=group_id, account_id=account_id)
    return None if row is None else (_group(row[:-1]), row[-1])


async def of_kin(db: Database | Transaction, script_id: str, kin: bytes) -> list[ErrorGroup]:
    """What seems to be one error in all builds that had it, the newest build first."""
    return [_group(row) for row in await db.fetch_all(OF_KIN, script_id=script_id, kin=kin)]


async def list_of_script(
    db: Database | Transaction, script_id: str, *, state: str | None, build: int | None, offset: int, limit: int
) -> list[ErrorGroup]:
    """A page of a script's groups, the one that was seen last first."""
    rows = await db.fetch_all(LIST, script_id=script_id, state=state, build=build, offset=offset, limit=limit)
    return [_group(row) for row in rows]


async def count(db: Database | Transaction, script_id: str) -> int:
    """How many groups a script has."""
    row = await db.fetch_one(COUNT, script_id=script_id)
    return 0 if row is None else int(row[0])


async def count_new(db: Database | Transaction, script_id: str, *, since: int) -> int:
    """How many of a script's groups came to be since then."""
    row = await db.fetch_one(COUNT_NEW, script_id=script_id, since=since)
    return 0 if row is None else int(row[0])


async def insert(tx: Transaction, group: ErrorGroup) -> None:
    await tx.execute(INSERT, **(msgspec.structs.asdict(group) | {"executors": _encode(group.executors).decode()}))


async def save(tx: Transaction, group: ErrorGroup) -> None:
    """Write how often and when it was seen."""
    values = {name: getattr(group, name) for name in _SET} | {"executors": _encode(group.executors).decode()}
    await tx.execute(SAVE, id=group.id, **values)


async def set_state(
    tx: Transaction,
    script_id: str,
    kin: bytes,
    state: ErrorState,
    *,
    resolved_build: int | None = None,
    regressed_at: int | None = None,
) -> None:
    """Write how an error stands, in all builds."""
    await tx.execute(
        SET_STATE, script_id=script_id, kin=kin, state=state, resolved_build=resolved_build, regressed_at=regressed_at
    )


async def make_room(tx: Transaction, script_id: str) -> None:
    """Remove the group of a script that was not seen for longest."""
    await tx.execute(MAKE_ROOM, script_id=script_id)


async def add_witnesses(tx: Transaction, group_id: str, witnesses: Sequence[bytes], *, now: int) -> list[bool]:
    """Note who had an error; gives for each whether they had not yet."""
    added = await tx.execute_each(ADD_WITNESS, [(group_id, witness, now) for witness in witnesses])
    return [rows == 1 for rows in added]


async def add_hour(tx: Transaction, group_id: str, hour: int, instances: int, *, kept_since: int) -> None:
    """Count copies that had it in an hour (since 1970), and forget the hours before `kept_since`."""
    await tx.execute(ADD_HOUR, group_id=group_id, hour=hour, instances=instances)
    await tx.execute(FORGET_HOURS, group_id=group_id, before=kept_since)


async def hours(db: Database | Transaction, group_id: str, *, since: int) -> dict[int, int]:
    """Copies that had it, by hour; hours without any are missing."""
    return {int(hour): int(each) for hour, each in await db.fetch_all(HOURS, group_id=group_id, since=since)}


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove groups that were not seen since; gives how many."""
    return await tx.execute(PRUNE, before=before, most=most)


async def prune_witnesses(tx: Transaction, *, before: int, most: int) -> int:
    """Forget who had an error before then; gives how many."""
    return await tx.execute(PRUNE_WITNESSES, before=before, most=most)


def _group(row: Row) -> ErrorGroup:
    values = values_of(ErrorGroup, row, blobs=_BLOBS)
    values |= {"kind": ErrorKind(values["kind"]), "state": ErrorState(values["state"])}
    values["executors"] = _decode(values["executors"])
    return ErrorGroup(**values)
