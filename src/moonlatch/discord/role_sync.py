"""Gives customers the role of those whose key is good, and takes it when it no longer is. A crash at any moment does something twice and forgets nothing.

Who is to be looked at, triggers write down with each change of a key; what has an end is looked at again then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.crypto import UnreadableSecretError
from moonlatch.licensing.key import has_passed, is_blacklisted
from moonlatch.operations import discord as operations
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import World
from moonlatch.storage import discord_applications, discord_links, discord_roles
from moonlatch.storage.discord_roles import Due, Standing
from moonlatch.storage.interface import StorageError, Transaction
from moonlatch.web.discord_api import DiscordBusy, DiscordError, DiscordRefused

EVERY_SECONDS = 2.0
AT_ONCE = 5
"""Members of one application that are claimed together: within their lease, at one call a second, there is time for all."""

LEFT_MS = 12_000
"""As much of the lease must be left to begin with somebody: a call may take 10 s, and wait for the one before."""

MOST_APPLICATIONS = 16
"""That are served at once."""

PATIENCE_SECONDS = 2.0
SERVER_PAUSE_MS = 10 * MINUTE_MS
"""A server that does not let the bot give roles is left alone for so long."""

AWAY_PAUSE_MS = 30_000
FIRST_ABSENT_MS, LONGEST_ABSENT_MS = HOUR_MS, 30 * DAY_MS
"""Who is not on the server is looked for again after an hour, then four times as long each time."""

# https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
_UNKNOWN_GUILD, _UNKNOWN_MEMBER, _UNKNOWN_ROLE, _UNKNOWN_USER = 10_004, 10_007, 10_011, 10_013
_MISSING_ACCESS, _MISSING_PERMISSIONS = 50_001, 50_013
_ABSENT = frozenset({_UNKNOWN_MEMBER, _UNKNOWN_USER})
_PROBLEMS = {
    _UNKNOWN_GUILD: "the bot is not on the server",
    _MISSING_ACCESS: "the bot is not on the server, or sees nothing there",
    _UNKNOWN_ROLE: "the role is not there any more: choose another",
    _MISSING_PERMISSIONS: "the bot may not give the role: it needs Manage Roles, and its own role must stand above it",
}
_UNAUTHORIZED = 401

logger = logging.getLogger(__name__)


class RoleSync:
    """The job of one process; any number of them may run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look every few seconds until cancelled; each application is served on its own."""
        try:
            while True:
                try:
                    await self._begin()
                except Exception as error:
                    logger.warning("roles wait: %s", type(error).__name__)
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            for task in self._busy.values():
                task.cancel()

    async def _begin(self) -> None:
        self._busy = {account: task for account, task in self._busy.items() if not task.done()}
        for account in await discord_roles.waiting_accounts(self._world.database, now=self._world.clock()):
            if account not in self._busy and len(self._busy) < MOST_APPLICATIONS:
                self._busy[account] = asyncio.create_task(self._serve(account), name="discord roles")

    async def _serve(self, account_id: str) -> None:
        try:
            while await sync_some(self._world, account_id):
                pass
        except StorageError as error:
            logger.warning("roles wait for the database: %s", type(error).__name__)
        except Exception:
            logger.exception("roles could not be given")


async def sync_some(world: World, account_id: str) -> bool:
    """Look at some of those who are due for an account; gives whether there may be more to do at once. Raises StorageError."""
    application = await discord_applications.find(world.database, account_id)
    if application is None:
        await world.database.run(lambda tx: discord_roles.forget_account(tx, account_id), is_guarded=True)
        return False
    if application.problem is not None and application.problem == operations.TOKEN_REFUSED:
        return False
    now = world.clock()
    claimed = await world.database.run(
        lambda tx: discord_roles.claim(tx, account_id, now=now, most=AT_ONCE), is_guarded=True
    )
    try:
        token = operations.token_of(keyring_of(world), application)
    except UnreadableSecretError:
        return False
    for position, due in enumerate(claimed):
        if world.clock() > due.due_at - LEFT_MS:
            await _put_off(world, claimed[position:], 0)
            break
        try:
            await _look_at(world, due, token)
        except DiscordRefused as error:
            rest = claimed[position:]
            if error.status == _UNAUTHORIZED:
                await _put_off(world, rest, 0)
                await operations.note_token_refused(world, application)
                return False
            await _refused(world, due, error)
            if error.code not in _ABSENT:
                # The same would be said of everybody on that server.
                same = [each for each in rest if each.guild_id == due.guild_id]
                await _put_off(world, same, SERVER_PAUSE_MS)
                await _put_off(world, [each for each in rest if each.guild_id != due.guild_id], 0)
                return len(same) < len(rest)
        except DiscordBusy as busy:
            await _put_off(world, claimed[position:], round(1000 * busy.retry_after_seconds))
            return False
        except DiscordError as error:
            logger.warning("roles wait: %s", error)
            await _put_off(world, claimed[position:], AWAY_PAUSE_MS)
            return False
    return len(claimed) == AT_ONCE


async def _look_at(world: World, due: Due, token: str) -> None:
    """Give and take what is to be, and write down when to look again. Raises DiscordError."""
    now = world.clock()
    standings = await discord_roles.standings(world.database, due)
    granted = await discord_roles.granted(world.database, due)
    wanted = {each.role_id for each in standings if is_good(each, now)}
    for role in sorted(granted.keys() - wanted):
        try:
            await _call(world, "DELETE", due, role, token)
        except DiscordRefused as error:
            if error.code not in (*_ABSENT, _UNKNOWN_ROLE):
                raise
        await world.database.run(lambda tx, role=role: discord_roles.note_taken(tx, due, role), is_guarded=True)  # type: ignore[misc]
    for role in sorted(role for role in wanted if not granted.get(role)):
        await _call(world, "PUT", due, role, token)
        await world.database.run(
            lambda tx, role=role: discord_roles.note_given(tx, due, role, now=now),  # type: ignore[misc]
            is_guarded=True,
        )

    async def settle(tx: Transaction) -> None:
        await discord_roles.settle(tx, due, next_at=next_change(standings, now))
        await discord_links.note_problem(tx, due.account_id, due.guild_id, None)

    await world.database.run(settle, is_guarded=True)


async def _call(world: World, method: str, due: Due, role: str, token: str) -> None:
    await operations.discord_of(world).ask(
        method,
        f"/guilds/{due.guild_id}/members/{due.discord_id}/roles/{role}",
        route=f"roles {due.guild_id}",
        token=token,
        patience_seconds=PATIENCE_SECONDS,
    )


def is_good(standing: Standing, now: int) -> bool:
    """Return whether a key that stands so gives its owner the role at `now` (Unix milliseconds)."""
    return not has_passed(standing.key_expires, now) and not is_blacklisted(
        standing.blacklisted, standing.blacklist_expires, now
    )


def next_change(standings: Sequence[Standing], now: int) -> int | None:
    """When time alone changes what somebody may have, in Unix milliseconds; None: never."""
    ends = [
        *(each.key_expires for each in standings),
        *(each.blacklist_expires for each in standings if each.blacklisted),
    ]
    return min((end for end in ends if end is not None and end > now), default=None)


async def _refused(world: World, due: Due, error: DiscordRefused) -> None:
    """Write down what Discord does not do, and when it is asked again."""
    now = world.clock()
    if error.code in _ABSENT:
        wait = min(LONGEST_ABSENT_MS, FIRST_ABSENT_MS * 4 ** min(due.attempts, 10))
        next_at = next_change(await discord_roles.standings(world.database, due), now)
        again = now + wait if next_at is None else min(now + wait, next_at)
        await world.database.run(
            lambda tx: discord_roles.settle(tx, due, next_at=again, attempts=due.attempts + 1), is_guarded=True
        )
        return
    problem = _PROBLEMS.get(error.code) or f"Discord refuses to give the role: {error}"
    logger.warning("roles of the server %s wait: %s", due.guild_id, problem)
    await world.database.run(
        lambda tx: discord_links.note_problem(tx, due.account_id, due.guild_id, problem), is_guarded=True
    )


async def _put_off(world: World, dues: Sequence[Due], wait_ms: int) -> None:
    """Let go of what was claimed, to be looked at again after a wait."""
    next_at = world.clock() + wait_ms

    async def write(tx: Transaction) -> None:
        for due in dues:
            await discord_roles.settle(tx, due, next_at=next_at, attempts=due.attempts)

    if dues:
        await world.database.run(write, is_guarded=True)
