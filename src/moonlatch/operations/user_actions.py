"""What can be done to a user, one or many of them: what each makes of a user, when it is refused, and how it is written.

Judging writes nothing, so that of many users those who are refused keep what they had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from moonlatch.clock import DAY_MS, MAX_TIME_MS
from moonlatch.keyring import Keyring
from moonlatch.licensing.key import MAX_KEY_DAYS, is_blacklisted, is_held
from moonlatch.operations.changing import Change, Resource, differences
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.storage import events, key_devices, key_signals, key_uses, removed_users, users
from moonlatch.storage.interface import Transaction
from moonlatch.storage.projects import Project
from moonlatch.storage.user_keys import STORED_KEY, masked_key_of
from moonlatch.storage.users import User

_OF_STARTS = ("executor", "executions", "ip", "fingerprint", "leased_until")
_OF_HOLDS = ("held_by", "held_at", "held_until", "forgiven_until")
BY_ITSELF = frozenset({*_OF_STARTS, *_OF_HOLDS, *STORED_KEY, "expiry_set_at", "instances_since", "locked_to"})
"""Fields of a user that starts change, what follows from an edit, and how its key is stored."""

Changes = Mapping[str, tuple[Any, Any]]


class Action(ABC):
    """One thing to do to a user."""

    kind: ClassVar[EventKind]
    """Of the event that it leaves."""

    @abstractmethod
    def judge(self, user: User, project: Project, now: int) -> User:
        """The user as they are to be. Raises Refused."""

    @abstractmethod
    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:
        """Write what `judge` made of users."""

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        """What the event tells of it."""
        return {}

    def resource(self, keyring: Keyring, user: User) -> Resource:
        """What the event says it is about."""
        return resource(keyring, user)


def resource(keyring: Keyring, user: User) -> Resource:
    """What an event about a user shows of it: never the key."""
    return Resource("user", user.id, masked_key_of(keyring, user))


class _NewSettings(Action):
    """Changes what a developer may edit."""

    kind = EventKind.USER_EDITED

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.save_settings(tx, done)

    def shown(self, before: User, after: User) -> Changes:
        return {name: each for name, each in differences(before, after).items() if name not in BY_ITSELF}


@dataclass(frozen=True, slots=True)
class Edit(_NewSettings):
    """Sets fields by name."""

    changes: Mapping[str, Any]

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        if not self.changes:
            raise Refused(Reason.NOTHING_TO_EDIT)
        is_new_expiry = "key_expires" in self.changes or "key_days" in self.changes
        return msgspec.structs.replace(user, **self.changes, expiry_set_at=now if is_new_expiry else user.expiry_set_at)


@dataclass(frozen=True, slots=True)
class Extend(_NewSettings):
    """Gives a key more time: from its end or, where that has passed, from now; one that nobody used yet gets longer days."""

    milliseconds: int

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        if user.key_expires is not None:
            expires = max(user.key_expires, now) + self.milliseconds
            if expires > MAX_TIME_MS:
                raise Refused(Reason.EXPIRES_TOO_LATE)
            return msgspec.structs.replace(user, key_expires=expires, expiry_set_at=now)
        if user.key_days is None:
            raise Refused(Reason.NEVER_EXPIRES)
        more, rest = divmod(self.milliseconds, DAY_MS)
        if rest:
            raise Refused(Reason.ONLY_DAYS)
        days = user.key_days + more
        if days > MAX_KEY_DAYS:
            raise Refused(Reason.EXPIRES_TOO_LATE)
        return msgspec.structs.replace(user, key_days=days, expiry_set_at=now)


@dataclass(frozen=True, slots=True)
class Blacklist(Action):
    """Stops every copy of the key and bars the devices it was used on from the project, until `expires` (Unix milliseconds; None: for good).

    With `bar_networks`, no start comes from the networks it was used in, either; copies that run there go on.
    """

    reason: str | None
    expires: int | None
    bar_networks: bool = False
    kind: ClassVar[EventKind] = EventKind.USER_BLACKLISTED

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        if is_blacklisted(user.blacklisted, user.blacklist_expires, now):
            raise Refused(Reason.ALREADY_BLACKLISTED)
        return msgspec.structs.replace(
            user, blacklisted=True, blacklist_reason=self.reason, blacklist_expires=self.expires
        )

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.save_blacklisting(tx, done, bar_networks=self.bar_networks)

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        shown: Changes = {"blacklist_reason": (None, self.reason), "blacklist_expires": (None, self.expires)}
        return {**shown, "bar_networks": (None, True)} if self.bar_networks else shown


@dataclass(frozen=True, slots=True)
class Unblacklist(Action):
    """Takes the blacklisting back, and the bars on its devices."""

    kind: ClassVar[EventKind] = EventKind.USER_UNBLACKLISTED

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        if not is_blacklisted(user.blacklisted, user.blacklist_expires, now):
            raise Refused(Reason.NOT_BLACKLISTED)
        return msgspec.structs.replace(user, blacklisted=False, blacklist_reason=None, blacklist_expires=None)

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.save_blacklisting(tx, done)

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        return {"blacklist_reason": (before.blacklist_reason, None)}


@dataclass(frozen=True, slots=True)
class Hold(Action):
    """Lets the key start no more, by a rule about shared keys, until `until` (Unix milliseconds; None: until it is released). Copies that run go on.

    What it was used for until then is forgiven.
    """

    rule: str
    until: int | None
    kind: ClassVar[EventKind] = EventKind.USER_HELD

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        forgiven = user.forgiven_until if self.until is None else self.until
        return msgspec.structs.replace(
            user, held_by=self.rule, held_at=now, held_until=self.until, forgiven_until=forgiven
        )

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.save_hold(tx, done)
        await key_signals.forget(tx, [user.id for user in done])

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        return {"held_by": (None, self.rule), "held_until": (None, self.until)}


@dataclass(frozen=True, slots=True)
class Release(Action):
    """Lets a key on hold start again, and forgives what it was used for until now."""

    kind: ClassVar[EventKind] = EventKind.USER_RELEASED

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        if not is_held(user.held_by, user.held_until, now):
            raise Refused(Reason.NOT_HELD)
        return msgspec.structs.replace(user, held_by=None, held_at=None, held_until=None, forgiven_until=now)

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.save_hold(tx, done)
        await key_signals.forget(tx, [user.id for user in done])

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        return {"held_by": (before.held_by, None)}


@dataclass(frozen=True, slots=True)
class ResetFingerprint(Action):
    """Lets the next device become the key's. `force` goes past a disabled or cooling reset, and past a lease: then both devices start."""

    force: bool
    kind: ClassVar[EventKind] = EventKind.USER_FINGERPRINT_RESET

    def judge(self, user: User, project: Project, now: int) -> User:
        if not self.force:
            if not project.allow_fingerprint_resets:
                raise Refused(Reason.RESETS_DISABLED)
            if user.last_reset is not None and user.last_reset + project.fingerprint_reset_cooldown > now:
                raise Refused(Reason.ON_COOLDOWN, retry_at=user.last_reset + project.fingerprint_reset_cooldown)
        if user.fingerprint is None:
            raise Refused(Reason.NO_FINGERPRINT)
        if not self.force and user.leased_until is not None and user.leased_until > now:
            raise Refused(Reason.LEASED, retry_at=user.leased_until)
        resets = user.total_fingerprint_resets + 1
        return msgspec.structs.replace(user, fingerprint=None, ip=None, last_reset=now, total_fingerprint_resets=resets)

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:
        ids = [user.id for user in done]
        await users.save_device(tx, done)
        await key_devices.unbind_all(tx, ids)
        await key_uses.count_resets(tx, ids, now=now)


@dataclass(frozen=True, slots=True)
class ResetOneDevice(ResetFingerprint):
    """Unbinds a key from one of its devices, by the same rules. `further` are those beside the first."""

    device: bytes
    further: Sequence[bytes]

    def judge(self, user: User, project: Project, now: int) -> User:
        changed = ResetFingerprint.judge(self, user, project, now)
        if self.device in self.further:
            return msgspec.structs.replace(changed, fingerprint=user.fingerprint, ip=user.ip)
        if self.device != user.fingerprint:
            raise Refused(Reason.NOT_BOUND)
        return msgspec.structs.replace(changed, fingerprint=self.further[0] if self.further else None)

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:
        (user,) = done
        await users.save_device(tx, done)
        # The first one's place is taken by the next.
        unbound = self.device if self.device in self.further else user.fingerprint
        if unbound is not None:
            await key_devices.unbind(tx, user.id, unbound)
        await key_uses.count_resets(tx, [user.id], now=now)

    def shown(self, before: User, after: User) -> Changes:  # noqa: ARG002
        return {"device": (self.device.hex(), None)}


@dataclass(frozen=True, slots=True)
class RevokeInstances(Action):
    """Stops every copy of the key that runs now, and voids its token. The key itself starts again."""

    kind: ClassVar[EventKind] = EventKind.USER_INSTANCES_REVOKED

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        return msgspec.structs.replace(user, instances_since=now)

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:  # noqa: ARG002
        await users.revoke_instances(tx, done)


@dataclass(frozen=True, slots=True)
class Remove(Action):
    """Stops every copy of the key and removes it; unless it is for ever, it can be brought back for some days.

    Its events lose what identifies it.
    """

    forever: bool
    kind: ClassVar[EventKind] = EventKind.USER_REMOVED

    def judge(self, user: User, project: Project, now: int) -> User:  # noqa: ARG002
        return user

    async def write(self, tx: Transaction, done: Sequence[User], now: int) -> None:
        await users.remove(tx, [user.id for user in done])
        await events.erase(tx, [user.id for user in done])
        if not self.forever:
            await removed_users.keep(tx, done, now=now, by="developer")

    def resource(self, keyring: Keyring, user: User) -> Resource:  # noqa: ARG002
        return Resource("user", user.id)


def leave_event(change: Change, action: Action, before: User, after: User) -> None:
    """Leave the event of what was done to a user."""
    change.record(
        action.kind,
        action.resource(change.keyring, before),
        project_id=before.project_id,
        changes=action.shown(before, after),
    )


def bars_device(before: User, after: User) -> bool:
    """Return whether it may stop copies of other keys of the project too."""
    return after.blacklisted and not before.blacklisted
