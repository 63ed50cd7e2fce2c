"""What Discord sends when somebody uses a command, a button or a dialog, as far as it is read, and bounded.

https://docs.discord.com/developers/interactions/receiving-and-responding
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

import msgspec

_MOST_ROLES = 500
_MOST_OPTIONS = 25
_LONGEST = 6_000

Snowflake = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,19}$")]
Short = Annotated[str, msgspec.Meta(max_length=100)]
Value = Annotated[str, msgspec.Meta(max_length=_LONGEST)]
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~=-]{1,1000}$")]


class InteractionType(IntEnum):
    PING = 1
    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class Person(msgspec.Struct, frozen=True):
    """A Discord user; names are whatever they like."""

    id: Snowflake
    username: Short = ""


class Member(msgspec.Struct, frozen=True):
    """Who used it, with the ids of their roles on that server."""

    user: Person
    roles: Annotated[list[Snowflake], msgspec.Meta(max_length=_MOST_ROLES)] = []


class Option(msgspec.Struct, frozen=True):
    """What somebody gave for one option of a command."""

    name: Short
    value: Value | bool | int | float | None = None
    focused: bool = False


class Data(msgspec.Struct, frozen=True):
    """What is used: a command with its options, a component by its `custom_id`, or a dialog with what was written."""

    name: Short = ""
    options: Annotated[list[Option], msgspec.Meta(max_length=_MOST_OPTIONS)] = []
    custom_id: Short = ""
    components: Annotated[list[Any], msgspec.Meta(max_length=10)] = []


class Interaction(msgspec.Struct, frozen=True):
    """One interaction. Without `member` it does not come from a server."""

    id: Snowflake
    application_id: Snowflake
    type: int
    token: Token = "-"  # noqa: S105 -- none
    data: Data = Data()
    guild_id: Snowflake | None = None
    member: Member | None = None


class _Whose(msgspec.Struct, frozen=True):
    application_id: Snowflake


def application_of(body: bytes) -> str | None:
    """For which application a body says that it is, before anybody knows who sent it; None where it does not say."""
    try:
        return msgspec.json.decode(body, type=_Whose).application_id
    except (msgspec.MsgspecError, RecursionError):
        return None


_decode = msgspec.json.Decoder(Interaction).decode


def interaction_of(body: bytes) -> Interaction:
    """Read an interaction. Raises ValueError for what is none."""
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def written(data: Data) -> dict[str, str]:
    """What was written into a dialog's fields, by their `custom_id`; each stands in a label, or in a row of its own."""
    found = {}
    for outer in data.components:
        inner = (
            outer.get("component") or next(iter(outer.get("components") or []), None)
            if isinstance(outer, dict)
            else None
        )
        if isinstance(inner, dict) and isinstance(inner.get("custom_id"), str) and isinstance(inner.get("value"), str):
            found[inner["custom_id"][:100]] = inner["value"][:_LONGEST]
    return found
