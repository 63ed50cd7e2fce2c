"""Calls to Discord's REST API: within its rate limits as its headers tell them, and stopping short of those that get an address banned.

Rate limits: https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from moonlatch import __version__, json_bounds
from moonlatch.clock import monotonic_seconds
from moonlatch.crypto import content_hash, new_id
from moonlatch.web.destination import destination_of
from moonlatch.web.exchange import Answer
from moonlatch.web.outgoing import Bounds, CallError, Outgoing

ANSWER_BYTES = 4 * 1024 * 1024
"""A thousand members are half a megabyte."""

DEFAULT_PAUSE_SECONDS = 5.0
"""After a 429 that does not say how long."""

LONGEST_PAUSE_SECONDS = 3600.0
INVALID_SECONDS = 600.0
MOST_INVALID = 5_000
"""Answers 401, 403 and 429 in `INVALID_SECONDS`, of which Discord bans an address at 10,000."""

_MOST_PAUSES = 10_000
_REASON_CHARACTERS = 400
_INVALID = frozenset({401, 403, 429})


class DiscordError(Exception):
    """Discord did not do what was asked. The message is for people and holds no token."""


class DiscordAway(DiscordError):
    """No usable answer came, or Discord says that it cannot just now."""


class DiscordBusy(DiscordError):
    """A rate limit: the same may be asked in `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"Discord asks to wait {math.ceil(retry_after_seconds)} s")
        self.retry_after_seconds = retry_after_seconds


class DiscordRefused(DiscordError):
    """An answer 4xx. `code` is Discord's own (0: none), as https://docs.discord.com/developers/topics/opcodes-and-status-codes lists them."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message."""

    name: str
    content: bytes
    kind: str = "text/plain; charset=utf-8"


class _Problem(msgspec.Struct):
    """The body of an answer that is none of a success."""

    message: str = ""
    code: int = 0
    retry_after: float | None = None
    is_global: bool = msgspec.field(default=False, name="global")


class DiscordApi:
    """Discord as all of this process calls it. Belongs to one event loop.

    `agent` is the `User-Agent` as Discord wants it: `DiscordBot (URL, VERSION)`. Each bot's calls to one route wait for one another's limits; `patience_seconds` says how long a call may wait for them.
    """

    def __init__(
        self,
        client: Outgoing,
        base_url: str,
        *,
        agent: str = f"DiscordBot (http://127.0.0.1, {__version__})",
        timeout_seconds: float = 10.0,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._client = client
        self._base_url = base_url
        self._agent = agent
        self._bounds = Bounds(timeout_seconds, ANSWER_BYTES)
        self._now = monotonic
        self._paused: OrderedDict[str, float] = OrderedDict()
        self._invalid: deque[float] = deque()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        route: str,
        token: str | None = None,
        body: Any = None,
        files: Sequence[File] = (),
        patience_seconds: float = 0.0,
    ) -> Any:
        """Make a call and give its JSON, None where there is none. `route` names its limit, with the server or channel that it is counted for.

        Raises DiscordError.
        """
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        bot = ""
        if token is not None:
            headers["Authorization"] = f"Bot {token}"
            bot = content_hash(token.encode())[:16]
        content = None if method == "GET" else b""
        if files:
            headers["Content-Type"], content = multipart(body, files)
        elif body is not None:
            headers["Content-Type"], content = "application/json", msgspec.json.encode(body)
        destination = destination_of(self._base_url + path)
        deadline = self._now() + patience_seconds
        while True:
            wait = self._wait(bot, route)
            if wait <= 0:
                try:
                    answer = await self._client.call(
                        method, destination, headers=headers, bounds=self._bounds, content=content
                    )
                    return self._judge(answer, bot, route)
                except CallError as error:
                    raise DiscordAway(f"Discord cannot be asked: {error}") from None
                except DiscordBusy as busy:
                    wait = busy.retry_after_seconds
            if self._now() + wait > deadline:
                raise DiscordBusy(wait)
            await asyncio.sleep(wait)

    def _judge(self, answer: Answer, bot: str, route: str) -> Any:
        headers = answer.headers
        if answer.status in _INVALID and headers.get("x-ratelimit-scope") != "shared":
            self._invalid.append(self._now())
        if headers.get("x-ratelimit-remaining") == "0":
            self._pause(f"{bot} {route}", _seconds(headers.get("x-ratelimit-reset-after")) or 0.0)
        if answer.is_success:
            return _json(answer) if answer.body else None
        problem = _problem(answer)
        if answer.status == 429:
            wait = problem.retry_after
            if wait is None:
                wait = _seconds(headers.get("retry-after"))
            wait = min(DEFAULT_PAUSE_SECONDS if wait is None else max(wait, 0.0), LONGEST_PAUSE_SECONDS)
            is_global = problem.is_global or headers.get("x-ratelimit-global", "").lower() == "true"
            self._pause(bot if is_global else f"{bot} {route}", wait)
            raise DiscordBusy(wait)
        if 400 <= answer.status < 500:
            reason = problem.message[:_REASON_CHARACTERS] or f"it answered with status {answer.status}"
            raise DiscordRefused(answer.status, problem.code, reason)
        raise DiscordAway(f"Discord answered with status {answer.status}")

    def _wait(self, bot: str, route: str) -> float:
        """Seconds until a call may be made; 0: now."""
        now = self._now()
        while self._invalid and self._invalid[0] <= now - INVALID_SECONDS:
            self._invalid.popleft()
        until = max(self._paused.get(bot, 0.0), self._paused.get(f"{bot} {route}", 0.0))
        if len(self._invalid) >= MOST_INVALID:
            until = max(until, self._invalid[0] + INVALID_SECONDS)
        return max(0.0, until - now)

    def _pause(self, what: str, seconds: float) -> None:
        until = self._now() + min(seconds, LONGEST_PAUSE_SECONDS)
        self._paused[what] = max(until, self._paused.pop(what, 0.0))
        while len(self._paused) > _MOST_PAUSES:
            self._paused.popitem(last=False)


def multipart(body: Any, files: Sequence[File]) -> tuple[str, bytes]:
    """Content type and body (RFC 7578) of a message with files; names of files must be ours."""
    boundary = f"moonlatch{new_id()}"
    parts = [
        b'Content-Disposition: form-data; name="payload_json"\r\nContent-Type: application/json\r\n\r\n'
        + msgspec.json.encode(body)
    ]
    parts += [
        f'Content-Disposition: form-data; name="files[{number}]"; filename="{file.name}"\r\n'
        f"Content-Type: {file.kind}\r\n\r\n".encode()
        + file.content
        for number, file in enumerate(files)
    ]
    mark = f"--{boundary}".encode()
    content = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", content


def _json(answer: Answer) -> Any:
    if not answer.is_whole:
        raise DiscordAway("Discord's answer is longer than is taken")
    try:
        return json_bounds.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        raise DiscordAway("Discord's answer is not JSON") from None


def _problem(answer: Answer) -> _Problem:
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, RecursionError):
        return _Problem()


def _seconds(text: str | None) -> float | None:
    """A header's seconds; None where it is missing, or no number that makes sense."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
