"""User endpoints: the keys of a project, their blacklisting and their devices."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Query
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from moonlatch import crypto
from moonlatch.errors import not_found
from moonlatch.licensing.key import is_blacklisted
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import Caller, CurrentCaller, OwnedProject, OwnedUser, require_active
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.fields import (
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
    Reason,
)
from moonlatch.management.paging import EmptyIsAbsent, PageQuery, QueryBoolean
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import Success, UsersReply, UserView
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import ClearableTime, FutureMs, FutureMsOrDigits
from moonlatch.storage import accounts, projects, removed_users, users
from moonlatch.storage.interface import Transaction, UniqueViolation
from moonlatch.storage.users import User, UserFilter

router = resource_router("users")

MAX_USERS = Refusal(1, "max users reached", 403)
DISCORD_TAKEN_BY_KEY = "key already exists with this discord"
NEW_DISCORD_TAKEN = Refusal(2, DISCORD_TAKEN_BY_KEY, 409)
DISCORD_TAKEN = Refusal(1, DISCORD_TAKEN_BY_KEY, 409)
CANNOT_EDIT_NOTHING = Refusal(2, "cannot edit nothing", 400)
ALREADY_BLACKLISTED = Refusal(0, "user already blacklisted", 409)
NOT_BLACKLISTED = Refusal(0, "user not blacklisted", 409)
EXPIRED_AFTER_STATE = Refusal(1, "account expired", 403)
RESETS_DISABLED = Refusal(1, "fingerprint resets disabled", 403)
ON_COOLDOWN = Refusal(2, "on cooldown", 409, {"retry_at": 1_770_624_500_000})
NO_FINGERPRINT = Refusal(3, "no fingerprint assigned", 409)

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
    reason: Annotated[Reason | None, Field(description="shown to the customer")] = None


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
    project: OwnedProject, query: Annotated[UserQuery, Query()], backend: CurrentBackend
) -> UsersReply:
    """A page of users that meet every given condition exactly, oldest first."""
    now = backend.clock()
    where = UserFilter(
        discord_id=query.discord_id, note=query.note, blacklisted=query.blacklisted, expired=query.expired
    )
    found = await users.list_of_project(
        backend.database, project.id, where, now=now, offset=query.offset, limit=query.size
    )
    return UsersReply(users=[UserView.of(user, now) for user in found])


@router.post(
    "/projects/{project_id}/users",
    summary="Create users",
    responses=refusing(ACCOUNT_EXPIRED, MAX_USERS, NEW_DISCORD_TAKEN),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def create_users(
    project: OwnedProject,
    new: Annotated[NewUsers, Depends(JsonBody(NewUsers))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> UsersReply:
    """One key each, all of them or none."""
    require_active(caller, backend)
    now = backend.clock()
    created = [
        User(
            key=crypto.new_id(),
            project_id=project.id,
            discord_id=new.discord_id,
            note=new.note,
            key_expires=new.key_expires,
            key_days=new.key_days,
            max_instances=new.max_instances,
            max_executions=new.max_executions,
            fingerprintless=new.fingerprintless,
            created_at=now,
            expiry_set_at=now,
        )
        for _ in range(new.amount)
    ]

    async def create(tx: Transaction) -> None:
        if await projects.find_owned(tx, project.id, caller.account.id) is None:
            raise not_found("project")
        most = caller.tier.users
        if most is not None and (await accounts.usage(tx, caller.account.id)).users + new.amount > most:
            raise MAX_USERS.error()
        for user in created:
            await users.insert(tx, user)

    try:
        await backend.database.run(create)
    except UniqueViolation:
        raise NEW_DISCORD_TAKEN.error() from None
    return UsersReply(users=[UserView.of(user, now) for user in created])


@router.get("/users/{key}", summary="Get a user", openapi_extra=needs(Permission.KEYS_READ))
async def get_user(user: OwnedUser, backend: CurrentBackend) -> UserReply:
    """Settings, state and use of one key."""
    return UserReply(user=UserView.of(user, backend.clock()))


@router.post(
    "/users/{key}/edit",
    summary="Edit a user",
    responses=refusing(ACCOUNT_EXPIRED, DISCORD_TAKEN, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def edit_user(
    user: OwnedUser,
    edit: Annotated[EditUser, Depends(JsonBody(EditUser))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> UserReply:
    """Fields left out or null stay as they are; `""` sets one that may be null to null."""
    require_active(caller, backend)
    changes = edit.changes()
    if not changes:
        raise CANNOT_EDIT_NOTHING.error()

    async def save(tx: Transaction) -> User:
        current = await _find(tx, user.key, caller)
        if "key_expires" in changes or "key_days" in changes:
            changes["expiry_set_at"] = backend.clock()
        changed = msgspec.structs.replace(current, **changes)
        await users.save_settings(tx, changed)
        return changed

    try:
        changed = await backend.database.run(save)
    except UniqueViolation:
        raise DISCORD_TAKEN.error() from None
    await backend.live.user_changed(user.key)
    return UserReply(user=UserView.of(changed, backend.clock()))


@router.post(
    "/users/{key}/blacklist",
    summary="Blacklist a user",
    responses=refusing(ALREADY_BLACKLISTED, EXPIRED_AFTER_STATE),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def blacklist_user(
    user: OwnedUser,
    blacklist: Annotated[Blacklist, Depends(JsonBody(Blacklist))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Success:
    """Stops every running copy of the key, and bars its device from every key of the project."""

    async def save(tx: Transaction) -> bool:
        current = await _find(tx, user.key, caller)
        if _is_blacklisted(current, backend):
            raise ALREADY_BLACKLISTED.error()
        require_active(caller, backend, EXPIRED_AFTER_STATE)
        await users.blacklist(tx, current, reason=blacklist.reason, expires=blacklist.expires)
        return current.fingerprint is not None

    barred = await backend.database.run(save)
    await backend.live.user_changed(user.key)
    if barred:
        await backend.live.project_changed(user.project_id)
    return Success()


@router.post(
    "/users/{key}/unblacklist",
    summary="Unblacklist a user",
    responses=refusing(NOT_BLACKLISTED, EXPIRED_AFTER_STATE),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def unblacklist_user(
    user: OwnedUser,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Success:
    """The key runs again, and its device is no longer barred on its account."""

    async def save(tx: Transaction) -> None:
        if not _is_blacklisted(await _find(tx, user.key, caller), backend):
            raise NOT_BLACKLISTED.error()
        require_active(caller, backend, EXPIRED_AFTER_STATE)
        await users.unblacklist(tx, user.key)

    await backend.database.run(save)
    await backend.live.user_changed(user.key)
    return Success()


@router.post(
    "/users/{key}/reset_fingerprint",
    summary="Reset a user's fingerprint",
    responses=refusing(ACCOUNT_EXPIRED, RESETS_DISABLED, ON_COOLDOWN, NO_FINGERPRINT),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def reset_fingerprint(
    user: OwnedUser,
    reset: Annotated[ResetFingerprint, Depends(JsonBody(ResetFingerprint))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Success:
    """The next device that starts with the key becomes its device. `force` goes past a disabled or cooling reset."""
    require_active(caller, backend)

    async def save(tx: Transaction) -> None:
        current = await _find(tx, user.key, caller)
        project = await projects.find(tx, current.project_id)
        assert project is not None
        now = backend.clock()
        if not reset.force:
            if not project.allow_fingerprint_resets:
                raise RESETS_DISABLED.error()
            if current.last_reset is not None and current.last_reset + project.fingerprint_reset_cooldown > now:
                raise ON_COOLDOWN.error(retry_at=current.last_reset + project.fingerprint_reset_cooldown)
        if current.fingerprint is None:
            raise NO_FINGERPRINT.error()
        await users.reset_fingerprint(tx, user.key, now=now)

    await backend.database.run(save)
    await backend.live.user_changed(user.key)
    return Success()


@router.post(
    "/users/{key}/remove",
    summary="Remove a user",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def remove_user(
    user: OwnedUser,
    body: Annotated[RemoveUser, Depends(JsonBody(RemoveUser))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Success:
    """Stops every running copy of the key. A device barred with it is no longer barred. For 7 days it can be brought back."""
    require_active(caller, backend)

    async def remove(tx: Transaction) -> None:
        removed = await users.remove(tx, user.key)
        if removed is None:
            raise not_found("user")
        if not body.forever:
            await removed_users.keep(tx, [removed], now=backend.clock(), by="developer")

    await backend.database.run(remove)
    await backend.live.user_changed(user.key)
    return Success()


async def _find(tx: Transaction, key: str, caller: Caller) -> User:
    user = await users.find_owned(tx, key, caller.account.id)
    if user is None:
        raise not_found("user")
    return user


def _is_blacklisted(user: User, backend: Backend) -> bool:
    return is_blacklisted(user.blacklisted, user.blacklist_expires, backend.clock())
