"""What the rules about shared keys are judged by, and what was said of a key already. Decides nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of parameters
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.licensing.sharing import Breach, KeyUsage, SharingRules
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names

DAYS_OF_DEVICES = 30
"""So many days (UTC, today included) a device of a key counts after its last start."""

ASKED_AT_ONCE = 100
_IDS = [f"id{number}" for number in range(ASKED_AT_ONCE)]
_USED = "from key_uses k where k.user_id = u.id and k.day >= {since} and k.last_at > coalesce(u.forgiven_until, 0)"
_TODAY = _USED.format(since=":day")
_LATELY = _USED.format(since=":since")
USAGES = Query(
    "key_signals.usages",
    f"""
    select u.id, u.forgiven_until, u.fingerprintless, p.id, p.account_id, p.sharing, coalesce(u.max_devices, p.max_devices),
        (select count(distinct k.device) {_LATELY} and length(k.device) > 0),
        (select count(distinct k.network) {_TODAY} and length(k.network) > 0),
        (select coalesce(sum(k.starts), 0) {_TODAY} and length(k.device) = 0),
        (select coalesce(sum(k.hooked), 0) {_TODAY}),
        (select h.starts from key_hours h where h.user_id = u.id and h.hour = :hour
            and coalesce(u.forgiven_until, 0) < h.hour * {HOUR_MS}),
        (select case when count(*) = 2 then max(latest.at) - min(latest.at) end from (
            select max(k.last_at) as at {_USED.format(since=":yesterday")} and length(k.device) > 0
            group by k.device order by max(k.last_at) desc limit 2
        ) latest)
    from users u join projects p on p.id = u.project_id
    where u.id in ({", ".join(f":{name}" for name in _IDS)})
        and (u.held_by is null or u.held_until <= :now)
        and (not u.blacklisted or u.blacklist_expires <= :now)
    """,
)
ADD = Query(
    "key_signals.add",
    "insert into key_signals (user_id, day, rule, action) values (:user_id, :day, :rule, :action) on conflict do nothing",
)
FORGET = Query("key_signals.forget", "delete from key_signals where user_id = :user_id")
PRUNE = Query(
    "key_signals.prune",
    """
    delete from key_signals where (user_id, day, rule, action) in (
        select user_id, day, rule, action from key_signals where day < :before order by day limit :most
    )
    """,
)


class JudgedKey(msgspec.Struct, frozen=True, kw_only=True):
    """How a key was used, and the rules of its project. `forgiven_until` as the user has it."""

    user_id: str
    forgiven_until: int | None
    project_id: str
    account_id: str
    rules: SharingRules
    usage: KeyUsage


async def usages(db: Database, user_ids: Sequence[str], *, now: int) -> list[JudgedKey]:
    """How keys were used up to `now` (Unix milliseconds), of those that may start.

    Raises StorageError, and Unavailable where they were used so much that it takes too long.
    """
    found: list[JudgedKey] = []
    day = now // DAY_MS
    for start in range(0, len(user_ids), ASKED_AT_ONCE):
        some = user_ids[start : start + ASKED_AT_ONCE]
        padded = [*some, *[some[0]] * (ASKED_AT_ONCE - len(some))]
        rows = await db.search(
            USAGES,
            **dict(zip(_IDS, padded, strict=True)),
            day=day,
            yesterday=day - 1,
            since=day - DAYS_OF_DEVICES + 1,
            hour=now // HOUR_MS,
            now=now,
        )
        found += [_judged(row) for row in rows]
    return found


async def add(tx: Transaction, user_id: str, found: Sequence[Breach], *, now: int) -> list[Breach]:
    """Note what is said of a key at `now` (Unix milliseconds); gives those that were not said that day."""
    assert parameter_names(ADD.sql) == ("user_id", "day", "rule", "action")
    added = await tx.execute_each(ADD, [(user_id, now // DAY_MS, each.rule, str(each.action)) for each in found])
    return [each for each, is_new in zip(found, added, strict=True) if is_new]


async def forget(tx: Transaction, user_ids: Sequence[str]) -> None:
    """Let everything be said of these keys anew."""
    await tx.execute_each(FORGET, [(user_id,) for user_id in user_ids])


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` notes of days that were over before a time (Unix milliseconds); gives how many went."""
    return await tx.execute(PRUNE, before=before // DAY_MS, most=most)


def _judged(row: Row) -> JudgedKey:
    (
        user_id,
        forgiven_until,
        fingerprintless,
        project_id,
        account_id,
        rules,
        max_devices,
        devices,
        networks,
        unknown,
        hooked,
        starts,
        apart,
    ) = row
    return JudgedKey(
        user_id=user_id,
        forgiven_until=forgiven_until,
        project_id=project_id,
        account_id=account_id,
        rules=msgspec.json.decode(rules, type=SharingRules),
        usage=KeyUsage(
            max_devices=max_devices,
            fingerprintless=bool(fingerprintless),
            devices=devices,
            networks_today=networks,
            starts_this_hour=starts or 0,
            ms_between_devices=apart,
            unknown_today=int(unknown),
            hooked_today=int(hooked),
        ),
    )
