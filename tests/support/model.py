"""What Moonlatch should do, as plain objects in memory: written from the contract and the reference pages, sharing no code with the server.

One project of one account. A method does what a call does and gives its outcome: None for success, or the refusal. Times in
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DAY = 24 * 60 * 60 * 1000
LEASE = 3 * 33_000 + 5_000
"""An instance that only beats: three beats of 30 s, each a tenth late, and 5 s for the way."""
RETURN = 33_000 + 5_000
"""One whose session has closed: time for one beat."""
COOLDOWN = DAY
SILENT = max(LEASE - RETURN, RETURN)
"""How much is left of the lease, at most, of one that has missed a beat or lost its session."""
SUPERSEDED = 15 * 60_000
"""For so long one whose place was taken is told so."""
GRACE = 7 * DAY
"""For so long the scripts of an expired account are served."""


@dataclass(frozen=True)
class Refused:
    """A refusal: of the management API by status and code, of the client protocol by its code."""

    code: int | str
    status: int = 0


EXPIRED_ACCOUNT = Refused(0, 403)
NOT_FOUND = Refused(-1, 404)


@dataclass
class User:
    key: str
    discord_id: str | None = None
    note: str | None = None
    key_expires: int | None = None
    key_days: int | None = None
    max_instances: int | None = None
    max_executions: int | None = None
    fingerprintless: bool = False
    device: str | None = None
    executions: int = 0
    last_reset: int | None = None
    resets: int = 0
    barred_until: tuple[int | None] | None = None
    """Of a blacklisting; None for one that never stood, a None inside for one without an end."""


@dataclass
class Script:
    free_for_all: bool
    kick_outdated: bool = False
    enabled: bool = False
    build: int = 0
    total_executions: int = 0


@dataclass
class Instance:
    script: str
    key: str | None
    device: str | None
    build: int
    alive_until: int
    age: tuple[int, str]
    """When it was started; of several at once, by their ids."""
    has_session: bool = False
    is_stopped: bool = False
    superseded_until: int = 0
    sequence: int = 0
    """As the server remembers it."""


@dataclass
class Model:
    now: int
    account_expires: int | None = None
    allow_resets: bool = True
    require_fingerprint: bool = True
    scripts: dict[str, Script] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    bars: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Device and end, by the key whose blacklisting barred it."""
    executions_of_removed: int = 0
    days: dict[tuple[str, int], int] = field(default_factory=dict)
    """Executions by script and day."""

    @property
    def account_expired(self) -> bool:
        return _has_passed(self.account_expires, self.now)

    @property
    def is_abandoned(self) -> bool:
        """The grace is over, too."""
        return self.account_expires is not None and _has_passed(self.account_expires + GRACE, self.now)

    # Management.

    def create_user(self, key: str, **fields: Any) -> Refused | None:
        if refused := self.new_user_refusal(fields.get("discord_id")):
            return refused
        self.users[key] = User(key, **fields)
        return None

    def new_user_refusal(self, discord_id: str | None) -> Refused | None:
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self._has_discord(discord_id, besides=None):
            return Refused(2, 409)
        return None

    def edit_user(self, key: str, changes: dict[str, Any]) -> Refused | None:
        user = self.users.get(key)
        if user is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self._has_discord(changes.get("discord_id"), besides=key):
            return Refused(1, 409)
        for name, value in changes.items():
            setattr(user, name, value)
        if "key_expires" in changes:
            user.key_days = None
        elif changes.get("key_days") is not None:
            user.key_expires = None
        self._look_again()
        return None

    def _has_discord(self, discord_id: str | None, besides: str | None) -> bool:
        return discord_id is not None and any(
            user.discord_id == discord_id for user in self.users.values() if user.key != besides
        )

    def blacklist(self, key: str, expires: int | None) -> Refused | None:
        user = self.users.get(key)
        if user is None:
            return NOT_FOUND
        if self.is_blacklisted(user):
            return Refused(0, 409)
        if self.account_expired:
            return Refused(1, 403)
        user.barred_until = (expires,)
        self.bars.pop(key, None)
        if user.device is not None:
            self.bars[key] = (user.device, expires)
        self._look_again()
        return None

    def unblacklist(self, key: str) -> Refused | None:
        user = self.users.get(key)
        if user is None:
            return NOT_FOUND
        if not self.is_blacklisted(user):
            return Refused(0, 409)
        if self.account_expired:
            return Refused(1, 403)
        user.barred_until = None
        self.bars.pop(key, None)
        return None

    def reset_device(self, key: str, *, force: bool) -> Refused | None:
        user = self.users.get(key)
        if user is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if not force and not self.allow_resets:
            return Refused(1, 403)
        if not force and user.last_reset is not None and user.last_reset + COOLDOWN > self.now:
            return Refused(2, 409)
        if user.device is None:
            return Refused(3, 409)
        user.device = None
        user.last_reset = self.now
        user.resets += 1
        self._look_again()
        return None

    def remove_user(self, key: str) -> Refused | None:
        if key not in self.users:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        del self.users[key]
        self.bars.pop(key, None)
        self._look_again()
        return None

    def create_script(self) -> Refused | None:
        """Whether one may be created; it is added with `scripts` once its id is known."""
        return EXPIRED_ACCOUNT if self.account_expired else None

    def update(self, script_id: str, *, valid: bool) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if not valid:
            return Refused(2, 422)
        script.enabled = script.enabled or script.build == 0
        script.build += 1
        self._look_again()
        return None

    def toggle(self, script_id: str, *, on: bool) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if on and script.build == 0:
            return Refused(1, 409)
        script.enabled = on
        self._look_again()
        return None

    def edit_script(self, script_id: str, changes: dict[str, bool]) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if not changes:
            return Refused(1, 400)
        for name, value in changes.items():
            setattr(script, name, value)
        self._look_again()
        return None

    def remove_script(self, script_id: str) -> Refused | None:
        script = self.scripts.pop(script_id, None)
        if script is None:
            return NOT_FOUND
        self.executions_of_removed += script.total_executions
        self._look_again()
        return None

    # Running copies.

    def start(self, instance_id: str, script_id: str, key: str | None, device: str | None) -> Refused | None:
        """Grant a start that `start_refusal` does not refuse."""
        script = self.scripts[script_id]
        user = self.users.get(key or "")
        if user is not None and not self._has_expired(user):
            for replaced in self._silent(script_id, user, device)[: self._lacking_places(user)]:
                replaced.alive_until = self.now
                replaced.superseded_until = self.now + SUPERSEDED
            user.executions += 1
            if not user.fingerprintless and user.device is None:
                user.device = device
            if user.key_expires is None and user.key_days is not None:
                user.key_expires = self.now + user.key_days * DAY
        script.total_executions += 1
        day = (script_id, self.now // DAY)
        self.days[day] = self.days.get(day, 0) + 1
        self.instances[instance_id] = Instance(
            script_id,
            None if user is None else user.key,
            device,
            script.build,
            self.now + LEASE,
            (self.now, instance_id),
        )
        self._look_again()
        return None

    def start_refusal(self, script_id: str, key: str | None, device: str | None) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return Refused("SCRIPT_NOT_FOUND")
        if not script.enabled or not script.build or self.is_abandoned:
            return Refused("SCRIPT_DISABLED")
        if refused := self._key_refusal(script, key, device):
            return refused
        user = self.valid_user(key)
        if user is None:
            return None
        if self.require_fingerprint and device is None and not user.fingerprintless:
            return Refused("FINGERPRINT_REQUIRED")
        is_used_up = user.max_executions is not None and user.executions >= user.max_executions
        lacking = self._lacking_places(user)
        if lacking and (is_used_up or len(self._silent(script_id, user, device)) < lacking):
            return Refused("TOO_MANY_INSTANCES")
        return Refused("EXECUTION_LIMIT_REACHED") if is_used_up else None

    def _lacking_places(self, user: User) -> int:
        """How many copies have to go before another may start."""
        return 0 if user.max_instances is None else max(0, len(self.running_with(user.key)) - user.max_instances + 1)

    def _silent(self, script_id: str, user: User, device: str | None) -> list[Instance]:
        """Copies that a start on this device may replace, in the order in which it does."""
        silent = [
            one
            for one in self.running_with(user.key)
            if one.script == script_id
            and one.device == device is not None
            and not one.has_session
            and one.alive_until <= self.now + SILENT
        ]
        return sorted(silent, key=lambda one: (one.alive_until, one.age[1]))

    def beat(self, instance_id: str, sequence: int) -> Refused | None:
        instance = self.instances[instance_id]
        if self.is_alive(instance) and sequence <= instance.sequence:
            return Refused("REPLAYED")
        if refused := self._running_refusal(instance):
            self._forget(instance)
            return refused
        if not self.is_alive(instance):
            instance.sequence = instance.superseded_until = 0
        instance.sequence = sequence
        instance.alive_until = self.now + LEASE
        return None

    def open_session(self, instance_id: str) -> Refused | None:
        instance = self.instances[instance_id]
        if refused := self._running_refusal(instance):
            self._forget(instance)
            return refused
        if not self.is_alive(instance):
            instance.sequence = instance.superseded_until = 0
        instance.has_session = True
        return None

    def close_session(self, instance_id: str) -> None:
        instance = self.instances[instance_id]
        instance.has_session = False
        instance.alive_until = self.now + RETURN

    def disconnect(self, instance_id: str) -> None:
        instance = self.instances[instance_id]
        instance.is_stopped = True
        self._end(instance)

    def seconds_left(self, instance_id: str) -> int | None:
        user = self.valid_user(self.instances[instance_id].key)
        if user is None or user.key_expires is None:
            return None
        return -((self.now - user.key_expires) // 1000)

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds
        self._look_again()

    # What follows from it all.

    def is_alive(self, instance: Instance) -> bool:
        return instance.has_session or instance.alive_until > self.now

    def running_with(self, key: str) -> list[Instance]:
        return [one for one in self.instances.values() if one.key == key and self.is_alive(one)]

    def of_script(self, script_id: str) -> list[Instance]:
        return [one for one in self.instances.values() if one.script == script_id and self.is_alive(one)]

    def is_blacklisted(self, user: User) -> bool:
        return user.barred_until is not None and not _has_passed(user.barred_until[0], self.now)

    def _has_expired(self, user: User) -> bool:
        return _has_passed(user.key_expires, self.now)

    def valid_user(self, key: str | None) -> User | None:
        user = self.users.get(key or "")
        return None if user is None or self._has_expired(user) else user

    def _key_refusal(self, script: Script, key: str | None, device: str | None) -> Refused | None:
        """What a start and a running copy have in common."""
        user = self.users.get(key or "")
        if not script.free_for_all:
            if key is None:
                return Refused("KEY_REQUIRED")
            if user is None:
                return Refused("KEY_NOT_FOUND")
        is_barred = any(one == device and not _has_passed(end, self.now) for one, end in self.bars.values())
        if (user is not None and self.is_blacklisted(user)) or (device is not None and is_barred):
            return Refused("BLACKLISTED")
        if user is not None and self._has_expired(user) and not script.free_for_all:
            return Refused("KEY_EXPIRED")
        valid = self.valid_user(key)
        if valid is not None and valid.device is not None and not valid.fingerprintless:
            if device is None:
                return Refused("FINGERPRINT_REQUIRED")
            if device != valid.device:
                return Refused("FINGERPRINT_MISMATCH")
        return None

    def _running_refusal(self, instance: Instance) -> Refused | None:
        script = self.scripts.get(instance.script)
        if script is None:
            return Refused("SCRIPT_NOT_FOUND")
        if instance.is_stopped:
            return Refused("DISCONNECTED")
        if not script.enabled or self.is_abandoned:
            return Refused("SCRIPT_DISABLED")
        if script.kick_outdated and instance.build != script.build:
            return Refused("OUTDATED")
        if refused := self._key_refusal(script, instance.key, instance.device):
            return refused
        user = self.valid_user(instance.key)
        if user is None or user.max_instances is None:
            return None
        before = [one for one in self.running_with(user.key) if not self.is_alive(instance) or one.age < instance.age]
        if len(before) < user.max_instances:
            return None
        return Refused("SUPERSEDED" if instance.superseded_until > self.now else "TOO_MANY_INSTANCES")

    def _look_again(self) -> None:
        """A session is stopped as soon as its copy may not go on; a copy that beats learns it from its next beat."""
        for instance in self.instances.values():
            if instance.has_session and self._running_refusal(instance):
                self._end(instance)

    def _end(self, instance: Instance) -> None:
        instance.has_session = False
        instance.alive_until = self.now

    def _forget(self, instance: Instance) -> None:
        if not instance.has_session:
            instance.alive_until = self.now


def _has_passed(at: int | None, now: int) -> bool:
    return at is not None and at <= now
