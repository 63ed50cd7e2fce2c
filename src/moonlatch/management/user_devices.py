"""Where a customer runs it: devices, networks and programs that a key was used with, by day and by hour."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import Field

from moonlatch.clock import DAY_MS, HOUR_MS, utc_day
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.owned import OwnedUser
from moonlatch.management.picture import squares
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import DAYS_SHOWN, Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.user_bodies import NameDevice
from moonlatch.operations.refusals import Reason
from moonlatch.operations.users import name_device as name_of_device
from moonlatch.storage import key_devices
from moonlatch.storage.key_uses import Seen, UseOfDay, UseOfHour, uses_of
from moonlatch.storage.users import User

router = resource_router("users")

HOURS_SHOWN = 48

MAX_NAMES = DocumentedError(1, Reason.MAX_NAMES, 409)


class SeenView(Reply):
    """What a device and a network have in common. Times in Unix milliseconds."""

    starts: int
    days: int = Field(description="on how many days (UTC) it was seen")
    first_at: int
    last_at: int


class DeviceView(SeenView):
    """A device that a key was used on."""

    model_config = example(
        id="9f" * 32,
        name="laptop",
        picture="🟫⬛🟥🟥🟦🟩",
        is_bound=True,
        starts=14,
        days=3,
        networks=2,
        first_at=1_770_424_500_000,
        last_at=1_770_624_500_000,
    )

    id: str = Field(description="a keyed hash, another one in each project")
    name: str | None = Field(description="what it was called by `name_device`")
    picture: str = Field(description="its squares, as in `luaauth_fingerprint`")
    is_bound: bool = Field(description="the key is bound to it")
    networks: int = Field(description="how many networks it was used in")

    @classmethod
    def of(cls, seen: Seen, user: User, *, name: str | None, is_bound: bool) -> DeviceView:
        return cls(
            id=seen.hash.hex(),
            name=name,
            picture=squares("fingerprint", user.project_id, seen.hash),
            is_bound=is_bound,
            starts=seen.starts,
            days=seen.days,
            networks=seen.others,
            first_at=seen.first_at,
            last_at=seen.last_at,
        )


class BoundDeviceView(Reply):
    """A device that a key is bound to, however long ago it was used on it."""

    model_config = example(id="9f" * 32, name="laptop", picture="🟫⬛🟥🟥🟦🟩", bound_at=1_770_424_500_000)

    id: str
    name: str | None
    picture: str
    bound_at: int | None = Field(description="Unix milliseconds; null of a key's first device")

    @classmethod
    def of(cls, device: bytes, user: User, *, name: str | None, bound_at: int | None) -> BoundDeviceView:
        picture = squares("fingerprint", user.project_id, device)
        return cls(id=device.hex(), name=name, picture=picture, bound_at=bound_at)


class NetworkView(SeenView):
    """A network that a key was used in: a /24, or a /48 of IPv6."""

    model_config = example(
        picture="🟥🟧🟨🟩🟦🟪",
        starts=14,
        days=3,
        devices=1,
        first_at=1_770_424_500_000,
        last_at=1_770_624_500_000,
    )

    picture: str = Field(description="six squares, the same for the same network; not those of an address")
    devices: int = Field(description="how many devices used the key in it")

    @classmethod
    def of(cls, seen: Seen, user: User) -> NetworkView:
        return cls(
            picture=squares("network", user.project_id, seen.hash),
            starts=seen.starts,
            days=seen.days,
            devices=seen.others,
            first_at=seen.first_at,
            last_at=seen.last_at,
        )


class DayOfUseView(Reply):
    """The use of a key on one day (UTC) that it was used or reset on."""

    model_config = example(day="2026-02-09", starts=14, devices=1, networks=2, resets=0, hooked=0)

    day: str = Field(description="`YYYY-MM-DD`")
    starts: int
    devices: int
    networks: int
    resets: int = Field(description="how often the key was unbound from its device")
    hooked: int = Field(description="starts in a host whose functions were replaced")

    @classmethod
    def of(cls, day: UseOfDay) -> DayOfUseView:
        return cls(
            day=utc_day(day.day * DAY_MS),
            starts=day.starts,
            devices=day.devices,
            networks=day.networks,
            resets=day.resets,
            hooked=day.hooked,
        )


class HourOfUseView(Reply):
    """The starts of a key in one hour that it was used in."""

    model_config = example(at=1_770_624_000_000, starts=4)

    at: int = Field(description="when the hour began, in Unix milliseconds")
    starts: int

    @classmethod
    def of(cls, hour: UseOfHour) -> HourOfUseView:
        return cls(at=hour.hour * HOUR_MS, starts=hour.starts)


class DevicesReply(Success):
    bound: list[BoundDeviceView]
    devices: list[DeviceView]
    networks: list[NetworkView]
    executors: Annotated[dict[str, int], Field(examples=[{"Delta": 14}])]
    days: list[DayOfUseView]
    hours: list[HourOfUseView]


@router.get("/users/{key}/devices", summary="List a user's devices", openapi_extra=needs(Permission.KEYS_READ))
async def list_user_devices(user: OwnedUser, backend: CurrentBackend) -> DevicesReply:
    """Where the key was used in the last 30 days (UTC), a second later: 100 devices, networks and programs at most, those seen last;
    and how often, by day and in the last 48 hours.
    """
    now = backend.clock()
    found = await uses_of(
        backend.database,
        user.id,
        since_day=now // DAY_MS - DAYS_SHOWN + 1,
        since_hour=now // HOUR_MS - HOURS_SHOWN + 1,
    )
    names = await key_devices.names(backend.database, user.id)
    bound: dict[bytes, int | None] = {} if user.fingerprint is None else {user.fingerprint: None}
    bound |= {each.fingerprint: each.bound_at for each in await key_devices.further(backend.database, user.id)}
    return DevicesReply(
        bound=[BoundDeviceView.of(device, user, name=names.get(device), bound_at=at) for device, at in bound.items()],
        devices=[
            DeviceView.of(each, user, name=names.get(each.hash), is_bound=each.hash in bound) for each in found.devices
        ],
        networks=[NetworkView.of(each, user) for each in found.networks],
        executors=found.executors,
        days=[DayOfUseView.of(each) for each in found.days],
        hours=[HourOfUseView.of(each) for each in found.hours if each.starts],
    )


@router.post(
    "/users/{key}/name_device",
    summary="Name a device of a user",
    responses=refusing(ACCOUNT_EXPIRED, MAX_NAMES),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def name_device(
    user: OwnedUser, named: Annotated[NameDevice, Depends(JsonBody(NameDevice))], call: CurrentCall
) -> Success:
    """Call a device that the key is bound to, or was used on, so that a person can tell it from others."""
    return await call.change(
        lambda change: name_of_device(change, user.id, bytes.fromhex(named.device), named.name or None),
        lambda _: Success(),
    )
