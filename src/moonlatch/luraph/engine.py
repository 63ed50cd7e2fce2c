"""The commercial Luraph service as an engine, called with its customer's own key. It does network I/O; nothing else in the package does.

The service's API: https://lura.ph/dashboard/documents/apidoc. A job is created once and never again, whatever happens.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from moonlatch.config.sections import LuraphSettings
from moonlatch.json_bounds import has_too_many_values
from moonlatch.luraph.calls import Calls, ServiceAnswer
from moonlatch.luraph.options import Nodes, job_options, wrong_settings
from moonlatch.luraph.order import Order, Received, Setting
from moonlatch.obfuscator.outcome import EngineError, Failure
from moonlatch.web.outgoing import Bounds, CallError, NotSentError, Outgoing, UnusableAnswerError
from moonlatch.web.reach import ANYWHERE
from moonlatch.web.resolver import Resolve

MAX_FILE_NAME = 255
STATUS_CALLS = 3
"""The service's own limit for one job. Each waits up to 60 s for the job's end."""

_TRIES = 3
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MEBIBYTE = 1024 * 1024
_MAX_ERRORS = _MAX_WARNINGS = 100
_REFUSED_FOR_NOW = frozenset({408, 425, 429})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """How long each call may take and each wait between two may be, in seconds, and how large an answer may be."""

    nodes_seconds: float = 15.0
    create_seconds: float = 30.0
    status_seconds: float = 65.0
    download_seconds: float = 30.0
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 10.0
    answer_bytes: int = _MEBIBYTE
    result_bytes: int = 64 * _MEBIBYTE


class _Created(msgspec.Struct, frozen=True, rename="camel"):
    job_id: str
    warnings: list[str] | None = None


class _Status(msgspec.Struct, frozen=True):
    error: str | None = None


class _Error(msgspec.Struct, frozen=True):
    message: str
    param: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    errors: list[_Error]


class _JobFailedError(Exception):
    def __init__(self, *errors: EngineError) -> None:
        super().__init__()
        self.errors = list(errors)


class LuraphEngine:
    """Protects where the settings say. `client` belongs to the caller, see `luraph_client`."""

    def __init__(self, client: Outgoing, settings: LuraphSettings, *, limits: ServiceLimits | None = None) -> None:
        self._calls = Calls(client, settings.base_url)
        self._job_seconds = settings.job_seconds
        self._limits = limits or ServiceLimits()

    async def protect(self, order: Order, *, deadline: float) -> Received | Failure:
        """Have one text protected, before the (event loop's) deadline and within the seconds a job may take.

        Every fault is a Failure: the service's own errors as it gave them, the others with `param` None and a
        message that names the service.
        """
        loop = asyncio.get_running_loop()
        end = min(deadline, loop.time() + self._job_seconds)
        seconds = max(0.0, end - loop.time())
        try:
            async with asyncio.timeout_at(end):
                return await self._done(order)
        except TimeoutError:
            return Failure(
                [EngineError(None, f"Luraph did not finish within the {seconds:.3g} s that are left for it")]
            )
        except _JobFailedError as failed:
            return Failure(failed.errors)

    async def _done(self, order: Order) -> Received:
        node, options = await self._choose(order)
        created = await self._create(order, node, options)
        if not _JOB_ID.fullmatch(created.job_id):
            raise _failed("gave a job an id that is none")
        await self._wait(order, created.job_id)
        return Received(await self._download(order, created.job_id), (created.warnings or [])[:_MAX_WARNINGS])

    async def _choose(self, order: Order) -> tuple[str, dict[str, Setting]]:
        """The recommended node, and the job's options as that node has them."""
        answer = await self._retried(
            "list its nodes",
            lambda: self._calls.get(
                "/obfuscate/nodes",
                api_key=order.api_key,
                bounds=Bounds(self._limits.nodes_seconds, self._limits.answer_bytes),
            ),
        )
        recommended = _decoded(answer, Nodes).recommended()
        if recommended is None:
            raise _failed("recommends no node to work on now; try again later")
        name, node = recommended
        wrong = wrong_settings(node, order.settings)
        if wrong:
            raise _JobFailedError(*wrong)
        return name, job_options(node, order.settings, order.target)

    async def _create(self, order: Order, node: str, options: dict[str, Setting]) -> _Created:
        """Sent again only while the service cannot have taken it: without a connection, or refused for now (429)."""
        content = msgspec.json.encode(
            {
                "node": node,
                "script": base64.b64encode(order.text).decode("ascii"),
                "fileName": order.file_name[:MAX_FILE_NAME],
                "options": options,
                "useTokens": False,
                # Options that the service adds later must not break updates; ours were checked against its list.
                "enforceSettings": False,
            }
        )
        answer = await self._retried(
            "take the job",
            lambda: self._calls.post(
                "/obfuscate/new",
                content,
                api_key=order.api_key,
                bounds=Bounds(self._limits.create_seconds, self._limits.answer_bytes),
            ),
            is_safe=lambda outcome: (
                isinstance(outcome, NotSentError)
                or (isinstance(outcome, ServiceAnswer) and outcome.status == HTTPStatus.TOO_MANY_REQUESTS)
            ),
        )
        return _decoded(answer, _Created)

    async def _wait(self, order: Order, job: str) -> None:
        """Until the job is done; an empty answer says that it succeeded."""
        answer = await self._retried(
            "finish the job",
            lambda: self._calls.get(
                f"/obfuscate/status/{job}",
                api_key=order.api_key,
                bounds=Bounds(self._limits.status_seconds, self._limits.answer_bytes),
            ),
            tries=STATUS_CALLS,
        )
        if answer.body.strip():
            problem = _decoded(answer, _Status).error
            if problem:
                raise _JobFailedError(EngineError(None, problem))

    async def _download(self, order: Order, job: str) -> bytes:
        answer = await self._retried(
            "hand over the result",
            lambda: self._calls.get(
                f"/obfuscate/download/{job}",
                api_key=order.api_key,
                bounds=Bounds(self._limits.download_seconds, self._limits.result_bytes),
            ),
        )
        if not answer.body.strip():
            raise _failed("handed over an empty result")
        return answer.body

    async def _retried(
        self,
        purpose: str,
        call: Callable[[], Awaitable[ServiceAnswer]],
        *,
        tries: int = _TRIES,
        is_safe: Callable[[ServiceAnswer | CallError], bool] = lambda _: True,
    ) -> ServiceAnswer:
        """The first success of at most so many calls; only what may pass by itself, and is safe, is tried again."""
        for attempt in range(1, tries + 1):
            outcome = await _outcome(call)
            if isinstance(outcome, ServiceAnswer) and outcome.is_success:
                return outcome
            if attempt == tries or not _may_pass(outcome) or not is_safe(outcome):
                raise _refusal(outcome, purpose)
            await asyncio.sleep(self._pause_seconds(outcome, attempt))
        raise AssertionError("unreachable")

    def _pause_seconds(self, outcome: ServiceAnswer | CallError, attempt: int) -> float:
        wished = outcome.retry_after_seconds if isinstance(outcome, ServiceAnswer) else None
        pause = self._limits.pause_seconds * 2 ** (attempt - 1) if wished is None else wished
        return min(pause, self._limits.longest_pause_seconds)


def luraph_client(trust: ssl.SSLContext | None = None, resolve: Resolve | None = None) -> Outgoing:
    """A client as the engine needs it, which trusts the usual authorities when it is not told other ones.

    It goes anywhere, because the operator chose the service's address. No connection is kept: a request on one that the
    service has just closed fails without our knowing whether it arrived.
    """
    return Outgoing(ANYWHERE, trust=trust, resolve=resolve)


async def _outcome(call: Callable[[], Awaitable[ServiceAnswer]]) -> ServiceAnswer | CallError:
    try:
        return await call()
    except CallError as error:
        return error


def _may_pass(outcome: ServiceAnswer | CallError) -> bool:
    """Return whether another try could end better: no answer, an overloaded or failing service."""
    if isinstance(outcome, CallError):
        return not isinstance(outcome, UnusableAnswerError)
    return outcome.status in _REFUSED_FOR_NOW or outcome.status >= 500


def _refusal(outcome: ServiceAnswer | CallError, purpose: str) -> _JobFailedError:
    """The service's own errors unchanged where it gives any."""
    if isinstance(outcome, CallError):
        return _failed(f"did not {purpose}: {outcome}")
    try:
        errors = _read(outcome.body, _Refusal).errors[:_MAX_ERRORS]
    except ValueError:
        errors = []
    if errors:
        return _JobFailedError(*(EngineError(error.param, error.message) for error in errors))
    if outcome.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _failed(f"refuses the API key (status {outcome.status})")
    return _failed(f"did not {purpose}: it answered with status {outcome.status}")


def _decoded(answer: ServiceAnswer, kind: type[T]) -> T:
    try:
        return _read(answer.body, kind)
    except ValueError:
        raise _failed("gave an answer that its API does not have") from None


def _read(body: bytes, kind: type[T]) -> T:
    """What JSON holds, as one of those. Raises ValueError, also for so many values that others would wait for them, and for too deep ones."""
    if has_too_many_values(body):
        raise ValueError("too many values")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("not what it should be") from None


def _failed(what: str) -> _JobFailedError:
    return _JobFailedError(EngineError(None, f"Luraph {what}"))
