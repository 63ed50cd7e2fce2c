"""Whether a script may start or go on: one ordered list of guards for each, read from top to bottom. The first that applies is the answer.

Pure: facts and time come in, nothing is read or written. `docs/why/verdict.md` explains the order and the free-for-all rules.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.licensing.fingerprint import binds_on_use, is_bound
from moonlatch.licensing.key import expiry_after_first_use, grace_end, has_passed, is_blacklisted, is_held
from moonlatch.licensing.rollout import build_for, is_outdated, plan_of
from moonlatch.licensing.rollout import is_on_new_build as of_rollout


class AskedFurther(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for only where it matters: why and until when a user or a device is kept out, in Unix milliseconds, more devices,
    and where the script has a plan, what its key is on.
    """

    blacklist_reason: str | None = None
    blacklist_expires: int | None = None
    bar_reason: str | None = None
    bar_expires: int | None = None
    is_network_barred: bool = False
    """The bar is on the network that the start comes from."""
    held_by: str | None = None
    """The rule about shared keys that has put the key on hold."""
    held_until: int | None = None
    has_free_device: bool = False
    """The key is bound to other devices than the one that starts, and to fewer than it may be."""
    locked_to: bytes | None = None
    """The network that a key from a checkpoint must be started in for the first time; None where it was."""
    is_locked_elsewhere: bool = False
    """It is another one than the start comes from."""
    is_device_full: bool = False
    """The device has had as many keys from checkpoints today as it may have."""
    channel: str | None = None
    pin: int | None = None
    """The build that the key is pinned to now."""
    current_build: int | None = None
    """The script's own, where `build` is another one that this key is given."""


class Facts(AskedFurther, frozen=True, gc=False):
    """What the database knows about a script and, when they were found, a user and a bar on the device.

    Field order is the column order of the queries in `storage/licences.py`. Flags may be 0 and 1: they are only tested.
    Times in Unix milliseconds.
    """

    project_id: str
    script_name: str
    free_for_all: bool
    use_heartbeat: bool
    kick_outdated: bool
    require_sessions: bool
    enabled: bool
    build: int
    account_expires: int | None
    project_max_instances: int | None
    """Of keys that have no `max_instances` of their own."""
    plan: str | None
    """What the script serves besides `build`, as `rollout.plan_of` reads it; None: nothing."""
    user_id: str | None
    """None when no key was given, or it does not exist in the script's project; so are the user's other fields then."""
    key_expires: int | None
    max_instances: int | None
    fingerprintless: bool | None
    fingerprint: bytes | None
    """The device that the key is bound to: of several the one that asks, if it is one of them."""
    blacklisted: bool | None
    barred_by: str | None
    """Id of the blacklisted user whose device this is, None when the device is not barred."""

    @property
    def places(self) -> int | None:
        """How many copies the key may run at once; None: any number."""
        return self.project_max_instances if self.max_instances is None else self.max_instances


class StartFacts(Facts, frozen=True):
    """What else matters when a script starts."""

    discord_id: str | None
    note: str | None
    executions: int | None
    key_days: int | None
    max_executions: int | None
    loader_version: int | None
    """None when the loader was not made for this script."""
    loader_valid_until: int | None
    """When a loader that was replaced stops starting scripts; None where it was not, or has no end."""
    has_barred_networks: bool
    """The project keeps some networks out."""
    require_fingerprint: bool
    """The project wants to know the device of every key that is not fingerprintless."""
    offline_days: int
    """For how many days a start may be repeated without the server."""
    place_seconds: int
    """How long a start takes its place at least, where the script has no heartbeats; 0: for one lease."""
    report_errors: bool
    """Copies tell of errors, where they can."""
    mark_copies: bool
    """Each key gets copies of its own."""

    @property
    def place_ms(self) -> int:
        """As `place_seconds` of a script that has none; 0 where the copy will beat."""
        return 0 if self.use_heartbeat else self.place_seconds * 1_000


class RunningFacts(Facts, frozen=True):
    """What else matters while it runs."""

    stopped: str | None
    """The refusal code that ended this instance for good."""
    instances_since: int | None
    """Copies of the key that started until then were stopped for good, all of them."""
    discord_id: str | None = None
    """Asked for when there is somebody to show it to, as the note is."""
    note: str | None = None
    executor: str | None = None
    """Asked for when a session opens: the host program that its copy was started in."""


class Start(msgspec.Struct, frozen=True, gc=False):
    """What a client says about itself when it asks to start."""

    has_key: bool
    fingerprint: bytes | None
    supports_sessions: bool
    build: int | None = None
    """What runs already, by a lease; None of a copy that begins."""


class Running(msgspec.Struct, frozen=True, gc=False):
    """What is known of a running copy."""

    instance: str
    script: str
    user_id: str | None
    """Whose key it was started with."""
    fingerprint: bytes | None
    supports_sessions: bool
    build: int
    started_at: int
    overdue_session: bool = False
    """It went without a session for longer than a script that requires one allows."""


ACCOUNT_GRACE_DAYS = 7
MAX_PLACE_SECONDS = 86_400
_HOUR_MS = 60 * 60 * 1_000
_LONG_MINUTES = 120


class Policy(msgspec.Struct, frozen=True):
    """The installation's own choices."""

    account_grace_days: int = ACCOUNT_GRACE_DAYS
    minimum_loader_version: int = 1


class Granted(msgspec.Struct, frozen=True, gc=False):
    """The script may run."""

    premium: bool
    """The user has a valid key."""
    key_expires: int | None = None
    """When that key expires; for a start, with the days that begin now."""
    binds_fingerprint: bool = False
    """The device becomes the key's own, or one of its own, with this start."""
    max_instances: int | None = None
    """The copy needs one of so many places of its key; whoever counts the copies gives it one, or refuses."""


class Refusal(msgspec.Struct, frozen=True):
    """The script may not run. `code` is one of the codes of the client protocol, `message` is for the customer."""

    code: str
    message: str
    extras: dict[str, Any] = {}


SCRIPT_NOT_FOUND = Refusal("SCRIPT_NOT_FOUND", "This script does not exist any more. Ask its developer for a new one.")
SCRIPT_DISABLED = Refusal(
    "SCRIPT_DISABLED", "This script is switched off at the moment. Try again later, or ask its developer."
)
LOADER_OUTDATED = Refusal(
    "LOADER_OUTDATED", "This loader is too old. Run the script's loader line again to get the new one."
)
SESSIONS_REQUIRED = Refusal(
    "SESSIONS_REQUIRED", "This script needs an open WebSocket connection. Use a program that supports WebSockets."
)
KEY_REQUIRED = Refusal("KEY_REQUIRED", "This script needs a key. Set script_key to your key before the loader line.")
KEY_NOT_FOUND = Refusal(
    "KEY_NOT_FOUND", "This key does not exist. Check it for typing errors, or ask who sold it to you."
)
KEY_HELD = Refusal(
    "KEY_HELD",
    "This key is on hold, because it was used in a way that looks as if several people shared it. Nothing of it is lost: "
    "ask whoever sold it to you to release it.",
)
KEY_LOCKED = Refusal(
    "KEY_LOCKED",
    "This key has to be started for the first time in the network in which it was made. "
    "Open the page that gave it to you from here, in the same browser, and start again.",
)
TOO_MANY_KEYS = Refusal(
    "TOO_MANY_KEYS",
    "This device has had as many free keys today as it may have. Use the key of before, or come back tomorrow.",
)
KEY_EXPIRED = Refusal("KEY_EXPIRED", "This key has expired. Renew it to keep using the script.")
FINGERPRINT_REQUIRED = Refusal(
    "FINGERPRINT_REQUIRED",
    "This key is bound to a device, and this program does not tell which device it runs on. Use the program you started with.",
)
FINGERPRINT_MISSING = Refusal(
    FINGERPRINT_REQUIRED.code,
    "Keys of this script belong to one device, and this program does not tell which device it runs on. Use a program that does, "
    "or ask the script's developer: this program's host table needs a fingerprint, or the key must be one for any device.",
)
FINGERPRINT_MISMATCH = Refusal(
    "FINGERPRINT_MISMATCH", "This key belongs to another device. Ask for a fingerprint reset to use it on this one."
)
TOO_MANY_INSTANCES = Refusal(
    "TOO_MANY_INSTANCES",
    "This key is already running as often as it may. Close another copy. "
    "If you have just closed it, wait one minute, or two on another device.",
)
SUPERSEDED = Refusal(
    "SUPERSEDED", "The script was started again on this device, and the newer copy took the place of this one."
)
EXECUTION_LIMIT_REACHED = Refusal(
    "EXECUTION_LIMIT_REACHED",
    "This key has been used as often as it may be. Ask for a new one to keep using the script.",
)
OUTDATED = Refusal("OUTDATED", "A new version of this script is out. Run the loader line again to get it.")
DISCONNECTED = Refusal("DISCONNECTED", "The developer of this script has disconnected you.")
INSTANCE_UNKNOWN = Refusal("INSTANCE_UNKNOWN", "The server does not know this running copy. Run the loader line again.")


def decide_start(facts: StartFacts | None, claim: Start, policy: Policy, now_ms: int) -> Granted | Refusal:
    """Decide whether a client may start a script. Of EXECUTION_LIMIT_REACHED a key hears only while it has a place free."""
    if facts is None:
        return SCRIPT_NOT_FOUND
    if not facts.enabled or facts.build == 0 or _is_abandoned(facts, policy, now_ms):
        return SCRIPT_DISABLED
    if facts.kick_outdated and claim.build is not None and _is_outdated(facts, claim.build, claim.fingerprint):
        return OUTDATED
    if facts.loader_version is None or facts.loader_version < policy.minimum_loader_version:
        return LOADER_OUTDATED
    if has_passed(facts.loader_valid_until, now_ms):
        return LOADER_OUTDATED
    if facts.require_sessions and not claim.supports_sessions:
        return SESSIONS_REQUIRED
    if not claim.has_key and not facts.free_for_all:
        return KEY_REQUIRED
    if facts.user_id is None and not facts.free_for_all:
        return KEY_NOT_FOUND
    if (blacklisted := _blacklisted(facts, now_ms)) is not None:
        return blacklisted
    if is_held(facts.held_by, facts.held_until, now_ms):
        return _held(facts.held_until, now_ms)
    expired = has_passed(facts.key_expires, now_ms)
    if expired and not facts.free_for_all:
        return KEY_EXPIRED
    if facts.user_id is None or expired:
        return Granted(premium=False)
    if facts.is_locked_elsewhere:
        return KEY_LOCKED
    if facts.is_device_full:
        return TOO_MANY_KEYS
    bound = is_bound(facts.fingerprint, bool(facts.fingerprintless))
    if bound and claim.fingerprint is None:
        return FINGERPRINT_REQUIRED
    if facts.require_fingerprint and not facts.fingerprintless and claim.fingerprint is None:
        return FINGERPRINT_MISSING
    is_elsewhere = bound and claim.fingerprint != facts.fingerprint
    if is_elsewhere and not facts.has_free_device:
        return FINGERPRINT_MISMATCH
    if facts.max_executions is not None and (facts.executions or 0) >= facts.max_executions:
        return EXECUTION_LIMIT_REACHED
    return Granted(
        premium=True,
        key_expires=expiry_after_first_use(facts.key_expires, facts.key_days, now_ms),
        binds_fingerprint=is_elsewhere
        or binds_on_use(facts.fingerprint, bool(facts.fingerprintless), claim.fingerprint),
        max_instances=facts.places,
    )


def decide_running(facts: RunningFacts | None, claim: Running, policy: Policy, now_ms: int) -> Granted | Refusal:
    """Decide whether a running copy may go on; asked for every heartbeat, and for a session whenever something changed."""
    if facts is None:
        return SCRIPT_NOT_FOUND
    if facts.stopped is not None or _is_revoked(facts, claim):
        return DISCONNECTED
    if not facts.enabled or facts.build == 0 or _is_abandoned(facts, policy, now_ms):
        return SCRIPT_DISABLED
    if facts.kick_outdated and _is_outdated(facts, claim.build, claim.fingerprint):
        return OUTDATED
    if facts.require_sessions and (claim.overdue_session or not claim.supports_sessions):
        return SESSIONS_REQUIRED
    if claim.user_id is None and not facts.free_for_all:
        return KEY_REQUIRED
    if facts.user_id is None and not facts.free_for_all:
        return KEY_NOT_FOUND
    if (blacklisted := _blacklisted(facts, now_ms)) is not None:
        return blacklisted
    expired = has_passed(facts.key_expires, now_ms)
    if expired and not facts.free_for_all:
        return KEY_EXPIRED
    if facts.user_id is None or expired:
        return Granted(premium=False)
    bound = is_bound(facts.fingerprint, bool(facts.fingerprintless))
    if bound and claim.fingerprint is None:
        return FINGERPRINT_REQUIRED
    if bound and claim.fingerprint != facts.fingerprint:
        return FINGERPRINT_MISMATCH
    return Granted(premium=True, key_expires=facts.key_expires, max_instances=facts.places)


def no_place(facts: StartFacts) -> Refusal:
    """What a start hears that finds no place."""
    if not facts.place_ms:
        return TOO_MANY_INSTANCES
    minutes = -(-facts.place_seconds // 60)
    shown = (
        "a minute"
        if minutes == 1
        else f"{minutes} minutes"
        if minutes < _LONG_MINUTES
        else f"{-(-minutes // 60)} hours"
    )
    return Refusal(
        TOO_MANY_INSTANCES.code,
        f"This key is already running as often as it may. A copy of this script counts for {shown} after its start: wait for that long, "
        "or start it where it ran before, two minutes after its last start.",
    )


def is_first_use(facts: StartFacts, granted: Granted) -> bool:
    """Return whether this start binds the device or begins the key's days, which concerns the key's other copies too."""
    return granted.premium and (granted.binds_fingerprint or granted.key_expires != facts.key_expires)


def with_build_given(facts: StartFacts, fingerprint: bytes | None) -> StartFacts:
    """The facts with the build that the script's plan gives this key, or this device where it has none."""
    if facts.plan is None:
        return facts
    build = build_for(
        plan_of(facts.plan),
        facts.build,
        channel=facts.channel,
        pin=facts.pin,
        holder=_holder(facts.user_id, fingerprint),
    )
    # Nearly always it is the current one; a copy of all that is known costs as much as the choice.
    return facts if build == facts.build else msgspec.structs.replace(facts, build=build, current_build=facts.build)


def is_on_new_build(facts: StartFacts, fingerprint: bytes | None) -> bool | None:
    """As `rollout.is_on_new_build`, of a start by these facts `with_build_given`."""
    if facts.plan is None:
        return None
    return of_rollout(
        plan_of(facts.plan),
        facts.build if facts.current_build is None else facts.current_build,
        channel=facts.channel,
        pin=facts.pin,
        holder=_holder(facts.user_id, fingerprint),
    )


def _is_outdated(facts: Facts, running: int, fingerprint: bytes | None) -> bool:
    if facts.plan is None:
        return running != facts.build
    return is_outdated(
        plan_of(facts.plan),
        facts.build,
        running,
        channel=facts.channel,
        pin=facts.pin,
        holder=_holder(facts.user_id, fingerprint),
    )


def _holder(user_id: str | None, fingerprint: bytes | None) -> bytes | None:
    """What a place in a rollout comes from. An id stays what it is when keys are sealed anew."""
    return fingerprint if user_id is None else user_id.encode()


def _is_revoked(facts: RunningFacts, claim: Running) -> bool:
    return facts.instances_since is not None and claim.started_at <= facts.instances_since


def _is_abandoned(facts: Facts, policy: Policy, now_ms: int) -> bool:
    return facts.account_expires is not None and has_passed(
        grace_end(facts.account_expires, policy.account_grace_days), now_ms
    )


def _blacklisted(facts: Facts, now_ms: int) -> Refusal | None:
    if facts.blacklisted and is_blacklisted(True, facts.blacklist_expires, now_ms):
        return _barred("This key is blacklisted.", facts.blacklist_reason, facts.blacklist_expires)
    if facts.barred_by is not None and not has_passed(facts.bar_expires, now_ms):
        return _barred("This device is blacklisted.", facts.bar_reason, facts.bar_expires)
    if facts.is_network_barred and not has_passed(facts.bar_expires, now_ms):
        return _barred("This network is blacklisted.", facts.bar_reason, facts.bar_expires)
    return None


def _held(until: int | None, now_ms: int) -> Refusal:
    if until is None:
        return Refusal(KEY_HELD.code, KEY_HELD.message, {"until": None})
    hours = -((now_ms - until) // _HOUR_MS)
    by_itself = f"It starts again by itself in {'an hour' if hours == 1 else f'{hours} hours'} at most."
    return Refusal(KEY_HELD.code, f"{KEY_HELD.message} {by_itself}", {"until": until})


def _barred(what: str, reason: str | None, expires: int | None) -> Refusal:
    because = f" Reason: {reason}" if reason else " Ask the developer of this script why."
    return Refusal("BLACKLISTED", what + because, {"reason": reason, "expires": expires})
