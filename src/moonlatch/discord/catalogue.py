"""The bot's commands: what each is called, takes, needs and does. Discord is told of them in the shape of its own page.

https://docs.discord.com/developers/interactions/application-commands
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from moonlatch.crypto import content_hash
from moonlatch.discord import staff
from moonlatch.discord.messages import Reply
from moonlatch.discord.visit import MOST_TEXT, Visit
from moonlatch.licensing.durations import HINT, LONGEST_TEXT
from moonlatch.licensing.roles import Permission

PROJECT = "project"
"""The option that picks one of several projects of a server."""


class OptionType(IntEnum):
    STRING = 3
    INTEGER = 4
    USER = 6
    ROLE = 8


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    description: str
    type: OptionType = OptionType.STRING
    is_required: bool = False
    least: int | None = None
    most: int | None = None
    """Of a number its bounds, of a text those of its length."""
    is_suggested: bool = False

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"type": self.type, "name": self.name, "description": self.description}
        if self.is_required:
            told["required"] = True
        if self.is_suggested:
            told["autocomplete"] = True
        kind = "value" if self.type is OptionType.INTEGER else "length"
        return told | {
            f"{end}_{kind}": bound for end, bound in (("min", self.least), ("max", self.most)) if bound is not None
        }


@dataclass(frozen=True, slots=True)
class Command:
    """`needs` None: it is for customers."""

    name: str
    description: str
    handle: Callable[[Visit], Awaitable[Reply]]
    needs: Permission | None
    options: tuple[Option, ...] = ()
    is_public: bool = False

    def told(self) -> dict[str, Any]:
        options = (*self.options, _PROJECT)
        told: dict[str, Any] = {
            "type": 1,
            "name": self.name,
            "description": self.description,
            # Discord wants those that are required first.
            "options": [each.told() for each in sorted(options, key=lambda each: not each.is_required)],
            "contexts": [0],
            "integration_types": [0],
        }
        if self.needs is not None:
            # Hidden, until the server's owner shows them to a role; whoever uses one needs a role here as well.
            told["default_member_permissions"] = "0"
        return told


_PROJECT = Option(PROJECT, "Which project, where the server has several", is_suggested=True, most=100)
_USER = Option("user", "The customer", OptionType.USER)
_KEY = Option("key", "Their key, or its id, in place of the customer", most=64)
_DURATION = Option("duration", f"How long; {HINT}", most=LONGEST_TEXT)
_NOTE = Option("note", "What you want to know about it later", most=MOST_TEXT)
_WHOM = (_USER, _KEY)


def _required(option: Option) -> Option:
    return Option(option.name, option.description, option.type, is_required=True, least=option.least, most=option.most)


def _count(what: str, *, is_required: bool = False) -> Option:
    return Option("count", what, OptionType.INTEGER, is_required=is_required, least=1, most=staff.MOST_CREATED)


_LISTED = (
    Command(
        "whitelist",
        "Give somebody a key",
        staff.whitelist,
        Permission.KEYS_WRITE,
        (_required(_USER), _DURATION, _NOTE),
    ),
    Command("unwhitelist", "Take somebody's key away", staff.unwhitelist, Permission.KEYS_WRITE, _WHOM),
    Command(
        "blacklist",
        "Stop somebody's key, and bar their devices",
        staff.blacklist,
        Permission.KEYS_WRITE,
        (*_WHOM, Option("reason", "They are shown it", most=MOST_TEXT), _DURATION),
    ),
    Command("unblacklist", "Take a blacklisting back", staff.unblacklist, Permission.KEYS_WRITE, _WHOM),
    Command("user_info", "Look at somebody's key", staff.user_info, Permission.KEYS_READ, _WHOM),
    Command(
        "reset_fingerprint",
        "Let somebody's next device become their key's, by the project's rules",
        staff.reset_fingerprint,
        Permission.KEYS_WRITE,
        _WHOM,
    ),
    Command(
        "force_reset_fingerprint",
        "The same, past the cooldown and where resets are off",
        staff.force_reset_fingerprint,
        Permission.KEYS_WRITE,
        _WHOM,
    ),
    Command(
        "mass_whitelist",
        "Give everybody with a role a key who has none",
        staff.mass_whitelist,
        Permission.KEYS_WRITE,
        (Option("role", "Whose members", OptionType.ROLE, is_required=True), _DURATION, _NOTE),
    ),
    Command(
        "redeem_key",
        "Make a key yours",
        staff.redeem_key,
        None,
        (Option("key", "The key, as you got it", is_required=True, least=8, most=64),),
    ),
    Command(
        "create_keys",
        "Make keys that nobody has yet",
        staff.create_keys,
        Permission.KEYS_WRITE,
        (_count("How many, 1 without"), _DURATION, _NOTE),
    ),
    Command(
        "key_info",
        "Look at a key",
        staff.user_info,
        Permission.KEYS_READ,
        (Option("key", "The key, or its id", is_required=True, most=64),),
    ),
    Command(
        "extend",
        "Give a key more time",
        staff.extend,
        Permission.KEYS_WRITE,
        (_required(_DURATION), *_WHOM),
    ),
    Command(
        "delete_unused",
        "Remove keys that nobody used or was given",
        staff.delete_unused,
        Permission.KEYS_WRITE,
        (_count(f"How many at most, {staff.MOST_CREATED} without"),),
    ),
    Command(
        "replace_keys",
        "Put new keys in place of ones that nobody used or was given",
        staff.replace_keys,
        Permission.KEYS_WRITE,
        (_count("How many", is_required=True),),
    ),
    Command("stats", "Keys, starts and running copies of the project", staff.stats, Permission.KEYS_READ),
    Command("sessions", "Who is connected", staff.sessions, Permission.SESSIONS_READ, _WHOM),
    Command(
        "message",
        "Call a handler in somebody's running script",
        staff.message,
        Permission.SESSIONS_MESSAGE,
        (
            Option("handler", "Its name, as given to la_handle", is_required=True, most=100),
            *_WHOM,
            Option("data", "What it gets: JSON, or text", most=staff.MOST_DATA),
        ),
    ),
    Command(
        "panel",
        "Post the panel for customers into this channel",
        staff.post_panel,
        Permission.DISCORD_WRITE,
        is_public=True,
    ),
)
COMMANDS = {command.name: command for command in _LISTED}

TOLD: list[dict[str, Any]] = [command.told() for command in _LISTED]
"""What `PUT /applications/ID/commands` takes."""

VERSION = content_hash(msgspec.json.encode(TOLD))[:16]
"""Another for other commands: an application that was told of others is told anew."""
