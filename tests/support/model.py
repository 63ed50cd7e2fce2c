"""What Moonlatch should do, as plain objects in memory: written from the contract and the reference pages, sharing no code with the server.

`ManagedModel` has what is managed, and this module the copies that run. Times in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from support.model_events import DAY, Refused, Script, User, has_passed
from support.model_management import ManagedModel

LEASE = 3 * 33_000 + 5_000
"""An instance that only beats: three beats of 30 s, each a tenth late, and 5 s for the way."""
RETURN = 33_000 + 5_000
"""One whose session has closed: time for one beat."""
SILENT = max(LEASE - RETURN, RETURN)
"""How much is left of the lease, at most, of one that has missed a beat or lost its session."""
SUPERSEDED = 15 * 60_000
"""For so long one whose place was taken is told so."""
PAST = 2 * 60_000
"""How long ago a beat may have been made."""
TOKEN, RENEWED = 12 * 3_600_000, 3_600_000
"""How long a copy's token is good for, and after how much of it a beat gives the next one."""

OF_PLACES = ("TOO_MANY_INSTANCES", "SUPERSEDED")


@dataclass
class Instance:
    script: str
    key: str | None
    device: str | None
    build: int
    alive_until: int
    age: tuple[int, str]
    """When it was started; of several at once, by their ids."""
    token_until: int
    has_session: bool = False
    is_stopped: bool = False
    superseded_until: int = 0
    moment: int = 0
    """The latest that was used."""


@dataclass(kw_only=True)
class Model(ManagedModel):
    instances: dict[str, Instance] = field(default_factory=dict)
    days: dict[tuple[str, int], int] = field(default_factory=dict)
    """Executions by script and day."""

    def start(self, instance_id: str, script_id: str, key: str | None, device: str | None) -> Refused | None:
        """Grant a start that `start_refusal` does not refuse."""
        script = self.scripts[script_id]
        user = self.users.get(key or "")
        if user is not None and device is not None:
            user.seen_on.add(device)
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
            self.now + TOKEN,
        )
        self.look_again()
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
        if self.projects[self.home].require_fingerprint and device is None and not user.fingerprintless:
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

    def beat(self, instance_id: str, moment: int) -> Refused | None:
        instance = self.instances[instance_id]
        if instance.token_until <= self.now:
            return Refused("INSTANCE_UNKNOWN")
        if moment <= self.now - PAST:
            return Refused("CLOCK_WRONG")
        is_used = moment <= instance.moment
        if is_used and self.is_alive(instance):
            return Refused("REPLAYED")
        instance.moment = max(moment, instance.moment)
        refused = self._running_refusal(instance)
        # Places are looked at last, since what was used already takes none.
        if is_used and (refused is None or refused.code in OF_PLACES):
            return Refused("REPLAYED")
        if refused:
            self._forget(instance)
            return refused
        if not self.is_alive(instance):
            instance.superseded_until = 0
        instance.alive_until = self.now + LEASE
        if instance.token_until - self.now <= TOKEN - RENEWED:
            instance.token_until = self.now + TOKEN
        return None

    def open_session(self, instance_id: str) -> Refused | None:
        instance = self.instances[instance_id]
        if instance.token_until <= self.now:
            return Refused("NOT_AUTHENTICATED")
        if refused := self._running_refusal(instance):
            self._forget(instance)
            return refused
        if not self.is_alive(instance):
            instance.superseded_until = 0
        instance.has_session = True
        return None

    def close_session(self, instance_id: str) -> None:
        instance = self.instances[instance_id]
        instance.has_session = False
        instance.alive_until = self.now + RETURN

    def disconnect(self, instance_id: str, session: str, job: str) -> None:
        """Close its session, and stop it for good."""
        instance = self.instances[instance_id]
        self.leave("session.disconnected", ("session", session, job), self.home)
        instance.is_stopped = True
        self._end(instance)

    def stop_instance(self, instance_id: str) -> None:
        """Stop it for good, whether or not it has a session."""
        instance = self.instances[instance_id]
        self.leave("instance.stopped", ("instance", instance_id, None), self.home)
        instance.is_stopped = True
        self._end(instance)

    def revoke_instances(self, key: str) -> Refused | None:
        """Stop every copy of a key for good, also those that are silent."""
        user = self.users.get(key)
        if refused := self._user_refusal(user):
            return refused
        assert user is not None
        for instance in self.instances.values():
            if instance.key == key:
                instance.is_stopped = True
                self._end(instance)
        self.leave("user.instances_revoked", user.resource, user.project)
        return None

    def seconds_left(self, instance_id: str) -> int | None:
        user = self.valid_user(self.instances[instance_id].key)
        if user is None or user.key_expires is None:
            return None
        return -((self.now - user.key_expires) // 1000)

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.look_again()

    # What follows from it all.

    def is_alive(self, instance: Instance) -> bool:
        return instance.has_session or instance.alive_until > self.now

    def running_with(self, key: str) -> list[Instance]:
        return [one for one in self.instances.values() if one.key == key and self.is_alive(one)]

    def of_script(self, script_id: str) -> list[Instance]:
        return [one for one in self.instances.values() if one.script == script_id and self.is_alive(one)]

    def _has_expired(self, user: User) -> bool:
        return has_passed(user.key_expires, self.now)

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
        is_barred = any(device in devices and not has_passed(end, self.now) for devices, end in self.bars.values())
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

    def look_again(self) -> None:
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
