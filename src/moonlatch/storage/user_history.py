"""What became of a user's starts: how copies ended, and the last refusals of each key. Decides nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own
from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal

import msgspec

from moonlatch.clock import DAY_MS
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names

Moment = Literal["start", "heartbeat", "session"]
"""At which a copy is judged."""

KEPT_REFUSALS = 20
"""Of each user, whatever somebody does with its key."""

MAX_COUNTED = 10_000
"""How many refusals are looked at to count those of a project, at most."""

_USERS_AT_ONCE = 50

# The first that was refused is how it ended; that a session closed is only a sign of when.
END = Query(
    "user_history.end",
    """
    update executions set
        ended_at = case when ended is null then :at else ended_at end,
        ended = coalesce(ended, :code)
    where id = :id
    """,
)
NOTE = Query(
    "user_history.note",
    """
    insert into refusals
        (user_id, day, code, moment, script_id, fingerprint, ip, executor, first_at, refused_at, times)
    select u.id, :day, :code, :moment, :script_id, :fingerprint, :ip, :executor, :first_at, :refused_at, :times
    from users u where u.id = :user_id
    on conflict (user_id, day, code, moment, script_id, fingerprint) do update set
        ip = coalesce(excluded.ip, refusals.ip),
        executor = coalesce(excluded.executor, refusals.executor),
        refused_at = excluded.refused_at,
        times = refusals.times + excluded.times
    """,
)
KEEP_LAST = Query(
    "user_history.keep_last",
    """
    delete from refusals where user_id = :user_id and refused_at <= (
        select r.refused_at from refusals r where r.user_id = :user_id
        order by r.refused_at desc limit 1 offset :kept
    )
    """,
)
_REFUSAL = "code, moment, script_id, fingerprint, ip, executor, first_at, refused_at, times"
REFUSALS = Query(
    "user_history.refusals",
    f"select {_REFUSAL} from refusals where user_id = :user_id order by refused_at desc, code limit {KEPT_REFUSALS}",
)
_LAST = """
    select r.user_id, r.code, r.moment, r.script_id, r.fingerprint, r.ip, r.executor, r.first_at, r.refused_at, r.times
    from refusals r where r.user_id in ({users})
    and r.refused_at = (select max(l.refused_at) from refusals l where l.user_id = r.user_id)
"""
LAST_OF_ONE = Query("user_history.last_of_one", _LAST.format(users=":user_0"))
LAST_OF_MANY = Query(
    "user_history.last_of_many",
    _LAST.format(users=", ".join(f":user_{number}" for number in range(_USERS_AT_ONCE))),
)
# Of an index of all refusals, because projects have none: whoever counts says how many it may be.
LATEST = Query(
    "user_history.latest",
    "select refused_at from refusals where refused_at > :after order by refused_at desc limit 1 offset :most",
)
# By their scripts, which are few: to look each user up takes four times as long.
COUNT_BY_CODE = Query(
    "user_history.count_by_code",
    """
    select r.code, sum(r.times), count(distinct r.user_id), max(r.refused_at) from refusals r
    where r.refused_at > :after and r.script_id in (select s.id from scripts s where s.project_id = :project_id)
    group by r.code order by 2 desc, r.code
    """,
)
PRUNE_REFUSALS = Query(
    "user_history.prune_refusals",
    """
    delete from refusals where (user_id, day, code, moment, script_id, fingerprint) in (
        select user_id, day, code, moment, script_id, fingerprint from refusals
        where refused_at < :before order by refused_at limit :most
    )
    """,
)


class PastRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Refusals of one day with the same code, for the same script, device and moment: the last of them, and how many there were."""

    code: str
    moment: Moment
    script_id: str
    fingerprint: bytes | None
    ip: bytes | None
    executor: str | None
    first_at: int
    refused_at: int
    times: int


class RefusedWith(msgspec.Struct, frozen=True, kw_only=True):
    """How often keys of a project were refused with a code, how many keys, and when last (Unix milliseconds)."""

    code: str
    times: int
    users: int
    last_at: int


class NewRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal of a user's key that is to be noted, or several of the same day, code, script, device and moment."""

    user_id: str
    code: str
    moment: Moment
    script_id: str
    fingerprint: bytes | None
    ip: bytes | None = None
    executor: str | None = None
    refused_at: int
    first_at: int | None = None
    """None: there is no earlier one."""
    times: int = 1

    @property
    def day(self) -> int:
        """Days since 1970."""
        return self.refused_at // DAY_MS


class End(msgspec.Struct, frozen=True, kw_only=True):
    """A copy was refused with this code, or its session was closed (None), at that time (Unix milliseconds)."""

    id: str
    code: str | None
    at: int


_end_values = attrgetter(*parameter_names(END.sql))


async def refusals_of(db: Database | Transaction, user_id: str) -> list[PastRefusal]:
    """The last refusals of a user, the newest first."""
    return [PastRefusal(**_values(PastRefusal, row)) for row in await db.fetch_all(REFUSALS, user_id=user_id)]


async def refusals_by_code(db: Database, project_id: str, *, after: int) -> tuple[int, list[RefusedWith]]:
    """How often keys of a project were refused for its scripts with each code since a time (Unix milliseconds), the most frequent first.

    Gives the time too since which it is: a later one where more than `MAX_COUNTED` refusals of the installation, with those
    of a day as one, are newer. Raises Unavailable as `Database.search` does.
    """
    beyond = await db.search(LATEST, after=after, most=MAX_COUNTED)
    if beyond:
        (after,) = beyond[0]
    rows = await db.search(COUNT_BY_CODE, after=after, project_id=project_id)
    return after, [
        RefusedWith(code=code, times=int(times), users=users, last_at=last_at) for code, times, users, last_at in rows
    ]


async def last_refusals(db: Database | Transaction, user_ids: Sequence[str]) -> dict[str, PastRefusal]:
    """The last refusal of each of these users that has one, by the user's id."""
    found = {}
    for start in range(0, len(user_ids), _USERS_AT_ONCE):
        asked = user_ids[start : start + _USERS_AT_ONCE]
        query = LAST_OF_ONE if len(asked) == 1 else LAST_OF_MANY
        places = parameter_names(query.sql)
        padded = [*asked, *[""] * (len(places) - len(asked))]
        for user_id, *row in await db.fetch_all(query, **dict(zip(places, padded, strict=True))):
            found[user_id] = PastRefusal(**_values(PastRefusal, row))
    return found


async def note(tx: Transaction, refusals: Sequence[NewRefusal]) -> None:
    """Note refusals of keys, and keep each key's last; one whose user is gone is passed over."""
    # Every process takes the rows in this order: none waits for one that waits for it.
    ordered = sorted(
        refusals, key=lambda one: (one.user_id, one.code, one.moment, one.script_id, one.fingerprint or b"")
    )
    await tx.execute_each(NOTE, [_noted_values(one) for one in ordered])
    users = dict.fromkeys(one.user_id for one in ordered)
    await tx.execute_each(KEEP_LAST, [(user, KEPT_REFUSALS) for user in users])


_note_names = parameter_names(NOTE.sql)


def _noted_values(refusal: NewRefusal) -> tuple[Any, ...]:
    values = {
        **msgspec.structs.asdict(refusal),
        "day": refusal.day,
        "first_at": refusal.first_at or refusal.refused_at,
        "fingerprint": refusal.fingerprint or b"",
    }
    return tuple(values[name] for name in _note_names)


async def end(tx: Transaction, ends: Sequence[End]) -> None:
    """Write down how and when copies ended; of a copy that was refused before, nothing changes."""
    await tx.execute_each(END, [_end_values(one) for one in sorted(ends, key=lambda one: one.id)])


async def prune_refusals(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` refusals of before a time (Unix milliseconds), the oldest first; gives how many went."""
    return await tx.execute(PRUNE_REFUSALS, before=before, most=most)


def _values(record: type[msgspec.Struct], row: Row | Sequence[Any]) -> dict[str, Any]:
    """A row's values by the names of the record's fields; an empty hash is none."""
    values: dict[str, Any] = dict(zip(record.__struct_fields__, row, strict=True))
    for name in ("fingerprint", "ip"):
        values[name] = bytes(values[name]) if values[name] else None
    return values
