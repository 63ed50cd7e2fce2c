"""What is said to somebody on Discord when an operation refuses, in words that tell what to do."""

from __future__ import annotations

import logging
import traceback

from moonlatch.discord.messages import Reply
from moonlatch.discord.visit import moment
from moonlatch.licensing.discord import plain
from moonlatch.live.interface import LiveUnavailableError
from moonlatch.operations.refusals import Invalid, NotAllowed, NotFound, Reason, Refused, TryLater
from moonlatch.storage.interface import StorageError
from moonlatch.web.discord_api import DiscordBusy, DiscordError, DiscordRefused

logger = logging.getLogger(__name__)

LATER = "That does not work just now. Try again in a minute."

_WORDS = {
    Reason.ACCOUNT_EXPIRED: "The seller's account has expired, so nothing can be changed. Tell them.",
    Reason.NO_KEY: "There is no key for this Discord account here. Redeem one first.",
    Reason.NO_SUCH_KEY: "There is no such key. Copy all of it, and look whether it is for this project.",
    Reason.KEY_REDEEMED: "Somebody redeemed this key already. If it was not you, ask who sold it to you.",
    Reason.KEY_EXPIRED: "This key has expired.",
    Reason.HAS_KEY: "You have a key here that is still good. Redeem the new one when that has expired, or ask the staff.",
    Reason.ALREADY_BLACKLISTED: "This key is blacklisted.",
    Reason.NOT_BLACKLISTED: "They are not blacklisted.",
    Reason.DISCORD_TAKEN: "They have a key already. Use `/extend`, or `/unwhitelist` first.",
    Reason.RESETS_DISABLED: "Devices cannot be reset here. Ask the staff.",
    Reason.ON_COOLDOWN: "The device was reset not long ago.",
    Reason.NO_FINGERPRINT: "The key has no device: the next that starts becomes it.",
    Reason.LEASED: "The device may still start without the server.",
    Reason.MAX_USERS: "The seller's plan has no room for more keys.",
    Reason.NEVER_EXPIRES: "The key never expires.",
    Reason.EXPIRES_TOO_LATE: "The key would expire too late.",
    Reason.ONLY_DAYS: "The key counts in whole days until its first start: give whole days.",
    Reason.KEY_TAKEN: "There is such a key already.",
}
_UNTIL = {Reason.ON_COOLDOWN: "retry_at", Reason.LEASED: "retry_at", Reason.HAS_KEY: "expires"}


def said(error: Exception) -> Reply:
    """The reply to what went wrong; what is nobody's refusal is logged, without what was given."""
    return Reply(_words(error))


def _words(error: Exception) -> str:
    match error:
        case Refused():
            words = _WORDS.get(error.reason) or f"That is not possible: {plain(error.reason)}."
            at = error.extras.get(_UNTIL.get(error.reason, ""))
            return words if at is None else f"{words} Until {moment(at)}."
        case NotAllowed():
            if error.permission is not None:
                return f"You need a role here with `{error.permission}`. Ask whoever runs this server."
            return f"That is not allowed: {plain(str(error))}."
        case NotFound():
            return f"There is no such {plain(error.noun)} here."
        case Invalid():
            return f"`{error.field}` {plain(error.message)}."
        case TryLater() | StorageError() | LiveUnavailableError() | DiscordBusy():
            return LATER
        case DiscordRefused():
            return f"Discord refuses it to the bot: {plain(str(error))}. `moonlatch discord check` tells what it lacks."
        case DiscordError():
            return LATER
        case _:
            # Its text may hold what somebody gave, as a key.
            place = "".join(traceback.format_tb(error.__traceback__))
            logger.error("an interaction failed with %s\n%s", type(error).__name__, place)
            return "Something went wrong on the server. Its log has more."
