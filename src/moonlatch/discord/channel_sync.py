"""Puts keys on the channels of their owners' Discord roles: looks who has which role, and writes it where starts read it.

Discord tells nobody without a connection of its own that a role was given or taken, so the members of each server are read again every
minute. A start waits for none of it: while Discord is away, keys stay on the channels that they were on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from moonlatch.clock import HOUR_MS, MINUTE_MS
from moonlatch.crypto import UnreadableSecretError
from moonlatch.discord.guild_members import PATIENCE_SECONDS, TooManyMembersError, people_of
from moonlatch.operations import discord as operations
from moonlatch.operations.changing import Change, keyring_of, perform
from moonlatch.operations.context import World
from moonlatch.operations.discord_check import roles_of
from moonlatch.storage import discord_applications, discord_channels, discord_links
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_channels import Look
from moonlatch.storage.discord_links import Link
from moonlatch.storage.interface import StorageError
from moonlatch.web.discord_api import DiscordBusy, DiscordError, DiscordRefused

EVERY_SECONDS = 2.0
EVERY_MS = MINUTE_MS
"""How often the members of a server are read."""

MEMBERS_OF_A_MINUTE = 10_000
"""A server with more is read as much less often: ten calls a minute for each server at most."""

MOST_MEMBERS = 200_000
MOST_AT_ONCE = 8
"""Servers that a process reads at once."""

_CHANGES_AT_ONCE = 100
_PAUSE_MS = 2 * MINUTE_MS
LONGEST_PAUSE_MS = HOUR_MS
_MISSING_ACCESS = 50_001
_UNAUTHORIZED = 401
INTENT_MISSING = (
    "the bot may not read who has which role: switch Server Members Intent on, on the page Bot of the application, "
    "and see that the bot is on the server"
)

logger = logging.getLogger(__name__)


class ChannelSync:
    """The job of one process; any number of them may run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look every few seconds until cancelled; each server is read on its own."""
        try:
            while True:
                try:
                    await self._begin()
                except Exception as error:
                    logger.warning("channels of roles wait: %s", type(error).__name__)
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            for task in self._busy:
                task.cancel()

    async def _begin(self) -> None:
        while len(self._busy) < MOST_AT_ONCE:
            now = self._world.clock()
            if not await discord_channels.is_due(self._world.database, now=now):
                return
            look = await self._world.database.run(
                lambda tx, now=now: discord_channels.claim(tx, now=now),  # type: ignore[misc]
                is_guarded=True,
            )
            if look is None:
                return
            task = asyncio.create_task(self._serve(look), name="discord channels")
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def _serve(self, look: Look) -> None:
        try:
            await look_at(self._world, look)
        except StorageError as error:
            logger.warning("channels of roles wait for the database: %s", type(error).__name__)
        except Exception:
            logger.exception("channels of roles could not be read")


async def look_at(world: World, look: Look) -> None:
    """Read who has which role, write what changed, and when to look again. Raises StorageError."""
    link = await discord_links.find(world.database, look.project_id)
    application = await discord_applications.find(world.database, look.account_id)
    if link is None:
        return
    problem, wait_ms = link.members_problem, _PAUSE_MS
    if application is not None and application.problem != operations.TOKEN_REFUSED:
        problem, wait_ms = await _read(world, link, application)
    next_at = world.clock() + wait_ms
    await world.database.run(
        lambda tx: discord_channels.settle(tx, look, next_at=next_at, problem=problem), is_guarded=True
    )


async def _read(world: World, link: Link, application: Application) -> tuple[str | None, int]:
    """Read who has which role and write what changed; gives what keeps it from that, and milliseconds until the next time."""
    try:
        token = operations.token_of(keyring_of(world), application)
        found, seen = await _channels_of_members(world, token, link)
        await _write(world, link, found)
    except DiscordRefused as error:
        if error.status == _UNAUTHORIZED:
            await operations.note_token_refused(world, application)
            return link.members_problem, _PAUSE_MS
        is_known = error.code == _MISSING_ACCESS
        return INTENT_MISSING if is_known else f"Discord does not tell who has which role: {error}", _PAUSE_MS
    except TooManyMembersError:
        return (
            f"the server has more than {MOST_MEMBERS:,} members: put keys on channels by themselves",
            LONGEST_PAUSE_MS,
        )
    except DiscordBusy as busy:
        return link.members_problem, round(1000 * busy.retry_after_seconds)
    except (DiscordError, UnreadableSecretError) as error:
        logger.warning("channels of roles wait: %s", error)
        return link.members_problem, _PAUSE_MS
    return None, EVERY_MS * max(1, -(-seen // MEMBERS_OF_A_MINUTE))


async def _channels_of_members(world: World, token: str, link: Link) -> tuple[dict[str, list[str]], int]:
    """The channels of each member with a role that has one, that of the highest role first; and how many members there are.

    Raises DiscordError, TooManyMembersError.
    """
    answer = await operations.discord_of(world).ask(
        "GET",
        f"/guilds/{link.guild_id}/roles",
        route=f"guild {link.guild_id}",
        token=token,
        patience_seconds=PATIENCE_SECONDS,
    )
    order = [role.id for role in roles_of(answer) if role.id in link.channels]
    found: dict[str, list[str]] = {}
    seen = 0
    async for person in people_of(world, token, link.guild_id, most=MOST_MEMBERS):
        seen += 1
        # Two roles of one channel say no more than one.
        if channels := list(dict.fromkeys(link.channels[role] for role in order if role in person.roles)):
            found[person.id] = channels
    return found, seen


async def _write(world: World, link: Link, found: Mapping[str, list[str]]) -> None:
    """Write the channels of all whose are others than before; of a link that was changed meanwhile none."""
    before = await discord_channels.of_project(world.database, link.project_id)
    changed = [each for each in sorted(before.keys() | found.keys()) if before.get(each) != found.get(each)]
    actor = operations.job_actor(link.account_id)
    for begin in range(0, len(changed), _CHANGES_AT_ONCE):
        some = {each: found.get(each, []) for each in changed[begin : begin + _CHANGES_AT_ONCE]}

        async def put(change: Change, some: dict[str, list[str]] = some) -> bool:
            return await operations.put_on_channels(change, link, some)

        if not await perform(world, actor, put):
            return
