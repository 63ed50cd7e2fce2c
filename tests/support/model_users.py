"""What calls do to the users of the model's account. A method does what a call does and gives its outcome: None for success, or the refusal."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from support.model_events import (
    CHANGED_MEANWHILE,
    DAY,
    EXPIRED_ACCOUNT,
    EXPIRED_USERS_STAY,
    EXPIRY,
    NOT_FOUND,
    RESTORABLE,
    USER_SETTINGS,
    Outcome,
    Recorded,
    Refused,
    User,
    has_passed,
)


class Users(Recorded):
    def new_user_refusal(self, project: str, discord_id: str | None, key: str | None, amount: int) -> Refused | None:
        if self.project_reached(project) is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self.is_full(self.limits.users, len(self.users), amount):
            return Refused(1, 403)
        if key in self.users:
            return Refused(3, 409)
        if self._has_discord(project, discord_id, besides=None):
            return Refused(2, 409)
        return None

    def create_user(self, key: str, identity: str, project: str, **fields: Any) -> None:
        user = self.users[key] = User(key, identity, project, expiry_set_at=self.now, **fields)
        self.leave("user.created", user.resource, project)

    def edit_user(self, key: str, changes: dict[str, Any]) -> Refused | None:
        user = self.users.get(key)
        if refused := self._user_refusal(user):
            return refused
        assert user is not None
        if not changes:
            return Refused(2, 400)
        if self._has_discord(user.project, changes.get("discord_id"), besides=key):
            return Refused(1, 409)
        self._edit(user, changes)
        self.look_again()
        return None

    def _edit(self, user: User, changes: dict[str, Any]) -> None:
        before = copy.copy(user)
        for name, value in changes.items():
            setattr(user, name, value)
        if "key_expires" in changes:
            user.key_days = None
        elif changes.get("key_days") is not None:
            user.key_expires = None
        if "key_expires" in changes or "key_days" in changes:
            user.expiry_set_at = self.now
        self._leave_edited(before, user)

    def _leave_edited(self, before: User, after: User) -> None:
        differences = {name: [getattr(before, name), getattr(after, name)] for name in USER_SETTINGS}
        shown = {name: each for name, each in differences.items() if each[0] != each[1]}
        self.leave("user.edited", after.resource, after.project, shown)

    def _extend(self, user: User, days: int) -> bool:
        """False for a key that never ends."""
        before = copy.copy(user)
        if user.key_expires is not None:
            user.key_expires = max(user.key_expires, self.now) + days * DAY
        elif user.key_days is not None:
            user.key_days += days
        else:
            return False
        user.expiry_set_at = self.now
        self._leave_edited(before, user)
        return True

    def _has_discord(self, project: str, discord_id: str | None, besides: str | None) -> bool:
        return discord_id is not None and any(
            user.discord_id == discord_id
            for user in self.users.values()
            if user.project == project and user.key != besides
        )

    def blacklist(self, key: str, expires: int | None, reason: str | None = None) -> Refused | None:
        user = self.users.get(key)
        if user is None or not self.actor.reaches(user.project):
            return NOT_FOUND
        if self.is_blacklisted(user):
            return Refused(0, 409)
        if refused := self._user_refusal(user, expired=Refused(1, 403)):
            return refused
        self._blacklist(user, expires, reason)
        self.look_again()
        return None

    def _blacklist(self, user: User, expires: int | None, reason: str | None) -> bool:
        if self.is_blacklisted(user):
            return False
        user.barred_until, user.barred_for = (expires,), reason
        self._bar_device(user)
        shown = {"blacklist_reason": [None, reason], "blacklist_expires": [None, expires]}
        self.leave("user.blacklisted", user.resource, user.project, shown)
        return True

    def _bar_device(self, user: User) -> None:
        self.bars.pop(user.key, None)
        devices = user.seen_on | ({user.device} if user.device is not None else set())
        if devices and user.barred_until is not None:
            self.bars[user.key] = (devices, user.barred_until[0])

    def unblacklist(self, key: str) -> Refused | None:
        user = self.users.get(key)
        if user is None or not self.actor.reaches(user.project):
            return NOT_FOUND
        if not self.is_blacklisted(user):
            return Refused(0, 409)
        if refused := self._user_refusal(user, expired=Refused(1, 403)):
            return refused
        self._unblacklist(user)
        return None

    def _unblacklist(self, user: User) -> bool:
        if not self.is_blacklisted(user):
            return False
        shown = {"blacklist_reason": [user.barred_for, None]}
        user.barred_until = user.barred_for = None
        self.bars.pop(user.key, None)
        self.leave("user.unblacklisted", user.resource, user.project, shown)
        return True

    def reset_device(self, key: str, *, force: bool) -> Refused | None:
        user = self.users.get(key)
        if refused := self._user_refusal(user):
            return refused
        assert user is not None
        if refused := self._reset_refusal(user, force=force):
            return refused
        self._reset_device(user, force=force)
        self.look_again()
        return None

    def _reset_refusal(self, user: User, *, force: bool) -> Refused | None:
        project = self.projects[user.project]
        if not force and not project.allow_fingerprint_resets:
            return Refused(1, 403)
        if (
            not force
            and user.last_reset is not None
            and user.last_reset + project.fingerprint_reset_cooldown > self.now
        ):
            return Refused(2, 409)
        return Refused(3, 409) if user.device is None else None

    def _reset_device(self, user: User, *, force: bool) -> bool:
        if self._reset_refusal(user, force=force):
            return False
        user.device = None
        user.last_reset = self.now
        user.resets += 1
        self.leave("user.fingerprint_reset", user.resource, user.project)
        return True

    def remove_user(self, key: str, *, forever: bool = False) -> Refused | None:
        user = self.users.get(key)
        if refused := self._user_refusal(user):
            return refused
        assert user is not None
        self._remove(user, forever=forever)
        self.look_again()
        return None

    def _remove(self, user: User, *, forever: bool) -> bool:
        del self.users[user.key]
        self.bars.pop(user.key, None)
        if not forever:
            self.removed[user.key] = (user, self.now)
        self.erase(user)
        self.leave("user.removed", ("user", user.id, None), user.project)
        return True

    def restore_users(self, project: str, keys: Sequence[str], key_expires: int | None) -> Refused | None:
        if self.project_reached(project) is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self.is_full(self.limits.users, len(self.users), len(keys)):
            return Refused(1, 403)
        taken = [self.removed[key] for key in keys if key in self.removed]
        found = [user for user, at in taken if user.project == project and at + RESTORABLE > self.now]
        if len(found) < len(keys):
            return Refused(2, 409)
        discords = [user.discord_id for user in found if user.discord_id is not None]
        if len(set(discords)) < len(discords) or any(self._has_discord(project, one, besides=None) for one in discords):
            return Refused(3, 409)
        if any(user.key in self.users for user in found):
            return Refused(4, 409)
        for user in found:
            del self.removed[user.key]
            self.users[user.key] = user
            user.expiry_set_at = self.now
            if key_expires is not None:
                user.key_expires, user.key_days = key_expires, None
            user.seen_on = set()
            self._bar_device(user)
            self.leave("user.restored", user.resource, project)
        self.look_again()
        return None

    def bulk(self, project: str, keys: Sequence[str] | None, action: str, fields: dict[str, Any]) -> Refused | Outcome:
        """Do to the users of these keys, or to all, what the call for one does."""
        if self.project_reached(project) is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        wanted = self.users if keys is None else keys
        found = [self.users[key] for key in wanted if key in self.users and self.users[key].project == project]
        changed = sum(self._do(user, action, fields) for user in found)
        self.look_again()
        missing = 0 if keys is None else len(keys) - len(found)
        return Outcome(len(found), changed, len(found) - changed + missing)

    def _do(self, user: User, action: str, fields: dict[str, Any]) -> bool:
        match action:
            case "extend":
                return self._extend(user, fields["days"])
            case "edit":
                self._edit(user, fields)
                return True
            case "blacklist":
                return self._blacklist(user, fields["expires"], fields["reason"])
            case "unblacklist":
                return self._unblacklist(user)
            case "reset_fingerprint":
                return self._reset_device(user, force=fields["force"])
            case _:
                return self._remove(user, forever=fields["forever"])

    def _user_refusal(self, user: User | None, *, expired: Refused = EXPIRED_ACCOUNT) -> Refused | None:
        if user is None or not self.actor.reaches(user.project):
            return NOT_FOUND
        if self.account_expired:
            return expired
        return CHANGED_MEANWHILE if self.is_stale else None

    def is_blacklisted(self, user: User) -> bool:
        return user.barred_until is not None and not has_passed(user.barred_until[0], self.now)

    def expire_users(self) -> None:
        """The job that removes users whose time is over; whoever is or was blacklisted stays."""
        self.actor = EXPIRY
        by = self.now - EXPIRED_USERS_STAY
        for user in list(self.users.values()):
            project = self.projects[user.project]
            has_gone = has_passed(user.key_expires, by) and user.expiry_set_at <= by
            is_due = project.delete_expired_users and has_passed(project.deletes_since, by) and has_gone
            if is_due and user.barred_until is None:
                self._remove(user, forever=False)
        self.look_again()
