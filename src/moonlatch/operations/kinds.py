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
    PROJECT_BARS_LIFTED = "project.bars_lifted"
    PROJECT_REMOVED = "project.removed"
    SCRIPT_CREATED = "script.created"
    SCRIPT_EDITED = "script.edited"
    SCRIPT_ENABLED = "script.enabled"
    SCRIPT_DISABLED = "script.disabled"
    SCRIPT_PUBLISHED = "script.published"
    SCRIPT_ROLLED_BACK = "script.rolled_back"
    SCRIPT_BUILD_YANKED = "script.build_yanked"
    SCRIPT_CHANNEL_SET = "script.channel_set"
    SCRIPT_CHANNEL_REMOVED = "script.channel_removed"
    SCRIPT_BUILD_SCHEDULED = "script.build_scheduled"
    SCRIPT_BUILD_UNSCHEDULED = "script.build_unscheduled"
    SCRIPT_ROLLOUT_STARTED = "script.rollout_started"
    SCRIPT_ROLLOUT_ADVANCED = "script.rollout_advanced"
    SCRIPT_ROLLOUT_PAUSED = "script.rollout_paused"
    SCRIPT_ROLLOUT_RESUMED = "script.rollout_resumed"
    SCRIPT_ROLLOUT_HALTED = "script.rollout_halted"
    SCRIPT_ROLLOUT_FINISHED = "script.rollout_finished"
    SCRIPT_ROLLOUT_SUPERSEDED = "script.rollout_superseded"
    SCRIPT_TRACED = "script.traced"
    SCRIPT_LOADER_ROTATED = "script.loader_rotated"
    SCRIPT_REMOVED = "script.removed"
    ERROR_NEW = "error.new"
    ERROR_REGRESSED = "error.regressed"
    ERROR_SPIKE = "error.spike"
    ERROR_RESOLVED = "error.resolved"
    ERROR_IGNORED = "error.ignored"
    ERROR_REOPENED = "error.reopened"
    VARIABLE_SET = "variable.set"
    VARIABLE_REMOVED = "variable.removed"
    REMOTE_SET = "remote.set"
    REMOTE_REMOVED = "remote.removed"
    USER_CREATED = "user.created"
    USER_EDITED = "user.edited"
    USER_BLACKLISTED = "user.blacklisted"
    USER_UNBLACKLISTED = "user.unblacklisted"
    USER_SHARING_SUSPECTED = "user.sharing_suspected"
    USER_HELD = "user.held"
    USER_RELEASED = "user.released"
    USER_FINGERPRINT_RESET = "user.fingerprint_reset"
    USER_DEVICE_NAMED = "user.device_named"
    USER_INSTANCES_REVOKED = "user.instances_revoked"
    USER_LICENSED = "user.licensed"
    USER_PINNED = "user.pinned"
    USER_REDEEMED = "user.redeemed"
    USER_REMOVED = "user.removed"
    USER_RESTORED = "user.restored"
    INSTANCE_STOPPED = "instance.stopped"
    SESSION_DISCONNECTED = "session.disconnected"
    MEMBER_INVITED = "member.invited"
    MEMBER_LINK_CREATED = "member.link_created"
    MEMBER_LINK_REVOKED = "member.link_revoked"
    MEMBER_ACCEPTED = "member.accepted"
    MEMBER_EDITED = "member.edited"
    MEMBER_REMOVED = "member.removed"
    MEMBER_SIGNED_IN = "member.signed_in"
    MEMBER_SIGN_IN_FAILED = "member.sign_in_failed"
    MEMBER_SIGNED_OUT = "member.signed_out"
    MEMBER_PASSWORD_CHANGED = "member.password_changed"  # noqa: S105 -- a name
    MEMBER_TOTP_ENABLED = "member.totp_enabled"
    MEMBER_TOTP_DISABLED = "member.totp_disabled"
    MEMBER_RECOVERY_CODES_MADE = "member.recovery_codes_made"
    MEMBER_PASSKEY_ADDED = "member.passkey_added"
    MEMBER_PASSKEY_REMOVED = "member.passkey_removed"
    MEMBER_SECOND_FACTOR_RESET = "member.second_factor_reset"
    ENDPOINT_CREATED = "endpoint.created"
    ENDPOINT_EDITED = "endpoint.edited"
    ENDPOINT_SECRET_ROTATED = "endpoint.secret_rotated"  # noqa: S105 -- a name
    ENDPOINT_TESTED = "endpoint.tested"
    ENDPOINT_REPLAYED = "endpoint.replayed"
    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_REMOVED = "endpoint.removed"
    AD_SYSTEM_CREATED = "ad_system.created"
    AD_SYSTEM_EDITED = "ad_system.edited"
    AD_SYSTEM_REMOVED = "ad_system.removed"
    AD_STEP_ADDED = "ad_step.added"
    AD_STEP_EDITED = "ad_step.edited"
    AD_STEP_REMOVED = "ad_step.removed"
    AD_STEP_DOWN = "ad_step.down"
    AD_STEP_HURRIED = "ad_step.hurried"
    DISCORD_CONNECTED = "discord.connected"
    DISCORD_REGISTERED = "discord.registered"
    DISCORD_FAILED = "discord.failed"
    DISCORD_DISCONNECTED = "discord.disconnected"
    DISCORD_LINKED = "discord.linked"
    DISCORD_EDITED = "discord.edited"
    DISCORD_UNLINKED = "discord.unlinked"
    DISCORD_CHANNELS_CHANGED = "discord.channels_changed"
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
    EventKind.PROJECT_BARS_LIFTED: "Devices or networks that were barred from a project were let in again.",
    EventKind.PROJECT_REMOVED: "A project was removed, with its scripts and users.",
    EventKind.SCRIPT_CREATED: "A script was created.",
    EventKind.SCRIPT_EDITED: "A script's settings were changed.",
    EventKind.SCRIPT_ENABLED: "A script was switched on.",
    EventKind.SCRIPT_DISABLED: "A script was switched off, and every copy stopped.",
    EventKind.SCRIPT_PUBLISHED: "A new build of a script was published.",
    EventKind.SCRIPT_ROLLED_BACK: "A script serves another build that it had already.",
    EventKind.SCRIPT_BUILD_YANKED: "A build was yanked: it is never served again.",
    EventKind.SCRIPT_CHANNEL_SET: "A channel of a script serves another build.",
    EventKind.SCRIPT_CHANNEL_REMOVED: "A channel of a script was removed.",
    EventKind.SCRIPT_BUILD_SCHEDULED: "A build is to be published at a later time.",
    EventKind.SCRIPT_BUILD_UNSCHEDULED: "A build that was to be published later is so no longer.",
    EventKind.SCRIPT_ROLLOUT_STARTED: "A build is given to a part of the keys.",
    EventKind.SCRIPT_ROLLOUT_ADVANCED: "A build is given to a larger part of the keys.",
    EventKind.SCRIPT_ROLLOUT_PAUSED: "A rollout stays at its step.",
    EventKind.SCRIPT_ROLLOUT_RESUMED: "A rollout that was paused or halted goes on.",
    EventKind.SCRIPT_ROLLOUT_HALTED: "A rollout was halted: nobody is given its build.",
    EventKind.SCRIPT_ROLLOUT_FINISHED: "A rollout is over: its build is the current one.",
    EventKind.SCRIPT_ROLLOUT_SUPERSEDED: "A rollout is over because something else took its place.",
    EventKind.SCRIPT_TRACED: "A leaked copy was traced: to a build, and to as many keys.",
    EventKind.SCRIPT_LOADER_ROTATED: "A script got a loader with a new secret.",
    EventKind.SCRIPT_REMOVED: "A script was removed, with its builds.",
    EventKind.ERROR_NEW: "A script had an error that it did not have before.",
    EventKind.ERROR_REGRESSED: "An error that was resolved came back in a newer build.",
    EventKind.ERROR_SPIKE: "Far more copies than before had an error within an hour; at most one event an error and day.",
    EventKind.ERROR_RESOLVED: "An error was taken for mended.",
    EventKind.ERROR_IGNORED: "An error is to be told of no more.",
    EventKind.ERROR_REOPENED: "An error was opened again.",
    EventKind.VARIABLE_SET: "A server variable was set; its value is never shown here.",
    EventKind.VARIABLE_REMOVED: "A server variable was removed.",
    EventKind.REMOTE_SET: "A server webhook or server function was set.",
    EventKind.REMOTE_REMOVED: "A server webhook or server function was removed.",
    EventKind.USER_CREATED: "A user was created.",
    EventKind.USER_EDITED: "A user's settings were changed.",
    EventKind.USER_BLACKLISTED: "A user was blacklisted, and every copy stopped.",
    EventKind.USER_UNBLACKLISTED: "A user's blacklisting was taken back.",
    EventKind.USER_SHARING_SUSPECTED: "A key was used as if several people shared it; at most one event a key, rule and day.",
    EventKind.USER_HELD: "A key was put on hold by a rule about shared keys: it starts no more.",
    EventKind.USER_RELEASED: "A key on hold was released.",
    EventKind.USER_FINGERPRINT_RESET: "A user was unbound from their device, or from one of several.",
    EventKind.USER_DEVICE_NAMED: "A device of a user got a name, another one, or none.",
    EventKind.USER_INSTANCES_REVOKED: "Every running copy of a user's key was stopped for good.",
    EventKind.USER_LICENSED: "An offline licence was made for a user's device.",
    EventKind.USER_PINNED: "A user was put on a channel of a script or pinned to a build, or is so no longer.",
    EventKind.USER_REDEEMED: "A customer redeemed a key: it is theirs, by their Discord account.",
    EventKind.USER_REMOVED: "A user was removed, by somebody or because their key had expired.",
    EventKind.USER_RESTORED: "A removed user was brought back.",
    EventKind.INSTANCE_STOPPED: "A running copy was stopped for good.",
    EventKind.SESSION_DISCONNECTED: "A session was closed, and its copy stopped for good.",
    EventKind.MEMBER_INVITED: "Somebody was invited to the account.",
    EventKind.MEMBER_LINK_CREATED: "A one-time link to choose a password was made for a member.",
    EventKind.MEMBER_LINK_REVOKED: "A member's one-time link was taken back before it was used.",
    EventKind.MEMBER_ACCEPTED: "A member took their invitation and chose a password.",
    EventKind.MEMBER_EDITED: "A member's name, role or projects were changed, or they were disabled or enabled.",
    EventKind.MEMBER_REMOVED: "A member was removed, and their sessions and tokens ended.",
    EventKind.MEMBER_SIGNED_IN: "A member signed in.",
    EventKind.MEMBER_SIGN_IN_FAILED: "Somebody failed to sign in as a member; at most one event a minute.",
    EventKind.MEMBER_SIGNED_OUT: "A member's sessions, or one of them, were ended.",
    EventKind.MEMBER_PASSWORD_CHANGED: "A member's password was changed, and their other sessions ended.",
    EventKind.MEMBER_TOTP_ENABLED: "A member switched one-time codes on.",
    EventKind.MEMBER_TOTP_DISABLED: "A member switched one-time codes off.",
    EventKind.MEMBER_RECOVERY_CODES_MADE: "A member made new recovery codes in place of those before.",
    EventKind.MEMBER_PASSKEY_ADDED: "A member added a passkey.",
    EventKind.MEMBER_PASSKEY_REMOVED: "A member removed a passkey.",
    EventKind.MEMBER_SECOND_FACTOR_RESET: "A member's one-time codes and passkeys were taken away, and their sessions ended.",
    EventKind.ENDPOINT_CREATED: "A webhook endpoint was created.",
    EventKind.ENDPOINT_EDITED: "A webhook endpoint's settings were changed.",
    EventKind.ENDPOINT_SECRET_ROTATED: "A webhook endpoint was given a new secret.",
    EventKind.ENDPOINT_TESTED: "A test was sent to a webhook endpoint.",
    EventKind.ENDPOINT_REPLAYED: "Deliveries to a webhook endpoint were sent again.",
    EventKind.ENDPOINT_DISABLED: "A webhook endpoint was switched off, because nothing arrived there any more.",
    EventKind.ENDPOINT_REMOVED: "A webhook endpoint was removed, with what waited for it.",
    EventKind.AD_SYSTEM_CREATED: "An ad system, at whose page visitors earn keys, was created.",
    EventKind.AD_SYSTEM_EDITED: "An ad system's settings were changed.",
    EventKind.AD_SYSTEM_REMOVED: "An ad system was removed, with its steps; keys that were earned there stay.",
    EventKind.AD_STEP_ADDED: "A step, or another way through one, was added to an ad system.",
    EventKind.AD_STEP_EDITED: "A step of an ad system was changed; secrets are never shown.",
    EventKind.AD_STEP_REMOVED: "A step of an ad system was removed.",
    EventKind.AD_STEP_DOWN: "A step's provider could not be asked: visitors are sent another way, or wait; at most one event an hour.",
    EventKind.AD_STEP_HURRIED: "A step takes visitors less than half of the time that it used to: there may be a way around it; at most one event a day.",
    EventKind.DISCORD_CONNECTED: "An application with Discord was connected to the account, or its bot's token changed.",
    EventKind.DISCORD_REGISTERED: "Discord was told of the bot's commands and where interactions go, or is to be told again.",
    EventKind.DISCORD_FAILED: "The bot stopped working with Discord; the event says why.",
    EventKind.DISCORD_DISCONNECTED: "The account's application with Discord was disconnected, with its projects' links.",
    EventKind.DISCORD_LINKED: "A project was linked to a Discord server.",
    EventKind.DISCORD_EDITED: "A project's link to a Discord server was changed: its roles, their channels, its panel or the server.",
    EventKind.DISCORD_UNLINKED: "A project's link to a Discord server was removed.",
    EventKind.DISCORD_CHANNELS_CHANGED: "A user is on other channels than before, by the roles that their Discord account has or has no longer.",
    EventKind.PERMISSION_REFUSED: "A call was refused because its token or member lacks the permission.",
}
