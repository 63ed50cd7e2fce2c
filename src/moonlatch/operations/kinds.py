"""Every kind of event there is. `docs/reference/events.md` lists them, held by a test."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """What happened, as `noun.verb`; `DESCRIPTIONS` says what each means."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_EDITED = "account.edited"
    ACCOUNT_REMOVED = "account.removed"
    LURAPH_KEY_SET = "account.luraph_key_set"
    LURAPH_KEY_CLEARED = "account.luraph_key_cleared"
    TOKEN_CREATED = "token.created"  # noqa: S105 -- a name
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 -- a name
    PROJECT_CREATED = "project.created"
    PROJECT_EDITED = "project.edited"
    PROJECT_REMOVED = "project.removed"
    SCRIPT_CREATED = "script.created"
    SCRIPT_EDITED = "script.edited"
    SCRIPT_ENABLED = "script.enabled"
    SCRIPT_DISABLED = "script.disabled"
    SCRIPT_PUBLISHED = "script.published"
    SCRIPT_REMOVED = "script.removed"
    USER_CREATED = "user.created"
    USER_EDITED = "user.edited"
    USER_BLACKLISTED = "user.blacklisted"
    USER_UNBLACKLISTED = "user.unblacklisted"
    USER_FINGERPRINT_RESET = "user.fingerprint_reset"
    USER_REMOVED = "user.removed"
    USER_RESTORED = "user.restored"
    SESSION_DISCONNECTED = "session.disconnected"
    PERMISSION_REFUSED = "permission.refused"


DESCRIPTIONS: dict[EventKind, str] = {
    EventKind.ACCOUNT_CREATED: "An account was created.",
    EventKind.ACCOUNT_EDITED: "An account's name, tier or expiry was changed.",
    EventKind.ACCOUNT_REMOVED: "An account was removed, with everything in it.",
    EventKind.LURAPH_KEY_SET: "The account's API key with Luraph was set; the key itself is never shown.",
    EventKind.LURAPH_KEY_CLEARED: "The account's API key with Luraph was forgotten.",
    EventKind.TOKEN_CREATED: "An API token was created.",
    EventKind.TOKEN_REVOKED: "An API token was revoked.",
    EventKind.PROJECT_CREATED: "A project was created.",
    EventKind.PROJECT_EDITED: "A project's settings were changed.",
    EventKind.PROJECT_REMOVED: "A project was removed, with its scripts and users.",
    EventKind.SCRIPT_CREATED: "A script was created.",
    EventKind.SCRIPT_EDITED: "A script's settings were changed.",
    EventKind.SCRIPT_ENABLED: "A script was switched on.",
    EventKind.SCRIPT_DISABLED: "A script was switched off, and every copy stopped.",
    EventKind.SCRIPT_PUBLISHED: "A new build of a script was published.",
    EventKind.SCRIPT_REMOVED: "A script was removed, with its builds.",
    EventKind.USER_CREATED: "A user was created.",
    EventKind.USER_EDITED: "A user's settings were changed.",
    EventKind.USER_BLACKLISTED: "A user was blacklisted, and every copy stopped.",
    EventKind.USER_UNBLACKLISTED: "A user's blacklisting was taken back.",
    EventKind.USER_FINGERPRINT_RESET: "A user was unbound from their device.",
    EventKind.USER_REMOVED: "A user was removed, by somebody or because their key had expired.",
    EventKind.USER_RESTORED: "A removed user was brought back.",
    EventKind.SESSION_DISCONNECTED: "A session was closed, and its copy stopped for good.",
    EventKind.PERMISSION_REFUSED: "A call was refused because its token or member lacks the permission.",
}
