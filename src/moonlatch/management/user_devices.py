"""Where a customer runs it: devices, networks and programs that a key was used with, by day and by hour."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moonlatch.clock import DAY_MS, HOUR_MS, utc_day
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import OwnedUser
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.picture import squares
from moonlatch.management.replies import DAYS_SHOWN, Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.storage.key_uses import Seen, UseOfDay, UseOfHour, uses_of
from moonlatch.storage.users import User

router = resource_router("users")

HOURS_SHOWN = 48


class SeenView(Reply):
    """What a device and a network have in common. Times in Unix milliseconds."""

    starts: int
    days: int = Field(description="on how many days (UTC) it was seen")
    first_at: int
    last_at: int


class DeviceView(SeenView):
    """A device that a key was used on."""

    model_config = example(
        picture="🟫⬛🟥🟥🟦🟩",
        is_bound=True,
        starts=14,
        days=3,
        networks=2,
        first_at=1_770_424_500_000,
        last_at=1_770_624_500_000,
    )

    picture: str = Field(description="its squares, as in `luaauth_fingerprint`")
    is_bound: bool = Field(description="the key is bound to it")
    networks: int = Field(description="how many networks it was used in")

    @classmethod
    def of(cls, seen: Seen, user: User) -> DeviceView:
        return cls(
            picture=squares("fingerprint", user.project_id, seen.hash),
            is_bound=seen.hash == user.fingerprint,
            starts=seen.starts,
            days=seen.days,
            networks=seen.others,
            first_at=seen.first_at,
            last_at=seen.last_at,
        )


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

    model_config = example(day="2026-02-09", starts=14, devices=1, networks=2, resets=0)

    day: str = Field(description="`YYYY-MM-DD`")
    starts: int
    devices: int
    networks: int
    resets: int = Field(description="how often the key was unbound from its device")

    @classmethod
    def of(cls, day: UseOfDay) -> DayOfUseView:
        return cls(
            day=utc_day(day.day * DAY_MS),
            starts=day.starts,
            devices=day.devices,
            networks=day.networks,
            resets=day.resets,
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
    return DevicesReply(
        devices=[DeviceView.of(each, user) for each in found.devices],
        networks=[NetworkView.of(each, user) for each in found.networks],
        executors=found.executors,
        days=[DayOfUseView.of(each) for each in found.days],
        hours=[HourOfUseView.of(each) for each in found.hours if each.starts],
    )
