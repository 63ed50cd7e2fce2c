"""Why an operation was refused, in the words of the domain. Each face says it in its own: a code and status, an exit status, a reply."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from moonlatch.licensing.roles import Permission


class Reason(StrEnum):
    """What the rules say no for. The value is what a face shows where it has no words of its own."""

    ACCOUNT_EXPIRED = "account expired"
    ACCOUNT_NAME_TAKEN = "an account of this name exists"
    ACCOUNT_HAS_PROJECTS = "the account has projects"
    NOTHING_TO_EDIT = "cannot edit nothing"
    MAX_PROJECTS = "max projects reached"
    MAX_SCRIPTS = "max scripts reached"
    MAX_USERS = "max users reached"
    MAX_TOKENS = "max tokens reached"
    NO_FREE_FOR_ALL = "tier does not allow ffa mode"
    UPDATE_REQUIRED = "script update required"
    MAX_OBFUSCATIONS = "max obfuscations reached"
    NO_BUILD_TIME = "max build seconds reached"
    SCRIPT_INVALID = "script is invalid"
    NOT_PROTECTED = "failed to obfuscate script"
    NOT_CHECKED = "failed to check script"
    NOT_ENOUGH_FOR_LOADER = "not enough obfuscations for init script"
    LOADER_NOT_PROTECTED = "failed to obfuscate init script"
    NOT_MARKED = "no build has marked copies"
    NOT_READ = "nothing of a build was read"
    NOT_TRACED = "failed to trace"
    NO_SUCH_BUILD = "build does not exist"
    BUILD_YANKED = "build was yanked"
    BUILD_CURRENT = "build is current already"
    MAX_CHANNELS = "max channels reached"
    NO_SUCH_CHANNEL = "channel does not exist"
    MAX_SCHEDULED = "max scheduled builds reached"
    NOT_SCHEDULED = "build is not scheduled"
    ROLLOUT_OPEN = "another rollout is open"
    ROLLOUT_STATE = "rollout does not stand so"
    NO_SUCCESSOR = "current build needs a successor"
    DISCORD_TAKEN = "key already exists with this discord"
    KEY_TAKEN = "key already exists"
    NEVER_EXPIRES = "key never expires"
    ONLY_DAYS = "key counts in whole days until it is used"
    EXPIRES_TOO_LATE = "key would expire too late"
    TOO_MANY_MATCHED = "too many users matched"
    NOT_REMOVED = "user was not removed"
    ALREADY_BLACKLISTED = "user already blacklisted"
    NOT_BLACKLISTED = "user not blacklisted"
    NOT_HELD = "user not on hold"
    RESETS_DISABLED = "fingerprint resets disabled"
    ON_COOLDOWN = "on cooldown"
    NO_FINGERPRINT = "no fingerprint assigned"
    NOT_BOUND = "device not bound to the key"
    MAX_NAMES = "max names reached"
    NOT_OFFLINE = "script does not start without the server"
    NOT_GRANTED = "the key may not start this script on this device"
    NOT_LEASABLE = "the key may not start without the server"
    LEASED = "device may still start without the server"
    SIGN_IN_NAME_TAKEN = "sign-in name is taken"
    MAX_MEMBERS = "max members reached"
    LAST_OWNER = "account needs an owner"
    MEMBER_DISABLED = "member is disabled"
    LINK_NOT_VALID = "link is not valid"
    SIGN_IN_FAILED = "sign-in failed"
    SECOND_FACTOR_NEEDED = "second factor required"
    SIGN_IN_AGAIN = "sign in again"
    TOTP_ON = "one-time codes are on"
    TOTP_OFF = "one-time codes are off"
    TOTP_NOT_BEGUN = "one-time codes were not begun"
    WRONG_CODE = "wrong code"
    PASSKEY_REFUSED = "passkey was refused"
    PASSKEYS_UNAVAILABLE = "passkeys are not available here"
    MAX_PASSKEYS = "max passkeys reached"
    MAX_ENDPOINTS = "max endpoints reached"
    MAX_VARIABLES = "max variables reached"
    MAX_REMOTES = "max remotes reached"
    ENDPOINT_DISABLED = "endpoint is disabled"
    MAX_AD_SYSTEMS = "max systems reached"
    CANNOT_USE_PROJECT = "cannot use this project"
    MAX_AD_STEPS = "max steps reached"
    DISCORD_AWAY = "discord did not answer"
    NO_APPLICATION = "no discord application connected"
    APPLICATION_TAKEN = "discord application belongs to another account"
    NO_SUCH_KEY = "key does not exist"
    KEY_REDEEMED = "key was redeemed already"
    KEY_EXPIRED = "key expired"
    HAS_KEY = "customer has a key already"
    NO_KEY = "customer has no key"


class Refused(Exception):
    """The rules say no; nothing was changed. `extras` are facts of this occurrence, by name."""

    def __init__(self, reason: Reason, **extras: Any) -> None:
        super().__init__(f"{reason}: {extras}" if extras else reason)
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


class TooLarge(Exception):
    """A value that is larger than the account's tier allows; sizes in bytes."""

    def __init__(self, field: str, *, limit_bytes: int, has_bytes: int) -> None:
        super().__init__(f"{field} may have at most {limit_bytes} bytes, has {has_bytes}")
        self.field = field
        self.limit_bytes = limit_bytes
        self.has_bytes = has_bytes


class TryLater(Exception):
    """There is too much to do already; nothing was changed."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"try again in {retry_after_seconds} seconds")
        self.retry_after_seconds = retry_after_seconds


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
