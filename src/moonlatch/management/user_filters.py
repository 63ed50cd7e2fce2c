"""Conditions on users, as a list's query and a bulk call's body give them."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from pydantic import Field, ValidationInfo

from moonlatch.licensing.roles import Permission
from moonlatch.management.call import Reading
from moonlatch.management.fields import Clean, OneOf
from moonlatch.storage.user_lists import UserFilter

STATES: dict[str, dict[str, Any]] = {
    "active": {"blacklisted": False, "expired": False},
    "expired": {"expired": True},
    "blacklisted": {"blacklisted": True},
    "held": {"held": True},
    "unused": {"unused": True},
}

UserState = Annotated[
    str,
    OneOf(STATES),
    Field(description="active: neither expired nor blacklisted; held: on hold; unused: never started"),
]
FilteredText = Annotated[str, Field(max_length=255), Clean]


class Conditions(Protocol):
    """What users are filtered by; None means any."""

    discord_id: str | None
    note: str | None
    note_contains: str | None
    key_starts: str | None
    key_ends: str | None
    executor: str | None
    state: str | None
    blacklisted: bool | None
    expired: bool | None
    held: bool | None


def only_without_state(value: bool | None, fields: ValidationInfo) -> bool | None:
    """For `blacklisted`, `expired` and `held`, which a state says already."""
    if value is not None and fields.data.get("state") is not None:
        raise ValueError("must not be given together with state")
    return value


def user_filter(call: Reading, given: Conditions) -> UserFilter:
    """The filter for these conditions.

    Raises NotAllowed for parts of a key from those who may not see keys: they would find it character by character.
    """
    if given.key_starts is not None or given.key_ends is not None:
        call.actor.require(Permission.KEYS_REVEAL)
    states = {"blacklisted": given.blacklisted, "expired": given.expired, "held": given.held}
    return UserFilter(
        discord_id=given.discord_id,
        note=given.note,
        note_contains=given.note_contains,
        key_starts=given.key_starts,
        key_ends=given.key_ends,
        executor=given.executor,
        **(states if given.state is None else STATES[given.state]),
    )
