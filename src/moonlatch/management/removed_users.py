"""Removed users: who can still be brought back, and bringing them back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.errors import not_found
from moonlatch.licensing.key import RESTORABLE_MS
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import Caller, CurrentCaller, OwnedProject, require_active
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.fields import Closed, DiscordId, Id
from moonlatch.management.paging import EmptyIsAbsent, PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import Reply, Success, UsersReply, UserView
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import FutureMs
from moonlatch.storage import accounts, projects, removed_users, users
from moonlatch.storage.interface import Transaction, UniqueViolation
from moonlatch.storage.removed_users import RemovedUser
from moonlatch.storage.users import User

router = resource_router("users")

MAX_RESTORED = 1000

_KEYS = {"keys": ["USER_KEY"]}
MAX_USERS = Refusal(1, "max users reached", 403)
NOT_REMOVED = Refusal(2, "user was not removed", 409, _KEYS)
DISCORD_TAKEN = Refusal(3, "key already exists with this discord", 409, _KEYS)
KEY_TAKEN = Refusal(4, "key already exists", 409, _KEYS)


def _unique(keys: list[str]) -> list[str]:
    if len(set(keys)) != len(keys):
        raise ValueError("must not name a key twice")
    return keys


class RestoreUsers(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": ["USER_KEY"], "key_expires": None}]})

    keys: Annotated[
        list[Id],
        Field(min_length=1, max_length=MAX_RESTORED, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_unique),
    ]
    key_expires: Annotated[
        FutureMs | None, Field(description="Unix milliseconds; a new end for all of them; null: as it was")
    ] = None


class RemovedUserQuery(PageQuery):
    discord_id: Annotated[DiscordId | None, EmptyIsAbsent] = None


class RemovedUserView(Reply):
    """A removed user as they were; times in Unix milliseconds."""

    user: UserView
    removed_at: int = Field(examples=[1_770_624_500_000])
    removed_by: Literal["developer", "expiry"] = Field(
        description="a call, or the project's `delete_expired_users`", examples=["expiry"]
    )
    restorable_until: int = Field(examples=[1_771_229_300_000])

    @classmethod
    def of(cls, removed: RemovedUser, now_ms: int) -> RemovedUserView:
        return cls(
            user=UserView.of(removed.user, now_ms),
            removed_at=removed.removed_at,
            removed_by=removed.removed_by,
            restorable_until=removed.removed_at + RESTORABLE_MS,
        )


class RemovedUsersReply(Success):
    users: list[RemovedUserView]


@router.get(
    "/projects/{project_id}/users/removed",
    summary="List a project's removed users",
    openapi_extra=needs(Permission.KEYS_READ),
)
async def list_removed_users(
    project: OwnedProject, query: Annotated[RemovedUserQuery, Query()], backend: CurrentBackend
) -> RemovedUsersReply:
    """A page of those who can still be brought back, the latest removed first."""
    now = backend.clock()
    found = await removed_users.list_of_project(
        backend.database,
        project.id,
        discord_id=query.discord_id,
        removed_after=now - RESTORABLE_MS,
        offset=query.offset,
        limit=query.size,
    )
    return RemovedUsersReply(users=[RemovedUserView.of(removed, now) for removed in found])


@router.post(
    "/projects/{project_id}/users/restore",
    summary="Bring removed users back",
    responses=refusing(ACCOUNT_EXPIRED, MAX_USERS, NOT_REMOVED, DISCORD_TAKEN, KEY_TAKEN),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def restore_users(
    project: OwnedProject,
    restore: Annotated[RestoreUsers, Depends(JsonBody(RestoreUsers))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> UsersReply:
    """Within 7 days of their removal they come back as they were, device and blacklisting included, all of them or none."""
    require_active(caller, backend)
    now = backend.clock()

    async def bring_back(tx: Transaction) -> list[User]:
        return await _bring_back(tx, project.id, restore, caller, now)

    try:
        restored = await backend.database.run(bring_back)
    except UniqueViolation:
        # Somebody took the key or the Discord id in that very moment; now the checks see who.
        restored = await backend.database.run(bring_back)
    await _tell(backend, restored)
    return UsersReply(users=[UserView.of(user, now) for user in restored])


async def _bring_back(tx: Transaction, project_id: str, restore: RestoreUsers, caller: Caller, now: int) -> list[User]:
    if await projects.find_owned(tx, project_id, caller.account.id) is None:
        raise not_found("project")
    most = caller.tier.users
    if most is not None and (await accounts.usage(tx, caller.account.id)).users + len(restore.keys) > most:
        raise MAX_USERS.error()
    taken = {
        key: await removed_users.take(tx, project_id, key, removed_after=now - RESTORABLE_MS) for key in restore.keys
    }
    missing = [key for key, user in taken.items() if user is None]
    if missing:
        raise NOT_REMOVED.error(keys=missing)
    found = [user for user in taken.values() if user is not None]
    if rivals := await _rivals_for_discord(tx, found):
        raise DISCORD_TAKEN.error(keys=rivals)
    if existing := [user.key for user in found if await users.find(tx, user.key) is not None]:
        raise KEY_TAKEN.error(keys=existing)
    # A key that has expired goes again no sooner than 15 minutes from now.
    changes: dict[str, Any] = {"expiry_set_at": now}
    if restore.key_expires is not None:
        changes |= {"key_expires": restore.key_expires, "key_days": None}
    restored = [msgspec.structs.replace(user, **changes) for user in found]
    for user in restored:
        await users.insert(tx, user)
    return restored


async def _rivals_for_discord(tx: Transaction, restored: list[User]) -> list[str]:
    """Keys whose Discord id another key of the project has by now, or an earlier one among them."""
    rivals = []
    seen = set()
    for user in restored:
        if user.discord_id is None:
            continue
        if user.discord_id in seen or await users.has_discord(tx, user.project_id, user.discord_id):
            rivals.append(user.key)
        seen.add(user.discord_id)
    return rivals


async def _tell(backend: Backend, restored: list[User]) -> None:
    for user in restored:
        await backend.live.user_changed(user.key)
    if any(user.blacklisted for user in restored):
        await backend.live.project_changed(restored[0].project_id)
