"""What Discord's ids and texts look like: one spelling for each user, and words that mention and format nothing. Pure."""

from __future__ import annotations

import re

MAX_DIGITS = 20
_MAX_ID = 2**64 - 1
_ID = re.compile(rf"[1-9][0-9]{{0,{MAX_DIGITS - 1}}}")
_SPELLED = re.compile(rf"(?:([1-9][0-9]{{0,{MAX_DIGITS - 1}}})|<@!?([1-9][0-9]{{0,{MAX_DIGITS - 1}}})>)")
_FORMATTING = re.compile(r"([\\*_~`|>\[\]()<#:-])")
_ELLIPSIS = "…"


def is_id(text: str) -> bool:
    """Return whether a text is an id of something at Discord: a snowflake, in digits."""
    return _ID.fullmatch(text) is not None and int(text) <= _MAX_ID


def plain(text: str) -> str:
    """Text without what Discord would take for formatting, links or mentions."""
    return _FORMATTING.sub(r"\\\1", text).replace("@", "@\u200b")


def cut(text: str, most: int) -> str:
    """At most so many characters of a text; where that is not all of it, its end shows it."""
    return text if len(text) <= most else text[: max(0, most - 1)] + _ELLIPSIS


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
