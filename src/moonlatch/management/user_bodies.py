"""The bodies of calls that make users or change them, one at a time or many."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from moonlatch.errors import Failed, invalid_fields
from moonlatch.management.fields import (
    BlacklistReason,
    ClearableCount,
    ClearableDays,
    ClearableDevices,
    ClearableDiscordId,
    ClearableNote,
    Closed,
    Count,
    Days,
    DeviceId,
    DeviceName,
    DiscordId,
    Edit,
    Integral,
    MaxDevices,
    NewKey,
    Note,
)
from moonlatch.management.times import ClearableTime, FutureMs, FutureMsOrDigits

MAX_NEW_USERS = 1000

T = TypeVar("T")


def _only_without_key_expires(days: T, fields: ValidationInfo) -> T:
    if isinstance(days, int) and isinstance(fields.data.get("key_expires"), int):
        # pydantic reports ValueError only.
        raise ValueError("must not be given together with key_expires")  # noqa: TRY004
    return days


class NewUser(Closed):
    """The fields of one user."""

    key: Annotated[NewKey | None, Field(description="brought along from elsewhere; null: a new one")] = None
    discord_id: DiscordId | None = None
    key_expires: Annotated[FutureMs | None, Field(description="Unix milliseconds; null: never")] = None
    key_days: Annotated[Days | None, Field(description="days from the first execution; not with key_expires")] = None
    note: Note | None = None
    max_instances: Annotated[Count | None, Field(description="running at once; null: as the project says")] = None
    max_executions: Annotated[Count | None, Field(description="starts in all; null: any number")] = None
    max_devices: Annotated[
        MaxDevices | None, Field(description="devices it is bound to; null: as the project says")
    ] = None
    fingerprintless: Annotated[bool, Field(description="runs on any device")] = False

    @field_validator("key_days")
    @classmethod
    def _one_expiry(cls, days: int | None, fields: ValidationInfo) -> int | None:
        return _only_without_key_expires(days, fields)

    def settings(self) -> dict[str, Any]:
        """Values by name of the record's fields."""
        return {name: getattr(self, name) for name in NewUser.model_fields if name != "key"}


class NewUsers(NewUser):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "first customer", "key_days": 30}]})

    amount: Annotated[
        int,
        Field(ge=1, le=MAX_NEW_USERS, description="how many; 1 when discord_id or key is given"),
        Integral,
    ] = 1
    users: Annotated[
        Annotated[list[NewUser], Field(min_length=1, max_length=MAX_NEW_USERS)] | None,
        Field(description="one row each, with the fields above but `amount`; nothing else is given then"),
    ] = None

    @field_validator("amount")
    @classmethod
    def _one_of_a_kind(cls, amount: int, fields: ValidationInfo) -> int:
        for name in ("discord_id", "key"):
            if amount != 1 and fields.data.get(name) is not None:
                raise ValueError(f"must be 1 when {name} is given")
        return amount

    @field_validator("users")
    @classmethod
    def _alone(cls, rows: list[NewUser] | None, fields: ValidationInfo) -> list[NewUser] | None:
        others = [name for name, value in fields.data.items() if value != cls.model_fields[name].default]
        if rows is not None and others:
            raise ValueError(f"must not be given together with {others[0]}")
        return rows

    def rows(self) -> list[NewUser]:
        """One for each user. Raises ApiError naming those whose key or Discord id is an earlier one's too."""
        if self.users is None:
            return [self] * self.amount
        repeated: Failed = []
        for name in ("key", "discord_id"):
            first: dict[str, int] = {}
            for number, row in enumerate(self.users):
                value = getattr(row, name)
                if value is not None and first.setdefault(value, number) != number:
                    repeated.append(
                        {"field": f"users.{number}.{name}", "errors": [f"is that of users.{first[value]} too"]}
                    )
        if repeated:
            raise invalid_fields(repeated)
        return self.users

    def place(self, row: int, name: str) -> str:
        """Where the request has that field of a row."""
        return name if self.users is None else f"users.{row}.{name}"


class EditUser(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "renewed", "key_expires": 1_770_624_500_000}]})

    discord_id: ClearableDiscordId | None = None
    key_expires: Annotated[ClearableTime | None, Field(description="Unix milliseconds; replaces key_days")] = None
    key_days: Annotated[ClearableDays, Field(description="days from the next execution; replaces key_expires")] = None
    note: ClearableNote | None = None
    max_instances: ClearableCount = None
    max_executions: ClearableCount = None
    max_devices: ClearableDevices = None
    fingerprintless: bool | None = None

    @field_validator("key_days")
    @classmethod
    def _one_expiry(cls, days: int | str | None, fields: ValidationInfo) -> int | str | None:
        return _only_without_key_expires(days, fields)

    def changes(self) -> dict[str, Any]:
        """As for every edit; a new expiry replaces the days and the other way round."""
        changes = super().changes()
        if "key_expires" in changes:
            # Days left standing would start again at the next execution and undo a cleared expiry.
            changes.setdefault("key_days", None)
        elif changes.get("key_days") is not None:
            changes["key_expires"] = None
        return changes


class Blacklist(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "charge-back", "expires": None}]})

    expires: Annotated[FutureMsOrDigits | None, Field(description="Unix milliseconds; null: for good")] = None
    reason: Annotated[BlacklistReason | None, Field(description="shown to the customer")] = None
    bar_networks: Annotated[
        bool | None, Field(description="let nobody start from the networks that the key was used in, either")
    ] = None


class ResetFingerprint(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"force": True}]})

    device: Annotated[
        DeviceId | None, Field(description="`id` of the one of its devices that the key is unbound from; null: all")
    ] = None
    force: Annotated[
        bool | None, Field(description="even when resets are disabled or on cooldown, or the old device has a lease")
    ] = None


class NameDevice(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"device": "9f" * 32, "name": "laptop"}]})

    device: Annotated[DeviceId, Field(description="`id` of a device of the key")]
    name: Annotated[DeviceName, Field(description='`""`: none')]


class RemoveUser(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"forever": True}]})

    forever: Annotated[bool | None, Field(description="leave nothing of them that could be brought back")] = None
