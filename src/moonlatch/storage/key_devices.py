"""The devices of keys that are bound to several, and the names of devices. The first of a key's devices is its user's `fingerprint`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

MOST_NAMES = 100
"""Names of devices that one key may have."""

FURTHER = Query(
    "key_devices.further",
    "select fingerprint, bound_at from key_devices where user_id = :user_id order by bound_at, fingerprint",
)
# The row of the key is taken first, so that whoever counts its devices next sees this one.
TAKE_KEY = Query(
    "key_devices.take_key",
    "update users set fingerprint = fingerprint where id = :user_id and fingerprint <> :fingerprint and not fingerprintless",
)
BIND = Query(
    "key_devices.bind",
    """
    insert into key_devices (user_id, fingerprint, bound_at)
    select u.id, :fingerprint, :bound_at from users u join projects p on p.id = u.project_id
    where u.id = :user_id and 1 + (select count(*) from key_devices d where d.user_id = u.id) < coalesce(u.max_devices, p.max_devices)
    on conflict (user_id, fingerprint) do nothing
    """,
)
UNBIND = Query("key_devices.unbind", "delete from key_devices where user_id = :user_id and fingerprint = :fingerprint")
UNBIND_ALL = Query("key_devices.unbind_all", "delete from key_devices where user_id = :user_id")
NAMES = Query("key_devices.names", "select fingerprint, name from device_names where user_id = :user_id")
NAME = Query(
    "key_devices.name",
    """
    insert into device_names (user_id, fingerprint, name) values (:user_id, :fingerprint, :name)
    on conflict (user_id, fingerprint) do update set name = excluded.name
    """,
)
UNNAME = Query("key_devices.unname", "delete from device_names where user_id = :user_id and fingerprint = :fingerprint")
IS_KNOWN = Query(
    "key_devices.is_known",
    """
    select 1 from users u where u.id = :user_id and (
        u.fingerprint = :fingerprint
        or exists (select 1 from key_devices d where d.user_id = u.id and d.fingerprint = :fingerprint)
        or exists (select 1 from key_uses k where k.user_id = u.id and k.device = :fingerprint))
    """,
)


class BoundDevice(msgspec.Struct, frozen=True):
    """A device that a key is bound to beside its first; `bound_at` in Unix milliseconds."""

    fingerprint: bytes
    bound_at: int


async def further(db: Database | Transaction, user_id: str) -> list[BoundDevice]:
    """The devices of a key beside its first, in the order in which they were bound."""
    rows = await db.fetch_all(FURTHER, user_id=user_id)
    return [BoundDevice(bytes(fingerprint), bound_at) for fingerprint, bound_at in rows]


async def take_key(tx: Transaction, user_id: str, fingerprint: bytes) -> bool:
    """Keep others from binding devices to a key; False for one that is bound to no other device than this one."""
    return await tx.execute(TAKE_KEY, user_id=user_id, fingerprint=fingerprint) == 1


async def bind(tx: Transaction, user_id: str, fingerprint: bytes, *, now: int) -> bool:
    """Bind a key, which `take_key` has taken, to a device at `now` (Unix milliseconds); False where it may not, or is already."""
    return await tx.execute(BIND, user_id=user_id, fingerprint=fingerprint, bound_at=now) == 1


async def unbind(tx: Transaction, user_id: str, fingerprint: bytes) -> None:
    """Unbind a key from a device that is not its first."""
    await tx.execute(UNBIND, user_id=user_id, fingerprint=fingerprint)


async def unbind_all(tx: Transaction, user_ids: Sequence[str]) -> None:
    """Unbind keys from all devices but their first."""
    await tx.execute_each(UNBIND_ALL, [(user_id,) for user_id in user_ids])


async def names(db: Database | Transaction, user_id: str) -> dict[bytes, str]:
    """What the devices of a key are called, of those that have names."""
    return {bytes(fingerprint): name for fingerprint, name in await db.fetch_all(NAMES, user_id=user_id)}


async def is_known(tx: Transaction, user_id: str, fingerprint: bytes) -> bool:
    """Tell if a key is bound to a device, or was used on it."""
    return await tx.fetch_one(IS_KNOWN, user_id=user_id, fingerprint=fingerprint) is not None


async def set_name(tx: Transaction, user_id: str, fingerprint: bytes, name: str | None) -> None:
    """Call a device of a key so; None takes its name away."""
    if name is None:
        await tx.execute(UNNAME, user_id=user_id, fingerprint=fingerprint)
    else:
        await tx.execute(NAME, user_id=user_id, fingerprint=fingerprint, name=name)
