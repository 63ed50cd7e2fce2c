"""Records of the model, and the events that its calls leave. Times in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DAY = 24 * 60 * 60 * 1000
COOLDOWN = DAY
GRACE = 7 * DAY
"""For so long the scripts of an expired account are served."""
EXPIRED_USERS_STAY = 15 * 60_000
RESTORABLE = 7 * DAY
NOTED_AGAIN = 60_000
"""For so long the same refusal of one permission leaves no further event."""


@dataclass(frozen=True)
class Refused:
    """A refusal: of the management API by status and code, of the client protocol by its code."""

    code: int | str
    status: int = 0


EXPIRED_ACCOUNT = Refused(0, 403)
NOT_FOUND = Refused(-1, 404)
NOT_ALLOWED = Refused(-1, 403)
CHANGED_MEANWHILE = Refused(-1, 412)


@dataclass(frozen=True)
class Actor:
    """Who acts. None for permissions and projects: all there are."""

    kind: str
    id: str
    name: str
    permissions: tuple[str, ...] | None = None
    projects: tuple[str, ...] | None = None

    def may(self, permission: str) -> bool:
        return self.permissions is None or permission in self.permissions

    def reaches(self, project: str) -> bool:
        return self.projects is None or project in self.projects


NOBODY = Actor("", "", "")
EXPIRY = Actor("job", "expiry", "expiry")


@dataclass
class Event:
    at: int
    kind: str
    actor: Actor
    project: str | None
    resource: tuple[str, str, str | None]
    """Kind, id and what a person calls it."""
    changes: dict[str, list[Any]]


@dataclass
class Project:
    name: str
    fingerprint_reset_cooldown: int = COOLDOWN
    allow_fingerprint_resets: bool = True
    delete_expired_users: bool = False
    execution_webhook: str | None = None
    require_fingerprint: bool = True
    deletes_since: int | None = None


@dataclass
class User:
    key: str
    id: str = ""
    project: str = ""
    discord_id: str | None = None
    note: str | None = None
    key_expires: int | None = None
    key_days: int | None = None
    max_instances: int | None = None
    max_executions: int | None = None
    fingerprintless: bool = False
    device: str | None = None
    seen_on: set[str] = field(default_factory=set)
    """Devices that it was used on since it was made or brought back."""
    executions: int = 0
    last_reset: int | None = None
    resets: int = 0
    barred_until: tuple[int | None] | None = None
    """Of a blacklisting; None for one that never stood, a None inside for one without an end."""
    barred_for: str | None = None
    expiry_set_at: int = 0

    @property
    def resource(self) -> tuple[str, str, str]:
        """As events show it: nobody can use what is left of the key."""
        return ("user", self.id, f"{self.key[:4]}…{self.key[-4:]}")


@dataclass
class Script:
    free_for_all: bool
    kick_outdated: bool = False
    enabled: bool = False
    build: int = 0
    total_executions: int = 0
    id: str = ""
    name: str = "A script"

    @property
    def resource(self) -> tuple[str, str, str]:
        return ("script", self.id, self.name)


@dataclass
class Token:
    id: str
    name: str
    permissions: tuple[str, ...] | None
    projects: tuple[str, ...] | None
    is_revoked: bool = False


@dataclass(frozen=True)
class Limits:
    """Of a tier; None is any number."""

    projects: int | None = None
    scripts: int | None = None
    users: int | None = None
    free_for_all: bool = True


@dataclass(frozen=True)
class Outcome:
    """Of a bulk call, in numbers of users."""

    matched: int
    changed: int
    refused: int


USER_SETTINGS = (
    "discord_id",
    "note",
    "key_expires",
    "key_days",
    "max_instances",
    "max_executions",
    "fingerprintless",
)
MOST_OF_TIER = {"unlimited": Limits(), "tiny": Limits(projects=2, scripts=2, users=3, free_for_all=False)}


@dataclass(kw_only=True)
class Recorded:
    now: int
    account: tuple[str, str] = ("", "")
    """Id and name."""
    account_expires: int | None = None
    tier: str = "unlimited"
    actor: Actor = NOBODY
    """Who makes the next call."""
    is_stale: bool = False
    """The next call is about a version of before."""
    home: str = ""
    projects: dict[str, Project] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    removed: dict[str, tuple[User, int]] = field(default_factory=dict)
    """Who can be brought back, and when they went, by key."""
    tokens: dict[str, Token] = field(default_factory=dict)
    bars: dict[str, tuple[set[str], int | None]] = field(default_factory=dict)
    """Device and end, by the key whose blacklisting barred it."""
    executions_of_removed: int = 0
    events: list[list[Event]] = field(default_factory=list)
    """Oldest first; those of one call, in any order, together."""
    noted: dict[tuple[str, str], int] = field(default_factory=dict)
    """When the refusal of a permission to somebody left its last event."""

    @property
    def account_expired(self) -> bool:
        return has_passed(self.account_expires, self.now)

    @property
    def is_abandoned(self) -> bool:
        """The grace is over, too."""
        return self.account_expires is not None and has_passed(self.account_expires + GRACE, self.now)

    @property
    def limits(self) -> Limits:
        return MOST_OF_TIER[self.tier]

    # Events.

    def leave(
        self,
        kind: str,
        resource: tuple[str, str, str | None],
        project: str | None = None,
        changes: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Write an event of the call that is being made."""
        shown = {name: list(values) for name, values in (changes or {}).items()}
        self.events[-1].append(Event(self.now, kind, self.actor, project, resource, shown))

    def begin(self) -> None:
        """From here on what is left belongs to another call."""
        self.events.append([])

    def erase(self, user: User) -> None:
        for event in self.all_events():
            if event.resource[1] == user.id:
                forget_whose(event)

    def all_events(self) -> list[Event]:
        return [event for group in self.events for event in group]

    def refuse_permission(self, route: str, permission: str) -> Refused:
        """A call without the permission that it needs."""
        noted = self.noted.get((self.actor.id, permission))
        if noted is None or noted + NOTED_AGAIN <= self.now:
            self.noted[self.actor.id, permission] = self.now
            self.leave("permission.refused", ("route", route, f"{route} ({permission})"))
        return NOT_ALLOWED

    def project_reached(self, project: str) -> Project | None:
        return self.projects.get(project) if self.actor.reaches(project) else None

    def is_full(self, most: int | None, has: int, more: int = 1) -> bool:
        return most is not None and has + more > most

    def look_again(self) -> None:
        """Something has changed that running copies may stop for."""


def has_passed(at: int | None, now: int) -> bool:
    return at is not None and at <= now


def forget_whose(event: Event) -> None:
    event.resource = (*event.resource[:2], None)
    event.changes = {}
