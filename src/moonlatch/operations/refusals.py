"""Why an operation was refused, in the words of the domain. Each face says it in its own: a code and status, an exit status, a reply."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from moonlatch.licensing.roles import Permission


class Reason(StrEnum):
    """What the rules say no for. The value is what a face shows where it has no words of its own."""

    ACCOUNT_EXPIRED = "account expired"
    NOTHING_TO_EDIT = "cannot edit nothing"
    MAX_PROJECTS = "max projects reached"
    MAX_SCRIPTS = "max scripts reached"
    MAX_USERS = "max users reached"
    MAX_TOKENS = "max tokens reached"
    NO_FREE_FOR_ALL = "tier does not allow ffa mode"
    UPDATE_REQUIRED = "script update required"
    DISCORD_TAKEN = "key already exists with this discord"
    ALREADY_BLACKLISTED = "user already blacklisted"
    NOT_BLACKLISTED = "user not blacklisted"
    RESETS_DISABLED = "fingerprint resets disabled"
    ON_COOLDOWN = "on cooldown"
    NO_FINGERPRINT = "no fingerprint assigned"


class Refused(Exception):
    """The rules say no; nothing was changed. `extras` are facts of this occurrence, by name."""

    def __init__(self, reason: Reason, **extras: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.extras = extras


class NotFound(Exception):
    """There is no such thing, or it is somebody else's: the two look the same."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun} not found")
        self.noun = noun


class Invalid(Exception):
    """A value that has the right type and still makes no sense; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class NotAllowed(Exception):
    """The actor lacks what the operation needs."""

    def __init__(self, message: str, permission: Permission | None = None) -> None:
        super().__init__(message)
        self.permission = permission


class ChangedMeanwhile(Exception):
    """Somebody else changed it since it was read; `version` is what it is at now."""

    def __init__(self, version: str) -> None:
        super().__init__("it was changed since you read it")
        self.version = version
