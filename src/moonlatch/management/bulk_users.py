"""One action on many users of a project in one call."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from moonlatch.clock import DAY_MS
from moonlatch.errors import invalid_field
from moonlatch.licensing.roles import Permission
from moonlatch.management.body import JsonBody
from moonlatch.management.call import Call, CurrentCall
from moonlatch.management.fields import Closed, Days, DiscordId, Empty, Id, PartOfKey
from moonlatch.management.owned import OwnedProject
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.user_bodies import Blacklist, EditUser, RemoveUser, ResetFingerprint
from moonlatch.management.user_filters import FilteredText, UserState, only_without_state, user_filter
from moonlatch.operations import bulk as operations
from moonlatch.operations import user_actions as actions
from moonlatch.operations.bulk import MOST_USERS, Failure, Outcome
from moonlatch.operations.refusals import Reason
from moonlatch.operations.user_actions import Action
from moonlatch.storage.user_lists import UserFilter

router = resource_router("users")

MAX_NAMED = 1000
FAILURES_SHOWN = 20

TOO_MANY_MATCHED = DocumentedError(1, Reason.TOO_MANY_MATCHED, 409, {"limit": MOST_USERS})

_ACTIONS = ("extend", "edit", "blacklist", "unblacklist", "release", "reset_fingerprint", "remove")


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("must not name a user twice")
    return names


class Whom(Closed):
    """The conditions of the list of users; all of them are met."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "expired"}]})

    all: Annotated[bool | None, Field(description="true: everybody; no other condition is given then")] = None
    discord_id: DiscordId | None = None
    note: FilteredText | None = None
    note_contains: FilteredText | None = None
    key_starts: PartOfKey | None = None
    key_ends: PartOfKey | None = None
    executor: FilteredText | None = None
    state: UserState | None = None
    blacklisted: bool | None = None
    expired: bool | None = None
    held: bool | None = None

    @field_validator("blacklisted", "expired", "held")
    @classmethod
    def _one_state(cls, value: bool | None, fields: ValidationInfo) -> bool | None:
        return only_without_state(value, fields)

    @model_validator(mode="after")
    def _says_whom(self) -> Whom:
        conditions = [name for name, value in self if value is not None and name != "all"]
        if self.all and conditions:
            raise ValueError(f"must not have {conditions[0]} together with all")
        if not self.all and not conditions:
            raise ValueError('must have a condition; {"all": true} is everybody')
        return self


class Extension(Closed):
    days: Annotated[Days, Field(description="from the key's end, or from now where that has passed")]


class EditMany(EditUser):
    """As for one user; nobody shares a Discord id, so that it can only be cleared."""

    @field_validator("discord_id")
    @classmethod
    def _cleared(cls, discord_id: str | None) -> str | None:
        if discord_id:
            raise ValueError('must be null or "": it belongs to one user')
        return discord_id


class ResetMany(ResetFingerprint):
    """As for one user; a device belongs to one of them."""

    @field_validator("device")
    @classmethod
    def _of_all(cls, device: str | None) -> str | None:
        if device is not None:
            raise ValueError("must be null: it belongs to one user")
        return device


class BulkUsers(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filter": {"state": "active"}, "extend": {"days": 3}}]},
    )

    filter: Annotated[Whom | None, Field(description="either this or users")] = None
    users: Annotated[
        Annotated[
            list[Id],
            Field(min_length=1, max_length=MAX_NAMED, json_schema_extra={"uniqueItems": True}),
            AfterValidator(_unique),
        ]
        | None,
        Field(description="keys or ids"),
    ] = None
    extend: Annotated[Extension | None, Field(description="exactly one action is given")] = None
    edit: EditMany | None = None
    blacklist: Blacklist | None = None
    unblacklist: Empty | None = None
    release: Empty | None = None
    reset_fingerprint: ResetMany | None = None
    remove: RemoveUser | None = None

    def whom(self, call: Call) -> UserFilter | list[str]:
        """Raises ApiError unless it is said in one way; NotAllowed as `user_filter`."""
        if (self.filter is None) == (self.users is None):
            raise invalid_field("filter", "must be given, or users, and not both")
        if self.users is not None:
            return self.users
        assert self.filter is not None
        return user_filter(call, self.filter)

    def action(self) -> Action:
        """Raises ApiError unless there is exactly one."""
        given: list[tuple[str, Any]] = [(name, value) for name, value in self if name in _ACTIONS and value is not None]
        if len(given) != 1:
            name = given[1][0] if given else _ACTIONS[0]
            raise invalid_field(name, "must be the only one of: " + ", ".join(_ACTIONS))
        match given[0][1]:
            case Extension() as extension:
                return actions.Extend(extension.days * DAY_MS)
            case EditMany() as edit:
                if not edit.changes():
                    raise invalid_field("edit", "must change something")
                return actions.Edit(edit.changes())
            case Blacklist() as blacklist:
                return actions.Blacklist(blacklist.reason, blacklist.expires, bool(blacklist.bar_networks))
            case ResetMany() as reset:
                return actions.ResetFingerprint(bool(reset.force))
            case RemoveUser() as remove:
                return actions.Remove(bool(remove.forever))
            case _:
                return actions.Unblacklist() if given[0][0] == "unblacklist" else actions.Release()


class FailureView(Reply):
    """A user who keeps what they had. One who is not there has no id, and the key is what the call named them by."""

    model_config = example(id="USER_ID", key="USER_KEY", reason="user already blacklisted")

    id: str | None
    key: str = Field(description="masked for those who may not see keys")
    reason: str = Field(description="the message that the call for one user answers")

    @classmethod
    def of(cls, failure: Failure, call: Call) -> FailureView:
        if isinstance(failure.user, str):
            return cls(id=None, key=failure.user, reason=failure.reason)
        shown = call.user(failure.user)
        return cls(id=shown.id, key=shown.key, reason=failure.reason)


class BulkReply(Success):
    matched: int = Field(description="who fits, or is there of those named", examples=[17])
    changed: int = Field(examples=[16])
    refused: int = Field(description="who keeps what they had, or is not there", examples=[1])
    failures: list[FailureView] = Field(description=f"the first {FAILURES_SHOWN} of the refused")


@router.post(
    "/projects/{project_id}/users/bulk",
    summary="Change many users",
    responses=refusing(ACCOUNT_EXPIRED, TOO_MANY_MATCHED),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def change_users(
    project: OwnedProject, bulk: Annotated[BulkUsers, Depends(JsonBody(BulkUsers))], call: CurrentCall
) -> BulkReply:
    """Does to each what the call for one user does. Who is refused keeps what they had; all others are changed, or nobody."""
    whom, action = bulk.whom(call), bulk.action()

    def shown(outcome: Outcome) -> BulkReply:
        return BulkReply(
            matched=outcome.matched,
            changed=outcome.changed,
            refused=len(outcome.failures),
            failures=[FailureView.of(failure, call) for failure in outcome.failures[:FAILURES_SHOWN]],
        )

    return await call.change(lambda change: operations.act_on_many(change, project.id, whom, action), shown)
