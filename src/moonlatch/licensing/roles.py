"""What somebody may do to an installation: permissions, and the roles that are sets of them. Pure: says what, never whose."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Permission(StrEnum):
    """One thing that may be allowed, as `noun:verb`. Every route and every operation names the one it needs."""

    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    SCRIPTS_READ = "scripts:read"
    SCRIPTS_WRITE = "scripts:write"
    SCRIPTS_PUBLISH = "scripts:publish"
    KEYS_READ = "keys:read"
    KEYS_REVEAL = "keys:reveal"
    KEYS_WRITE = "keys:write"
    SESSIONS_READ = "sessions:read"
    SESSIONS_MESSAGE = "sessions:message"
    SESSIONS_STOP = "sessions:stop"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    CHECKPOINTS_READ = "checkpoints:read"
    CHECKPOINTS_WRITE = "checkpoints:write"
    DISCORD_READ = "discord:read"
    DISCORD_WRITE = "discord:write"
    EVENTS_READ = "events:read"


class Role(StrEnum):
    """What a member of an account is."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    SUPPORT = "support"
    VIEWER = "viewer"


ALL = frozenset(Permission)

_VIEWER = frozenset(
    {
        Permission.ACCOUNT_READ,
        Permission.PROJECTS_READ,
        Permission.SCRIPTS_READ,
        Permission.KEYS_READ,
        Permission.SESSIONS_READ,
        Permission.EVENTS_READ,
    }
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: ALL,
    Role.ADMIN: ALL - {Permission.ACCOUNT_WRITE},
    Role.DEVELOPER: _VIEWER
    | {
        Permission.SCRIPTS_WRITE,
        Permission.SCRIPTS_PUBLISH,
        Permission.SESSIONS_MESSAGE,
        Permission.SESSIONS_STOP,
        Permission.WEBHOOKS_READ,
        Permission.CHECKPOINTS_READ,
        Permission.DISCORD_READ,
    },
    Role.SUPPORT: _VIEWER
    | {
        Permission.KEYS_REVEAL,
        Permission.KEYS_WRITE,
        Permission.CHECKPOINTS_READ,
        Permission.SESSIONS_MESSAGE,
        Permission.SESSIONS_STOP,
    },
    Role.VIEWER: _VIEWER,
}
"""The table of roles; `docs/reference/roles.md` shows it, held by a test."""


def exceeding(wanted: Collection[Permission], own: Collection[Permission]) -> list[Permission]:
    """What of `wanted` is more than somebody with `own` may hand on, in the order of `Permission`."""
    return [permission for permission in Permission if permission in wanted and permission not in own]


def covers_projects(own: Collection[str] | None, wanted: Collection[str] | None) -> bool:
    """True when `wanted` reaches no project that `own` does not; None reaches every project, also those to come."""
    return own is None or (wanted is not None and set(wanted) <= set(own))
