"""`POST /discord/interactions`: what Discord sends, and nobody else. Bare ASGI: the signature is over the bytes as they came.

https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from moonlatch import crypto
from moonlatch.clock import SECOND_MS
from moonlatch.discord.desk import Desk, Task
from moonlatch.discord.interactions import Interaction, InteractionType, application_of, interaction_of
from moonlatch.discord.messages import PONG, Reply, answer_of, later
from moonlatch.operations.context import World
from moonlatch.operations.discord import discord_of
from moonlatch.storage import discord_applications
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.interface import StorageError, Transaction
from moonlatch.web.address import header
from moonlatch.web.discord_api import DiscordError
from moonlatch.web.limits import NetworkLimit, RateLimits

PATH = "/discord/interactions"

MOST_BYTES = 256 * 1024
"""25 options of 6,000 characters."""

BODY_SECONDS = 5.0
OLDEST_MS = 5 * 60 * SECOND_MS
"""So far a signed time may be from ours, either way; within it none is answered twice."""

ANSWER_SECONDS = 2.0
"""Discord waits 3 s. What takes longer is answered as to come later, within 15 minutes."""

MOST_AT_ONCE = 256
"""Interactions of one process that are worked on."""

MOST_OF_ACCOUNT = 32
"""Of one account's application: who looks through the members of large servers leaves room for others."""

FAILURES_PER_SECOND, FAILURES_BURST = 5.0, 100
"""Requests of one address that Discord did not sign. Discord itself sends such on purpose, to see them refused."""

FOLLOW_UP_SECONDS = 300.0
_SIGNATURE_BYTES = 64

logger = logging.getLogger(__name__)


class DiscordFace:
    """The endpoint as an ASGI application. `aclose` lets what was answered as to come later still come."""

    def __init__(
        self, world: World, public_url: str, limits: RateLimits, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._world = world
        self._desk = Desk(world, public_url, limits)
        self._failures = NetworkLimit(limits, "discord failure", per_second=FAILURES_PER_SECOND, burst=FAILURES_BURST)
        self._answer_seconds = answer_seconds
        self._working: set[asyncio.Future[Any]] = set()
        self._of_account: Counter[str] = Counter()

    async def aclose(self, seconds: float = 5.0) -> None:
        """Wait a little for what is worked on, then end it."""
        if self._working:
            await asyncio.wait(self._working, timeout=seconds)
        for task in self._working:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the scope's client is where it really comes from."""
        if scope["method"] != "POST":
            await _say(send, 405, {"error": "only POST"}, (b"allow", b"POST"))
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            await _say(send, 408, {"error": f"the body did not arrive within {BODY_SECONDS:g} s"})
            return
        if body is None:
            await _say(send, 413, {"error": f"the body may have at most {MOST_BYTES} bytes"})
            return
        status, said = await self._answer(scope, body)
        await _say(send, status, said)

    async def _answer(self, scope: Scope, body: bytes) -> tuple[int, Any]:
        try:
            application = await self._sender(scope["headers"], body)
            if application is None:
                wait = (await self._failures.take(scope["client"][0])).retry_after_seconds
                return (
                    (429, {"error": f"try again in {wait} s"})
                    if wait
                    else (401, {"error": "invalid request signature"})
                )
            interaction = interaction_of(body)
            if interaction.type == InteractionType.PING:
                await self._note_heard(application)
                return 200, PONG
            if interaction.type not in list(InteractionType):
                return 400, {"error": "unknown type of interaction"}
            if interaction.type != InteractionType.AUTOCOMPLETE and not await self._is_new(application, interaction):
                return 401, {"error": "this interaction was answered already"}
            return 200, await self._taken(application, interaction)
        except ValueError as error:
            logger.warning("an interaction could not be read: %s", str(error)[:200])
            return 400, {"error": "not an interaction that is understood"}
        except StorageError as error:
            logger.warning("an interaction could not be answered: %s", type(error).__name__)
            return 503, {"error": "temporarily unavailable"}

    async def _sender(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Application | None:
        """The application for which Discord signed this body, just now; None where nobody did."""
        signature = _hex(header(headers, b"x-signature-ed25519"))
        timestamp = header(headers, b"x-signature-timestamp") or b""
        if signature is None or not timestamp.isdigit() or len(timestamp) > 12:
            return None
        if abs(self._world.clock() - int(timestamp) * SECOND_MS) > OLDEST_MS:
            return None
        # Only which key to compare with is taken from a body that nobody has vouched for yet.
        application_id = application_of(body)
        if application_id is None:
            return None
        application = await discord_applications.find_by_id(self._world.database, application_id)
        if application is None or not crypto.is_signed(application.public_key, signature, timestamp + body):
            return None
        return application

    async def _note_heard(self, application: Application) -> None:
        now = self._world.clock()
        await self._world.database.run(
            lambda tx: discord_applications.note_heard(tx, application, now=now), is_guarded=True
        )

    async def _is_new(self, application: Application, interaction: Interaction) -> bool:
        now = self._world.clock()

        async def take(tx: Transaction) -> bool:
            await discord_applications.note_heard(tx, application, now=now)
            return await discord_applications.answer_once(tx, interaction.id, now=now)

        return await self._world.database.run(take, is_guarded=True)

    async def _taken(self, application: Application, interaction: Interaction) -> Any:
        said = await self._desk.take(application, interaction)
        if not isinstance(said, Task):
            return answer_of(said)
        account_id = application.account_id
        if len(self._working) >= MOST_AT_ONCE or self._of_account[account_id] >= MOST_OF_ACCOUNT:
            return answer_of(Reply("Too much is going on. Try again in a minute."))
        work = asyncio.ensure_future(said.run())
        self._keep(work)
        self._of_account[account_id] += 1
        work.add_done_callback(lambda _: self._ended(account_id))
        done, _ = await asyncio.wait({work}, timeout=self._answer_seconds)
        if done and not work.result().files:
            return answer_of(work.result())
        # The answer to an interaction carries no files, and waits for nobody.
        self._keep(asyncio.ensure_future(self._follow_up(application, interaction, work)))
        return later(is_public=said.is_public)

    async def _follow_up(self, application: Application, interaction: Interaction, work: asyncio.Future[Reply]) -> None:
        """Put the answer in place of the one that said that it comes later."""
        reply = await work
        try:
            await discord_of(self._world).ask(
                "PATCH",
                f"/webhooks/{application.application_id}/{interaction.token}/messages/@original",
                route=f"interaction {interaction.id}",
                body=reply.body(),
                files=reply.files,
                patience_seconds=FOLLOW_UP_SECONDS,
            )
        except DiscordError as error:
            logger.warning("the answer to an interaction did not arrive: %s", error)
        except Exception:
            logger.exception("the answer to an interaction could not be given")

    def _ended(self, account_id: str) -> None:
        self._of_account[account_id] -= 1
        if not self._of_account[account_id]:
            del self._of_account[account_id]

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._working.add(task)
        task.add_done_callback(self._working.discard)


def _hex(value: bytes | None) -> bytes | None:
    """The signature of a header, as it is written; None for what cannot be one."""
    if value is None or len(value) != 2 * _SIGNATURE_BYTES:
        return None
    try:
        return bytes.fromhex(value.decode())
    except ValueError:
        return None


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None for a larger one than `MOST_BYTES`, and for a sender who hung up."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return body


async def _say(send: Send, status: int, said: Any, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode(said)
    told = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
