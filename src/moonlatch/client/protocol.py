"""The client protocol as one ASGI application: finds the endpoint, bounds what comes in, and turns every failure into its documented answer."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable

from moonlatch.client.address import Addresses, site_of
from moonlatch.client.backend import Backend
from moonlatch.client.body import TOO_LARGE, TOO_SLOW, HungUpError, read_body
from moonlatch.client.direct import Answer, DirectTransport, transport_for
from moonlatch.client.execute import SESSION_PATH, ExecuteEndpoint
from moonlatch.client.heartbeat import HeartbeatEndpoint
from moonlatch.client.limits import RateLimit
from moonlatch.client.loader import LoaderEndpoint
from moonlatch.client.payloads import Payloads
from moonlatch.client.replies import (
    UNAVAILABLE,
    Headers,
    Peer,
    Receive,
    RefusedError,
    Scope,
    Send,
    invalid,
    rate_limited,
    respond,
)
from moonlatch.client.session import SessionEndpoint
from moonlatch.client.wire import MalformedError, decode_execute, decode_heartbeat
from moonlatch.clock import Clock
from moonlatch.crypto import Keyring
from moonlatch.licensing.verdict import Policy
from moonlatch.live.interface import OVERLOADED, Roster
from moonlatch.storage.executions import ExecutionLog
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.licences import Licences

EXECUTE_PATH = "/client/v1/execute"
HEARTBEAT_PATH = "/client/v1/heartbeat"
LOADER_PREFIX = "/loader/"

_JSON = b"application/json"

logger = logging.getLogger(__name__)


class ClientProtocol:
    """Serves `/loader/:script_id` and `/client/v1/...`; `missing_loader_source` makes Lua that raises a message.

    Logs no key, token, mac, fingerprint or address.
    """

    def __init__(
        self,
        *,
        database: Database,
        live: Roster,
        keyring: Keyring,
        clock: Clock,
        missing_loader_source: Callable[[str], bytes],
        policy: Policy | None = None,
        heartbeat_seconds: int = 30,
        executes_per_second_per_address: float = 0,
        execute_burst: int = 1,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self._clock = clock
        self._addresses = Addresses(trusted_proxies)
        self._starts = RateLimit(executes_per_second_per_address, execute_burst)
        self._loader = LoaderEndpoint(database, missing_loader_source)
        backend = Backend(
            licences=Licences(database), roster=live, keyring=keyring, clock=clock, policy=policy or Policy()
        )
        self._execute = ExecuteEndpoint(backend, ExecutionLog(database), Payloads(database), heartbeat_seconds)
        self._heartbeat = HeartbeatEndpoint(backend)
        self._session = SessionEndpoint(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        try:
            await self._dispatch(path, scope, receive, send)
        except HungUpError:
            return
        except Exception as error:
            # Never the path itself: it is what the client made of it.
            where = path if path in (EXECUTE_PATH, HEARTBEAT_PATH) else LOADER_PREFIX
            await _refuse(send, _refusal_for(where, error))

    def http_transport(self) -> type[DirectTransport]:
        """What `uvicorn.Config(..., http=...)` takes to answer starts and heartbeats the short way.

        Only for engines whose reads never wait: SQLite, and live sessions in this process.
        """
        return transport_for(
            {EXECUTE_PATH.encode(): self._start, HEARTBEAT_PATH.encode(): self._answer_beat},
            too_slow=_answer(invalid(TOO_SLOW)),
            too_large=_answer(invalid(TOO_LARGE, 413)),
        )

    def _answer_beat(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        answering = self._beat(body, peer, headers)
        try:
            answering.send(None)
        except StopIteration as done:
            answer: Answer = done.value
            return answer
        answering.close()
        raise RuntimeError("a heartbeat had to wait; this engine needs uvicorn's own HTTP protocol")

    async def _beat(self, body: bytes, _peer: Peer, _headers: Headers) -> Answer:
        try:
            return 200, [await self._heartbeat.beat(decode_heartbeat(body))], []
        except Exception as error:
            return _answer(_refusal_for(HEARTBEAT_PATH, error))

    async def _start(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        try:
            address = self._addresses.of(peer, headers)
            self._permit_start(address)
            return 200, await self._execute.start(decode_execute(body), address), []
        except Exception as error:
            return _answer(_refusal_for(EXECUTE_PATH, error))

    def _permit_start(self, address: str) -> None:
        wait = self._starts.wait_seconds(site_of(address), self._clock())
        if wait:
            raise rate_limited(wait)

    async def _dispatch(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path in (EXECUTE_PATH, HEARTBEAT_PATH):
            _require_method(scope, "POST")
            answer = self._start if path == EXECUTE_PATH else self._beat
            status, parts, headers = await answer(await read_body(receive), scope["client"], scope["headers"])
            await respond(send, status, _JSON, b"".join(parts), headers)
        elif path.startswith(LOADER_PREFIX):
            _require_method(scope, "GET", "HEAD")
            await self._loader.answer(scope, send, path[len(LOADER_PREFIX) :])
        elif path == SESSION_PATH:
            raise invalid("this path wants a WebSocket")
        else:
            raise invalid("the client protocol has no such path", 404)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the handshake
        if scope["path"] != SESSION_PATH:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        if self._starts.wait_seconds(site_of(self._addresses.of(scope["client"], scope["headers"])), self._clock()):
            await send({"type": "websocket.close", "code": OVERLOADED[0], "reason": OVERLOADED[1]})
            return
        try:
            await self._session.serve(scope, receive, send)
        except Exception as error:
            _log_failure(SESSION_PATH, error)
            await send({"type": "websocket.close", "code": OVERLOADED[0], "reason": OVERLOADED[1]})


def _require_method(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        names = ", ".join(allowed)
        raise invalid(f"this path takes {names}", 405, [(b"allow", names.encode())])


def _refusal_for(where: str, error: Exception) -> RefusedError:
    """The documented answer to whatever went wrong."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, MalformedError):
        return invalid(str(error))
    if isinstance(error, StorageError):
        logger.warning("storage failed during %s: %s", where, type(error).__name__)
        return RefusedError(UNAVAILABLE)
    _log_failure(where, error)
    return RefusedError(UNAVAILABLE, 500)


def _answer(refused: RefusedError) -> Answer:
    return refused.status, [refused.body()], refused.headers


async def _refuse(send: Send, refused: RefusedError) -> None:
    await respond(send, refused.status, _JSON, refused.body(), refused.headers)


def _log_failure(where: str, error: Exception) -> None:
    # An exception's text may quote what the client sent, so only its kind and its place are written down.
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed with %s\n%s", where, type(error).__name__, place)
