"""Discord user ids: one spelling for each, so that a customer is found under it. Asks nobody whether there is such a user."""

from __future__ import annotations

import re

MAX_DIGITS = 20
_MAX_ID = 2**64 - 1
_SPELLED = re.compile(rf"(?:([1-9][0-9]{{0,{MAX_DIGITS - 1}}})|<@!?([1-9][0-9]{{0,{MAX_DIGITS - 1}}})>)")


def discord_user_id(text: str) -> str:
    """The digits of a Discord user id, which may stand in a mention (`<@1123>`, `<@!1123>`) or between spaces.

    Raises ValueError for anything else; a role's mention (`<@&1123>`) is none. The id is an unsigned 64-bit number:
    https://docs.discord.com/developers/reference#snowflakes
    """
    match = _SPELLED.fullmatch(text.strip())
    digits = match and (match[1] or match[2])
    if not digits or int(digits) > _MAX_ID:
        raise ValueError(
            "must be a Discord user id: its digits, like 123456789012345678, or a mention of it like <@...>"
        )
    return digits
