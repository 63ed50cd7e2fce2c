"""Removed users: who can still be brought back, and bringing them back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.licensing.key import RESTORABLE_MS
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, DiscordId, Id
from moonlatch.management.owned import OwnedProject
from moonlatch.management.paging import EmptyIsAbsent, PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, UsersReply, UserView
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import FutureMs
from moonlatch.operations import restoring as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import removed_users
from moonlatch.storage.removed_users import RemovedUser

router = resource_router("users")

MAX_RESTORED = 1000

_KEYS = {"keys": ["USER_KEY"]}
MAX_USERS = DocumentedError(1, Reason.MAX_USERS, 403)
NOT_REMOVED = DocumentedError(2, Reason.NOT_REMOVED, 409, _KEYS)
DISCORD_TAKEN = DocumentedError(3, Reason.DISCORD_TAKEN, 409, _KEYS)
KEY_TAKEN = DocumentedError(4, Reason.KEY_TAKEN, 409, _KEYS)


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
    def of(cls, removed: RemovedUser, user: UserView) -> RemovedUserView:
        return cls(
            user=user,
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
    project: OwnedProject, query: Annotated[RemovedUserQuery, Query()], call: CurrentReading, backend: CurrentBackend
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
    return RemovedUsersReply(users=[RemovedUserView.of(removed, call.user(removed.user)) for removed in found])


@router.post(
    "/projects/{project_id}/users/restore",
    summary="Bring removed users back",
    responses=refusing(ACCOUNT_EXPIRED, MAX_USERS, NOT_REMOVED, DISCORD_TAKEN, KEY_TAKEN),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def restore_users(
    project: OwnedProject, restore: Annotated[RestoreUsers, Depends(JsonBody(RestoreUsers))], call: CurrentCall
) -> UsersReply:
    """Within 7 days of their removal they come back as they were, device and blacklisting included, all of them or none."""
    return await call.change(
        lambda change: operations.restore(change, project.id, restore.keys, key_expires=restore.key_expires),
        lambda restored: UsersReply(users=[call.user(user) for user in restored]),
    )
