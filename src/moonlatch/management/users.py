"""User endpoints: the keys of a project, their blacklisting and their devices."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import OwnedProject, OwnedUser
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import (
    BlacklistReason,
    Clean,
    ClearableCount,
    ClearableDays,
    ClearableDiscordId,
    ClearableNote,
    Closed,
    Count,
    Days,
    DiscordId,
    Edit,
    Empty,
    Integral,
    Note,
)
from moonlatch.management.paging import EmptyIsAbsent, PageQuery, QueryBoolean
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import Success, UsersReply, UserView
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import ClearableTime, FutureMs, FutureMsOrDigits
from moonlatch.operations import users as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import users
from moonlatch.storage.users import UserFilter

router = resource_router("users")

MAX_USERS = Refusal(1, Reason.MAX_USERS, 403)
NEW_DISCORD_TAKEN = Refusal(2, Reason.DISCORD_TAKEN, 409)
DISCORD_TAKEN = Refusal(1, Reason.DISCORD_TAKEN, 409)
CANNOT_EDIT_NOTHING = Refusal(2, Reason.NOTHING_TO_EDIT, 400)
ALREADY_BLACKLISTED = Refusal(0, Reason.ALREADY_BLACKLISTED, 409)
NOT_BLACKLISTED = Refusal(0, Reason.NOT_BLACKLISTED, 409)
EXPIRED_AFTER_STATE = Refusal(1, Reason.ACCOUNT_EXPIRED, 403)
RESETS_DISABLED = Refusal(1, Reason.RESETS_DISABLED, 403)
ON_COOLDOWN = Refusal(2, Reason.ON_COOLDOWN, 409, {"retry_at": 1_770_624_500_000})
NO_FINGERPRINT = Refusal(3, Reason.NO_FINGERPRINT, 409)

MAX_NEW_USERS = 1000


T = TypeVar("T")


def _only_without_key_expires(days: T, fields: ValidationInfo) -> T:
    if isinstance(days, int) and isinstance(fields.data.get("key_expires"), int):
        # pydantic reports ValueError only.
        raise ValueError("must not be given together with key_expires")  # noqa: TRY004
    return days


class NewUsers(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "first customer", "key_days": 30}]})

    discord_id: DiscordId | None = None
    key_expires: Annotated[FutureMs | None, Field(description="Unix milliseconds; null: never")] = None
    key_days: Annotated[Days | None, Field(description="days from the first execution; not with key_expires")] = None
    note: Note | None = None
    max_instances: Annotated[Count | None, Field(description="running at once; null: any number")] = None
    max_executions: Annotated[Count | None, Field(description="starts in all; null: any number")] = None
    fingerprintless: Annotated[bool, Field(description="runs on any device")] = False
    amount: Annotated[
        int, Field(ge=1, le=MAX_NEW_USERS, description="how many; 1 when discord_id is given"), Integral
    ] = 1

    @field_validator("key_days")
    @classmethod
    def _one_expiry(cls, days: int | None, fields: ValidationInfo) -> int | None:
        return _only_without_key_expires(days, fields)

    @field_validator("amount")
    @classmethod
    def _one_discord(cls, amount: int, fields: ValidationInfo) -> int:
        if amount != 1 and fields.data.get("discord_id") is not None:
            raise ValueError("must be 1 when discord_id is given")
        return amount


class EditUser(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "renewed", "key_expires": 1_770_624_500_000}]})

    discord_id: ClearableDiscordId | None = None
    key_expires: Annotated[ClearableTime | None, Field(description="Unix milliseconds; replaces key_days")] = None
    key_days: Annotated[ClearableDays, Field(description="days from the next execution; replaces key_expires")] = None
    note: ClearableNote | None = None
    max_instances: ClearableCount = None
    max_executions: ClearableCount = None
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


class ResetFingerprint(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"force": True}]})

    force: Annotated[bool | None, Field(description="even when resets are disabled or on cooldown")] = None


class RemoveUser(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"forever": True}]})

    forever: Annotated[bool | None, Field(description="leave nothing of them that could be brought back")] = None


class UserQuery(PageQuery):
    discord_id: Annotated[DiscordId | None, EmptyIsAbsent] = None
    note: Annotated[Annotated[str, Field(max_length=255), Clean] | None, EmptyIsAbsent] = None
    blacklisted: Annotated[bool | None, EmptyIsAbsent, QueryBoolean] = None
    expired: Annotated[bool | None, EmptyIsAbsent, QueryBoolean] = None


class UserReply(Success):
    user: UserView


@router.get("/projects/{project_id}/users", summary="List a project's users", openapi_extra=needs(Permission.KEYS_READ))
async def list_users(
    project: OwnedProject, query: Annotated[UserQuery, Query()], call: CurrentReading, backend: CurrentBackend
) -> UsersReply:
    """A page of users that meet every given condition exactly, oldest first."""
    now = backend.clock()
    where = UserFilter(
        discord_id=query.discord_id, note=query.note, blacklisted=query.blacklisted, expired=query.expired
    )
    found = await users.list_of_project(
        backend.database, project.id, where, now=now, offset=query.offset, limit=query.size
    )
    return UsersReply(users=[call.user(user) for user in found])


@router.post(
    "/projects/{project_id}/users",
    summary="Create users",
    responses=refusing(ACCOUNT_EXPIRED, MAX_USERS, NEW_DISCORD_TAKEN),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def create_users(
    project: OwnedProject, new: Annotated[NewUsers, Depends(JsonBody(NewUsers))], call: CurrentCall
) -> UsersReply:
    """One key each, all of them or none."""
    settings = new.model_dump(exclude={"amount"})
    return await call.change(
        lambda change: operations.create(change, project.id, [settings] * new.amount, keys=[None] * new.amount),
        lambda created: UsersReply(users=[call.user(user) for user in created]),
    )


@router.get("/users/{key}", summary="Get a user", openapi_extra=needs(Permission.KEYS_READ))
async def get_user(user: OwnedUser, call: CurrentReading) -> UserReply:
    """Settings, state and use of one key."""
    call.tag(operations.version(user))
    return UserReply(user=call.user(user))


@router.post(
    "/users/{key}/edit",
    summary="Edit a user",
    responses=refusing(ACCOUNT_EXPIRED, DISCORD_TAKEN, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def edit_user(
    user: OwnedUser, edit: Annotated[EditUser, Depends(JsonBody(EditUser))], call: CurrentCall
) -> UserReply:
    """Fields left out or null stay as they are; `""` sets one that may be null to null."""
    return await call.change(
        lambda change: operations.edit(change, user.id, edit.changes()),
        lambda changed: UserReply(user=call.user(changed)),
        version=operations.version,
    )


@router.post(
    "/users/{key}/blacklist",
    summary="Blacklist a user",
    responses=refusing(ALREADY_BLACKLISTED, EXPIRED_AFTER_STATE),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def blacklist_user(
    user: OwnedUser, blacklist: Annotated[Blacklist, Depends(JsonBody(Blacklist))], call: CurrentCall
) -> Success:
    """Stops every running copy of the key, and bars its device from every key of the project."""
    return await call.change(
        lambda change: operations.blacklist(change, user.id, reason=blacklist.reason, expires=blacklist.expires), _done
    )


@router.post(
    "/users/{key}/unblacklist",
    summary="Unblacklist a user",
    responses=refusing(NOT_BLACKLISTED, EXPIRED_AFTER_STATE),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def unblacklist_user(
    user: OwnedUser, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """The key runs again, and its device is no longer barred on its account."""
    return await call.change(lambda change: operations.unblacklist(change, user.id), _done)


@router.post(
    "/users/{key}/reset_fingerprint",
    summary="Reset a user's fingerprint",
    responses=refusing(ACCOUNT_EXPIRED, RESETS_DISABLED, ON_COOLDOWN, NO_FINGERPRINT),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def reset_fingerprint(
    user: OwnedUser, reset: Annotated[ResetFingerprint, Depends(JsonBody(ResetFingerprint))], call: CurrentCall
) -> Success:
    """The next device that starts with the key becomes its device. `force` goes past a disabled or cooling reset."""
    return await call.change(
        lambda change: operations.reset_fingerprint(change, user.id, force=bool(reset.force)), _done
    )


@router.post(
    "/users/{key}/remove",
    summary="Remove a user",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def remove_user(
    user: OwnedUser, body: Annotated[RemoveUser, Depends(JsonBody(RemoveUser))], call: CurrentCall
) -> Success:
    """Stops every running copy of the key. A device barred with it is no longer barred. For 7 days it can be brought back."""
    return await call.change(lambda change: operations.remove(change, user.id, forever=bool(body.forever)), _done)


def _done(_: object) -> Success:
    return Success()
