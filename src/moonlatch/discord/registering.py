"""Tells Discord of the bot's commands and where its interactions go: after an application was connected, and after an upgrade that brought other commands."""

from __future__ import annotations

import logging
from typing import Any

from moonlatch.crypto import UnreadableSecretError
from moonlatch.discord.catalogue import TOLD, VERSION
from moonlatch.jobs.periodic import TakesTurn, run_periodically
from moonlatch.operations import discord as operations
from moonlatch.operations.changing import Change, keyring_of, perform
from moonlatch.operations.context import World
from moonlatch.operations.discord_check import interactions_url
from moonlatch.storage import discord_applications
from moonlatch.storage.discord_applications import Application
from moonlatch.web.discord_api import DiscordError, DiscordRefused

EVERY_SECONDS = 2.0
UNREADABLE = "the bot's token was sealed under another master key: connect the application again"
_PATIENCE_SECONDS = 30.0
_UNAUTHORIZED = 401

logger = logging.getLogger(__name__)


async def watch_registrations(world: World, public_url: str, takes_turn: TakesTurn | None = None) -> None:
    """Tell Discord of what it does not know yet, every few seconds until cancelled."""
    await run_periodically(
        "registering Discord commands",
        lambda: register_all(world, public_url),
        every_seconds=EVERY_SECONDS,
        takes_turn=takes_turn,
    )


async def register_all(world: World, public_url: str) -> int:
    """Register for every application that was told of other commands, or none; gives for how many. Raises StorageError."""
    done = 0
    for application in await discord_applications.list_all(world.database):
        if application.commands != VERSION and application.problem is None:
            done += await _register(world, application, public_url)
    return done


async def _register(world: World, application: Application, public_url: str) -> bool:
    try:
        token = operations.token_of(keyring_of(world), application)
        problem = await _tell(world, application, token, public_url)
    except UnreadableSecretError:
        await _note_problem(world, application, UNREADABLE)
        return False
    except DiscordRefused as error:
        words = operations.TOKEN_REFUSED if error.status == _UNAUTHORIZED else f"Discord refuses the commands: {error}"
        await _note_problem(world, application, words)
        return False
    except DiscordError as error:
        logger.warning("Discord was not told of commands: %s", error)
        return False

    async def write(change: Change) -> None:
        await operations.note_registered(change, application, VERSION, problem)

    await perform(world, operations.job_actor(application.account_id), write)
    return True


async def _tell(world: World, application: Application, token: str, public_url: str) -> str | None:
    """Tell Discord; gives what it did not take, in words. Raises DiscordError."""
    application_id = application.application_id
    await _ask(world, "PUT", f"/applications/{application_id}/commands", token, TOLD)
    url = interactions_url(public_url)
    if not url.startswith("https://"):
        return None  # it could not be reached; the check says so
    found = operations.found_of(await _ask(world, "GET", "/applications/@me", token))
    if found.interactions_url == url or (found.interactions_url and not application.replaces_url):
        return None
    try:
        # Discord calls it at once, with good and bad signatures, before it answers.
        await _ask(world, "PATCH", "/applications/@me", token, {"interactions_endpoint_url": url})
    except DiscordRefused as error:
        return f"Discord could not reach {url}, or does not take its answers: {error}"
    return None


async def _ask(world: World, method: str, path: str, token: str, body: Any = None) -> Any:
    return await operations.discord_of(world).ask(
        method, path, route="application", token=token, body=body, patience_seconds=_PATIENCE_SECONDS
    )


async def _note_problem(world: World, application: Application, problem: str) -> None:
    logger.warning("the bot of application %s does not work: %s", application.application_id, problem)
    actor = operations.job_actor(application.account_id)
    await perform(world, actor, lambda change: operations.note_problem(change, application, problem))
