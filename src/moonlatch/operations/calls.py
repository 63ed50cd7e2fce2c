"""What comes of a script's calls of remotes: a webhook is written into the outbox, a function is asked and its answer handed back.

Nothing here judges the copy that calls; who calls this has.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.clock import iso_time
from moonlatch.crypto import UnreadableSecretError
from moonlatch.json_bounds import decode_finite
from moonlatch.licensing.discord import plain
from moonlatch.licensing.discord_message import message_of
from moonlatch.licensing.remotes import MAX_ANSWER_BYTES, UnfitError, as_body, check_shape, rendered
from moonlatch.licensing.webhooks import EndpointKind
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import World
from moonlatch.operations.endpoints import secrets_of, signed_headers, url_of
from moonlatch.storage import deliveries
from moonlatch.storage.deliveries import Delivery
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.interface import Transaction
from moonlatch.storage.remotes import Remote
from moonlatch.web.destination import destination_of
from moonlatch.web.outgoing import Bounds, CallError, NoAnswerError, Outgoing, UnusableAnswerError

MESSAGE = "script.message"
"""Kind of the delivery that tells what a script said, and who said it."""

RENDERED = "script.rendered"
"""Kind of the delivery whose body is sent as it is: a template's, or a Discord message."""

CALLED = "script.called"
"""Type of what a server function is asked with."""

MAX_WAITING = 1_000
"""Deliveries of scripts that wait for one endpoint: a receiver that is away for a day must not fill the disk."""

AT_ONCE_OF_ENDPOINT, AT_ONCE_OF_ACCOUNT, AT_ONCE = 16, 64, 512
"""Calls of functions that one process makes at once."""

OF_MODEST_ACCOUNT = 8
"""Calls at once of an account that the last quarter of all places is for: those whose functions are slow leave room for others."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The running copy that calls, as it was judged. Times in Unix milliseconds."""

    instance: str
    script_id: str
    script_name: str
    user_id: str | None
    premium: bool
    key_expires: int | None
    build: int

    def facts(self) -> dict[str, Any]:
        """What templates may name, which no data of a script stands in for."""
        return {
            "la_instance": self.instance,
            "la_script_id": self.script_id,
            "la_script_name": self.script_name,
            "la_user_id": self.user_id,
            "la_is_premium": self.premium,
            "la_script_build": self.build,
        }

    def shown(self) -> dict[str, Any]:
        return {
            "instance": self.instance,
            "script": {"id": self.script_id, "name": self.script_name, "build": self.build},
            "user_id": self.user_id,
            "verdict": {"premium": self.premium, "key_expires": self.key_expires},
        }


class NotDone(Exception):
    """A call that came to nothing; `code` is one of `docs/reference/client-protocol.md`, the message is for the script."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def data_of(raw: bytes) -> Any:
    """What a script handed over. Raises NotDone."""
    try:
        value = decode_finite(raw)
        check_shape(value)
    except UnfitError as error:
        raise NotDone("INVALID_DATA", f"the data {error}") from None
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise NotDone("INVALID_DATA", "the data is not JSON") from None
    return value


async def post(world: World, remote: Remote, endpoint: Endpoint, caller: Caller, data: Any) -> None:
    """Have a webhook posted, at least once, after this. Raises NotDone, StorageError."""
    _require_enabled(endpoint)
    try:
        kind, body = _body(remote, endpoint, caller, data)
    except UnfitError as error:
        raise NotDone("INVALID_DATA", f"the data {error}") from None
    now = world.clock()
    delivery = Delivery(
        id=f"{crypto.new_ordered_id(now)}-{endpoint.id[:16]}",
        endpoint_id=endpoint.id,
        kind=kind,
        body=body,
        created_at=now,
        next_at=now,
    )

    async def write(tx: Transaction) -> bool:
        if await deliveries.count_waiting(tx, endpoint.id, most=MAX_WAITING) >= MAX_WAITING:
            return False
        await deliveries.insert(tx, delivery)
        return True

    if not await world.database.run(write, is_guarded=True):
        raise NotDone("BUSY", "too much waits to be sent there already")


def _body(remote: Remote, endpoint: Endpoint, caller: Caller, data: Any) -> tuple[str, str]:
    """Kind and body of the delivery. Raises UnfitError."""
    is_discord = endpoint.kind == EndpointKind.DISCORD
    if remote.template is None and not is_discord:
        return MESSAGE, as_body({"webhook": remote.name, **caller.shown(), "data": data})
    said = data
    if remote.template is not None:
        template = decode_finite(remote.template)
        said = rendered(template, data, caller.facts(), *((plain,) if is_discord else ()))
    return RENDERED, as_body(message_of(said) if is_discord else said)


class Functions:
    """Asks server functions, so many at once and no more: who is slow holds up nobody else. Belongs to one event loop."""

    def __init__(self, world: World, client: Outgoing, *, most: int = AT_ONCE) -> None:
        self._world = world
        self._client = client
        self._most = most
        self._running: Counter[str] = Counter()

    async def ask(self, remote: Remote, endpoint: Endpoint, caller: Caller, data: Any) -> bytes:
        """The answer as JSON text. Raises NotDone."""
        _require_enabled(endpoint)
        with self._place(endpoint):
            # A task of its own: who waits for it may have none, and the call has a deadline.
            return await asyncio.create_task(self._ask(remote, endpoint, caller, data), name="server function")

    @contextmanager
    def _place(self, endpoint: Endpoint) -> Iterator[None]:
        is_modest = self._running[endpoint.account_id] < OF_MODEST_ACCOUNT
        most = self._most if is_modest else self._most * 3 // 4
        taken = {endpoint.id: AT_ONCE_OF_ENDPOINT, endpoint.account_id: AT_ONCE_OF_ACCOUNT, "": most}
        if any(self._running[name] >= most for name, most in taken.items()):
            raise NotDone("BUSY", "too many are asking at the moment")
        self._running.update(taken.keys())
        try:
            yield
        finally:
            for name in taken:
                self._running[name] -= 1
                if not self._running[name]:
                    del self._running[name]

    async def _ask(self, remote: Remote, endpoint: Endpoint, caller: Caller, data: Any) -> bytes:
        now = self._world.clock()
        body = msgspec.json.encode(
            {
                "type": CALLED,
                "timestamp": iso_time(now),
                "data": {"function": remote.name, **caller.shown(), "data": data},
            }
        )
        keyring = keyring_of(self._world)
        try:
            url, secrets = url_of(keyring, endpoint), secrets_of(keyring, endpoint, now=now)
        except UnreadableSecretError:
            raise NotDone("FAILED", "its address was sealed under another master key") from None
        headers = signed_headers(crypto.new_ordered_id(now), body, secrets, now_seconds=now // 1000)
        try:
            answer = await self._client.call(
                "POST",
                destination_of(url),
                headers=headers,
                content=body,
                bounds=Bounds(remote.timeout_seconds, MAX_ANSWER_BYTES + 1),
            )
        except NoAnswerError:
            raise NotDone("NO_ANSWER", "the function did not answer in time") from None
        except UnusableAnswerError:
            raise NotDone("INVALID_ANSWER", "the function's answer cannot be used") from None
        except CallError:
            # Why, is for the seller: it may name what stands where.
            raise NotDone("FAILED", "the function cannot be reached") from None
        if not 200 <= answer.status < 300:
            raise NotDone("FAILED", f"the function answered with status {answer.status}")
        if not answer.is_whole and len(answer.body) <= MAX_ANSWER_BYTES:
            # Cut for what was around it: what came may read like an answer, and be none.
            raise NotDone("INVALID_ANSWER", "the function's answer cannot be used")
        return _answer_of(answer.body)


def _answer_of(body: bytes) -> bytes:
    """An answer as JSON text of our own. Raises NotDone."""
    if len(body) > MAX_ANSWER_BYTES:
        raise NotDone("INVALID_ANSWER", f"the function's answer has more than {MAX_ANSWER_BYTES} bytes")
    if not body.strip():
        return b"null"
    try:
        value = decode_finite(body)
        check_shape(value)
        return msgspec.json.encode(value)
    except UnfitError as error:
        raise NotDone("INVALID_ANSWER", f"the function's answer {error}") from None
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise NotDone("INVALID_ANSWER", "the function's answer is not JSON") from None


def _require_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise NotDone("SWITCHED_OFF", "where this leads is switched off")
