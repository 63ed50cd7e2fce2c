"""Reads the members of a Discord server, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from moonlatch.licensing.discord import is_id
from moonlatch.operations.context import World
from moonlatch.operations.discord import discord_of
from moonlatch.web.discord_api import DiscordAway

MEMBERS_AT_ONCE = 1_000
"""Discord's own most: https://docs.discord.com/developers/resources/guild#list-guild-members"""

PATIENCE_SECONDS = 60.0


class TooManyMembersError(Exception):
    """The server has more members than are looked at."""


class GuildMember(msgspec.Struct, frozen=True):
    """Somebody on a server, with the ids of their roles."""

    id: str
    roles: frozenset[str]


class _User(msgspec.Struct):
    id: str
    bot: bool = False


class _Member(msgspec.Struct):
    user: _User
    roles: list[str]


async def people_of(world: World, token: str, guild_id: str, *, most: int) -> AsyncIterator[GuildMember]:
    """The members of a server that are no bots. Needs the Server Members Intent.

    Raises DiscordError, and TooManyMembersError when more than `most` are seen.
    """
    after, seen = "0", 0
    while True:
        answer = await discord_of(world).ask(
            "GET",
            f"/guilds/{guild_id}/members?limit={MEMBERS_AT_ONCE}&after={after}",
            route=f"members {guild_id}",
            token=token,
            patience_seconds=PATIENCE_SECONDS,
        )
        page = _page(answer)
        for each in page:
            if not each.user.bot:
                yield GuildMember(each.user.id, frozenset(each.roles))
        if len(page) < MEMBERS_AT_ONCE:
            return
        seen += len(page)
        last = max((each.user.id for each in page), key=int)
        if seen >= most:
            raise TooManyMembersError
        if int(last) <= int(after):
            raise DiscordAway("Discord tells of the same members again")
        after = last


def _page(answer: Any) -> list[_Member]:
    """Raises DiscordAway for what is no list of members."""
    try:
        page = msgspec.convert(answer, list[_Member])
    except msgspec.ValidationError:
        raise DiscordAway("Discord's answer is not a list of members") from None
    if not all(is_id(each.user.id) for each in page):
        raise DiscordAway("Discord's answer is not a list of members")
    return page
