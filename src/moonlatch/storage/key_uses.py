"""Where a key was used and how often: devices and networks (keyed hashes) by day, starts and resets by hour. Decides nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own
from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names
from moonlatch.storage.last_starts import MOST_CHARACTERS

MOST_PLACES = 1_000
"""Different places of a key and day that are kept; starts from further ones are counted by the hour alone."""

MOST_SHOWN = 100
"""Devices, networks and programs of a key that are shown, those seen last."""

_HOURS_OF_DAY = DAY_MS // HOUR_MS

COUNT_USE = Query(
    "key_uses.count_use",
    """
    update key_uses set
        starts = starts + :starts,
        hooked = hooked + :hooked,
        last_at = case when last_at < :last_at then :last_at else last_at end
    where user_id = :user_id and day = :day and device = :device and network = :network and executor = :executor
    """,
)
# As `COUNT_USE` where another process has been faster.
ADD_USE = Query(
    "key_uses.add_use",
    """
    insert into key_uses (user_id, day, device, network, executor, starts, hooked, first_at, last_at)
    select u.id, :day, :device, :network, :executor, :starts, :hooked, :first_at, :last_at from users u
    where u.id = :user_id
        and (select count(*) from (
            select 1 from key_uses k where k.user_id = :user_id and k.day = :day limit :most
        ) kept) < :most
    on conflict (user_id, day, device, network, executor) do update set
        starts = key_uses.starts + excluded.starts,
        hooked = key_uses.hooked + excluded.hooked,
        last_at = case when key_uses.last_at < excluded.last_at then excluded.last_at else key_uses.last_at end
    """,
)
# A blacklisting bars what is written down; a start just before it is written down only now.
_BAR_LATE = """
    insert into bars (project_id, fingerprint, user_id, expires_at, kind)
    select u.project_id, :{place}, u.id, u.blacklist_expires, '{kind}' from users u
    where u.id = :user_id and u.blacklisted and (u.blacklist_expires is null or u.blacklist_expires > :last_at){only_if}
    on conflict (project_id, fingerprint, user_id) do nothing
    """
BAR_DEVICE = Query("key_uses.bar_device", _BAR_LATE.format(place="device", kind="device", only_if=""))
BAR_NETWORK = Query(
    "key_uses.bar_network",
    _BAR_LATE.format(
        place="network",
        kind="network",
        only_if=" and exists (select 1 from bars b where b.user_id = u.id and b.kind = 'network')",
    ),
)
_BOTH_LISTS = "key_hours.last_starts || excluded.last_starts"
COUNT_HOUR = Query(
    "key_uses.count_hour",
    f"""
    insert into key_hours (user_id, hour, starts, resets, last_starts)
    select u.id, :hour, :starts, :resets, :last_starts from users u where u.id = :user_id
    on conflict (user_id, hour) do update set
        starts = key_hours.starts + excluded.starts,
        resets = key_hours.resets + excluded.resets,
        last_starts = case
            when length({_BOTH_LISTS}) <= {MOST_CHARACTERS} then {_BOTH_LISTS}
            else substr({_BOTH_LISTS}, length({_BOTH_LISTS}) - {MOST_CHARACTERS - 1})
        end
    """,
)
_OF_USER = "from key_uses where user_id = :user_id and day >= :since"
_SEEN = "sum(starts), count(distinct day), min(first_at), max(last_at)"
_LAST_FIRST = "order by max(last_at) desc limit :limit"
DEVICES = Query(
    "key_uses.devices",
    f"select device, {_SEEN}, count(distinct case when length(network) > 0 then network end) {_OF_USER} "
    f"and length(device) > 0 group by device {_LAST_FIRST}",
)
NETWORKS = Query(
    "key_uses.networks",
    f"select network, {_SEEN}, count(distinct case when length(device) > 0 then device end) {_OF_USER} "
    f"and length(network) > 0 group by network {_LAST_FIRST}",
)
EXECUTORS = Query(
    "key_uses.executors", f"select executor, sum(starts) {_OF_USER} group by executor order by 2 desc, 1 limit :limit"
)
PLACES_BY_DAY = Query(
    "key_uses.places_by_day",
    "select day, count(distinct case when length(device) > 0 then device end), "
    f"count(distinct case when length(network) > 0 then network end), sum(hooked) {_OF_USER} group by day",
)
HOURS = Query(
    "key_uses.hours",
    "select hour, starts, resets from key_hours where user_id = :user_id and hour >= :since order by hour",
)
PRUNE_USES = Query(
    "key_uses.prune_uses",
    """
    delete from key_uses where (user_id, day, device, network, executor) in (
        select user_id, day, device, network, executor from key_uses where day < :before order by day limit :most
    )
    """,
)
PRUNE_HOURS = Query(
    "key_uses.prune_hours",
    """
    delete from key_hours where (user_id, hour) in (
        select user_id, hour from key_hours where hour < :before order by hour limit :most
    )
    """,
)


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """Starts of a key from one place on one day. Hashes are keyed, empty where nobody knows; times are Unix milliseconds."""

    user_id: str
    device: bytes
    network: bytes
    executor: str
    first_at: int
    last_at: int
    starts: int = 1
    hooked: int = 0
    """Those in a host whose functions were replaced."""
    last_starts: str = ""
    """The text of `last_starts.listed` that names them, or the last of them."""

    @property
    def day(self) -> int:
        """Days since 1970."""
        return self.first_at // DAY_MS

    @property
    def hour(self) -> int:
        """Hours since 1970 of the first of them."""
        return self.first_at // HOUR_MS

    @property
    def most(self) -> int:
        return MOST_PLACES


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A device or a network of a key. `others` are the networks of a device, or the devices of a network."""

    hash: bytes
    starts: int
    days: int
    first_at: int
    last_at: int
    others: int


class UseOfDay(msgspec.Struct, frozen=True, kw_only=True):
    """A key's use on one UTC day (days since 1970)."""

    day: int
    starts: int
    resets: int
    devices: int
    networks: int
    hooked: int = 0
    """Starts in a host whose functions were replaced."""


class UseOfHour(msgspec.Struct, frozen=True):
    """A key's use in one hour (hours since 1970)."""

    hour: int
    starts: int
    resets: int


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of where a key was used; devices and networks are those seen last, days and hours in order."""

    devices: list[Seen]
    networks: list[Seen]
    executors: dict[str, int]
    days: list[UseOfDay]
    hours: list[UseOfHour]


_use_values = attrgetter(*parameter_names(COUNT_USE.sql))
_new_use_values = attrgetter(*parameter_names(ADD_USE.sql))
_device_values = attrgetter(*parameter_names(BAR_DEVICE.sql))
_network_values = attrgetter(*parameter_names(BAR_NETWORK.sql))
_hour_names = parameter_names(COUNT_HOUR.sql)
_place = attrgetter("user_id", "day", "device", "network", "executor")


async def count(tx: Transaction, uses: Sequence[KeyUse]) -> None:
    """Count starts of keys. Those of users who are gone are passed over; new places of blacklisted ones are barred with them."""
    # Every process takes the rows in this order: none waits for one that waits for it.
    places = _together(uses)
    hours: dict[tuple[str, int], tuple[int, str]] = {}
    for use in sorted(uses, key=attrgetter("first_at")):
        starts, named = hours.get((use.user_id, use.hour), (0, ""))
        hours[use.user_id, use.hour] = starts + use.starts, (named + use.last_starts)[-MOST_CHARACTERS:]
    counted = await tx.execute_each(COUNT_USE, [_use_values(place) for place in places])
    new = [place for place, rows in zip(places, counted, strict=True) if not rows]
    await tx.execute_each(ADD_USE, [_new_use_values(place) for place in new])
    await tx.execute_each(BAR_DEVICE, [_device_values(place) for place in new if place.device])
    await tx.execute_each(BAR_NETWORK, [_network_values(place) for place in new if place.network])
    await _count_hours(tx, [(user, hour, starts, 0, named) for (user, hour), (starts, named) in sorted(hours.items())])


async def count_resets(tx: Transaction, user_ids: Sequence[str], *, now: int) -> None:
    """Count that these users were unbound from their devices at `now` (Unix milliseconds)."""
    await _count_hours(tx, [(user, now // HOUR_MS, 0, 1, "") for user in sorted(user_ids)])


async def uses_of(db: Database, user_id: str, *, since_day: int, since_hour: int) -> Uses:
    """Where and how often a key was used since a day and, hour by hour, since an hour (counted from 1970).

    Raises Unavailable where a key has so many that it takes too long.
    """
    of_days = {"user_id": user_id, "since": since_day}
    devices = await db.search(DEVICES, **of_days, limit=MOST_SHOWN)
    networks = await db.search(NETWORKS, **of_days, limit=MOST_SHOWN)
    executors = await db.search(EXECUTORS, **of_days, limit=MOST_SHOWN)
    places = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in await db.search(PLACES_BY_DAY, **of_days)}
    hours = [UseOfHour(*row) for row in await db.search(HOURS, user_id=user_id, since=since_day * _HOURS_OF_DAY)]
    days: dict[int, tuple[int, int]] = {}
    for each in hours:
        starts, resets = days.get(each.hour // _HOURS_OF_DAY, (0, 0))
        days[each.hour // _HOURS_OF_DAY] = starts + each.starts, resets + each.resets
    return Uses(
        devices=[_seen(row) for row in devices],
        networks=[_seen(row) for row in networks],
        executors={row[0]: int(row[1]) for row in executors},
        days=[
            UseOfDay(day=day, starts=starts, resets=resets, devices=found[0], networks=found[1], hooked=found[2])
            for day, (starts, resets) in days.items()
            for found in [places.get(day, (0, 0, 0))]
        ],
        hours=[each for each in hours if each.hour >= since_hour],
    )


async def prune_uses(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` places of days that were over before a time (Unix milliseconds); gives how many went."""
    return await tx.execute(PRUNE_USES, before=before // DAY_MS, most=most)


async def prune_hours(tx: Transaction, *, before: int, most: int) -> int:
    """As `prune_uses`, for the counts by hour."""
    return await tx.execute(PRUNE_HOURS, before=before // HOUR_MS, most=most)


def _together(uses: Sequence[KeyUse]) -> list[KeyUse]:
    """The uses with those of the same place added up, in the order of places."""
    places: list[KeyUse] = []
    for use in sorted(uses, key=lambda use: (_place(use), use.first_at)):
        if places and _place(places[-1]) == _place(use):
            before = places.pop()
            use = msgspec.structs.replace(
                before,
                starts=before.starts + use.starts,
                hooked=before.hooked + use.hooked,
                last_at=max(before.last_at, use.last_at),
            )
        places.append(use)
    return places


async def _count_hours(tx: Transaction, counted: Sequence[tuple[str, int, int, int, str]]) -> None:
    """Count starts and resets by user and hour, and name the last starts."""
    names = "user_id", "hour", "starts", "resets", "last_starts"
    values = [dict(zip(names, each, strict=True)) for each in counted]
    await tx.execute_each(COUNT_HOUR, [tuple(row[name] for name in _hour_names) for row in values])


def _seen(row: Row) -> Seen:
    found, starts, days, first_at, last_at, others = row
    return Seen(hash=bytes(found), starts=int(starts), days=days, first_at=first_at, last_at=last_at, others=others)
