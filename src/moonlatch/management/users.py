"""User endpoints: the keys of a project, their blacklisting and their devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field, ValidationInfo, field_validator

from moonlatch.errors import invalid_field
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import DiscordId, Empty, OneOf, PartOfKey
from moonlatch.management.owned import OwnedProject, OwnedUser
from moonlatch.management.paging import EmptyIsAbsent, PageQuery, QueryBoolean
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Success, UsersReply, UserView
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.user_bodies import Blacklist, EditUser, NewUsers, RemoveUser, ResetFingerprint
from moonlatch.management.user_filters import FilteredText, UserState, only_without_state, user_filter
from moonlatch.operations import users as operations
from moonlatch.operations.changing import Change
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.storage import user_lists
from moonlatch.storage.user_history import last_refusals
from moonlatch.storage.user_lists import MAX_COUNTED, Order, TooManyAlike
from moonlatch.storage.users import User

router = resource_router("users")

MAX_USERS = DocumentedError(1, Reason.MAX_USERS, 403)
NEW_DISCORD_TAKEN = DocumentedError(2, Reason.DISCORD_TAKEN, 409, {"fields": ["users.17.discord_id"]})
NEW_KEY_TAKEN = DocumentedError(3, Reason.KEY_TAKEN, 409, {"fields": ["users.17.key"]})
_TAKEN = {Reason.DISCORD_TAKEN: "discord_id", Reason.KEY_TAKEN: "key"}
DISCORD_TAKEN = DocumentedError(1, Reason.DISCORD_TAKEN, 409)
CANNOT_EDIT_NOTHING = DocumentedError(2, Reason.NOTHING_TO_EDIT, 400)
ALREADY_BLACKLISTED = DocumentedError(0, Reason.ALREADY_BLACKLISTED, 409)
NOT_BLACKLISTED = DocumentedError(0, Reason.NOT_BLACKLISTED, 409)
NOT_HELD = DocumentedError(0, Reason.NOT_HELD, 409)
EXPIRED_AFTER_STATE = DocumentedError(1, Reason.ACCOUNT_EXPIRED, 403)
RESETS_DISABLED = DocumentedError(1, Reason.RESETS_DISABLED, 403)
ON_COOLDOWN = DocumentedError(2, Reason.ON_COOLDOWN, 409, {"retry_at": 1_770_624_500_000})
NO_FINGERPRINT = DocumentedError(3, Reason.NO_FINGERPRINT, 409)
NOT_BOUND = DocumentedError(5, Reason.NOT_BOUND, 409)
LEASED = DocumentedError(4, Reason.LEASED, 409, {"retry_at": 1_770_624_500_000})


class UserQuery(PageQuery):
    discord_id: Annotated[DiscordId | None, EmptyIsAbsent] = None
    note: Annotated[FilteredText | None, EmptyIsAbsent] = None
    note_contains: Annotated[
        FilteredText | None, EmptyIsAbsent, Field(description="part of the note, in capitals or not")
    ] = None
    key_starts: Annotated[PartOfKey | None, EmptyIsAbsent, Field(description="the key's first characters")] = None
    key_ends: Annotated[PartOfKey | None, EmptyIsAbsent, Field(description="the key's last characters")] = None
    executor: Annotated[FilteredText | None, EmptyIsAbsent, Field(description="of the last execution")] = None
    state: Annotated[UserState | None, EmptyIsAbsent] = None
    blacklisted: Annotated[bool | None, EmptyIsAbsent, QueryBoolean] = None
    expired: Annotated[bool | None, EmptyIsAbsent, QueryBoolean] = None
    held: Annotated[
        bool | None, EmptyIsAbsent, QueryBoolean, Field(description="on hold, by a rule about shared keys")
    ] = None
    order: Annotated[
        Annotated[str, OneOf(Order)] | None,
        EmptyIsAbsent,
        Field(description="not with key_starts or key_ends, which come in an order of their own"),
    ] = None
    reverse: Annotated[bool | None, EmptyIsAbsent, QueryBoolean, Field(description="the last first")] = None
    count: Annotated[bool | None, EmptyIsAbsent, QueryBoolean, Field(description="tell how many there are")] = None

    @field_validator("blacklisted", "expired", "held")
    @classmethod
    def _one_state(cls, value: bool | None, fields: ValidationInfo) -> bool | None:
        return only_without_state(value, fields)

    @field_validator("order")
    @classmethod
    def _own_order(cls, order: str | None, fields: ValidationInfo) -> str | None:
        for name in ("key_starts", "key_ends"):
            if order is not None and fields.data.get(name) is not None:
                raise ValueError(f"must not be given together with {name}")
        return order


class UserPage(UsersReply):
    total: int | None = Field(
        default=None, description="how many there are on all pages; null without `count`", examples=[1]
    )
    total_is_exact: bool | None = Field(
        default=None,
        description=f"false: there are more; of those that fit a filter {MAX_COUNTED:,} are counted",
        examples=[True],
    )


class UserReply(Success):
    user: UserView


@router.get(
    "/projects/{project_id}/users",
    summary="List a project's users",
    openapi_extra=needs(Permission.KEYS_READ),
)
async def list_users(
    project: OwnedProject, query: Annotated[UserQuery, Query()], call: CurrentReading, backend: CurrentBackend
) -> UserPage:
    """A page of users that meet every given condition, oldest first."""
    now, database = backend.clock(), backend.database
    where = user_filter(call, query)
    try:
        found = await user_lists.list_of_project(
            database,
            backend.keyring,
            project.id,
            where,
            now=now,
            offset=query.offset,
            limit=query.size,
            order=None if query.order is None else Order(query.order),
            is_reversed=bool(query.reverse),
        )
    except TooManyAlike as error:
        raise invalid_field("key_starts" if query.key_starts else "key_ends", str(error)) from None
    shown = await call.users(found)
    if not query.count:
        return UserPage(users=shown)
    total = await user_lists.count_of_project(database, backend.keyring, project.id, where, now=now)
    return UserPage(users=shown, total=total.users, total_is_exact=total.is_exact)


@router.post(
    "/projects/{project_id}/users",
    summary="Create users",
    responses=refusing(ACCOUNT_EXPIRED, MAX_USERS, NEW_DISCORD_TAKEN, NEW_KEY_TAKEN),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def create_users(
    project: OwnedProject, new: Annotated[NewUsers, Depends(JsonBody(NewUsers))], call: CurrentCall
) -> UsersReply:
    """One key each, all of them or none. Customers of before can bring theirs along."""
    rows = new.rows()

    async def create(change: Change) -> list[User]:
        try:
            return await operations.create(
                change, project.id, [row.settings() for row in rows], keys=[row.key for row in rows]
            )
        except Refused as refused:
            if refused.reason not in _TAKEN:
                raise
            name = _TAKEN[refused.reason]
            places = [new.place(row, name) for row in refused.extras["rows"]]
            raise Refused(refused.reason, fields=places) from None

    return await call.change(create, lambda created: UsersReply(users=[call.user(user) for user in created]))


@router.get("/users/{key}", summary="Get a user", openapi_extra=needs(Permission.KEYS_READ))
async def get_user(user: OwnedUser, call: CurrentReading) -> UserReply:
    """Settings, state and use of one key."""
    call.tag(operations.version(user))
    (shown,) = await call.users([user])
    return UserReply(user=shown)


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
    refusals = await last_refusals(call.backend.database, [user.id])
    return await call.change(
        lambda change: operations.edit(change, user.id, edit.changes()),
        lambda changed: UserReply(user=call.user(changed, refusals.get(user.id))),
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
    """Stops every running copy of the key, and bars the devices it was used on from every key of the project."""
    return await call.change(
        lambda change: operations.blacklist(
            change,
            user.id,
            reason=blacklist.reason,
            expires=blacklist.expires,
            bar_networks=bool(blacklist.bar_networks),
        ),
        _done,
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
    """The key runs again, and its devices are no longer barred on its account."""
    return await call.change(lambda change: operations.unblacklist(change, user.id), _done)


@router.post(
    "/users/{key}/release",
    summary="Release a user",
    responses=refusing(NOT_HELD, EXPIRED_AFTER_STATE),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def release_user(
    user: OwnedUser, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """A key that a rule about shared keys has put on hold starts again, and what it was used for until now is forgiven."""
    return await call.change(lambda change: operations.release(change, user.id), _done)


@router.post(
    "/users/{key}/reset_fingerprint",
    summary="Reset a user's fingerprint",
    responses=refusing(ACCOUNT_EXPIRED, RESETS_DISABLED, ON_COOLDOWN, NO_FINGERPRINT, LEASED, NOT_BOUND),
    openapi_extra=needs(Permission.KEYS_WRITE, is_conditional=True),
)
async def reset_fingerprint(
    user: OwnedUser, reset: Annotated[ResetFingerprint, Depends(JsonBody(ResetFingerprint))], call: CurrentCall
) -> Success:
    """The next device that starts with the key becomes its device; of several, all are forgotten, or the one that is named. `force` goes past a disabled or cooling reset and a lease."""
    return await call.change(
        lambda change: operations.reset_fingerprint(
            change,
            user.id,
            force=bool(reset.force),
            device=None if reset.device is None else bytes.fromhex(reset.device),
        ),
        _done,
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
