"""The client protocol as one ASGI application: finds the endpoint, bounds what comes in, and turns every failure into its documented answer."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator

from moonlatch.client.backend import Backend
from moonlatch.client.body import TOO_LARGE, TOO_SLOW, HungUpError, read_body
from moonlatch.client.execute import SESSION_PATH, ExecuteEndpoint
from moonlatch.client.heartbeat import HeartbeatEndpoint, NotOursError
from moonlatch.client.history import History
from moonlatch.client.key_check import (
    CHECK_PATH,
    CHECKS_BURST,
    LIBRARY_PATH,
    KeyCheckEndpoint,
    Library,
    encoded,
    too_many,
)
from moonlatch.client.loader import TEXT, LoaderEndpoint
from moonlatch.client.payloads import Payloads
from moonlatch.client.remotes import RemoteEndpoint
from moonlatch.client.replies import UNAVAILABLE, RefusedError, invalid, rate_limited, respond
from moonlatch.client.reports import ReportEndpoint, ReportLog
from moonlatch.client.session import SessionEndpoint
from moonlatch.client.sharing import SharingWatch
from moonlatch.client.variables import VariableEndpoint
from moonlatch.client.wire import (
    CallRemote,
    Heartbeat,
    MalformedError,
    ReadVariable,
    Report,
    decode_call_remote,
    decode_check_key,
    decode_execute,
    decode_heartbeat,
    decode_read_variable,
    decode_report,
)
from moonlatch.clock import Clock, monotonic_seconds
from moonlatch.config.sections import ClientSettings, ConnectionSettings
from moonlatch.crypto import new_id
from moonlatch.keyring import Keyring
from moonlatch.licensing.verdict import Policy, Refusal
from moonlatch.live.interface import LiveUnavailableError, Roster
from moonlatch.logs import request_id
from moonlatch.metrics.counts import RouteTraffic, Traffic, Verdicts
from moonlatch.operations.calls import AT_ONCE
from moonlatch.operations.context import World
from moonlatch.storage.executions import ExecutionLog
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.licences import Licences
from moonlatch.web.address import Addresses, header
from moonlatch.web.close_codes import OVERLOADED
from moonlatch.web.connections import Connections, TooManyError
from moonlatch.web.direct import Answer, DirectTransport, transport_for
from moonlatch.web.limits import NetworkLimit, RateLimits, limits_of_this_process
from moonlatch.web.socket import Headers, Peer, Receive, Scope, Send

EXECUTE_PATH = "/client/v1/execute"
HEARTBEAT_PATH = "/client/v1/heartbeat"
VARIABLE_PATH = "/client/v1/variable"
CALL_PATH = "/client/v1/call"
REPORT_PATH = "/client/v1/report"
LOADER_PREFIX = "/loader/"
LOADER_ROUTE = "/loader/{script_id}"

START, BEAT, SESSION, READ, CALL, REPORT = "start", "heartbeat", "session", "variable", "call", "report"
"""The moments of a running script's life at which it is judged."""

BAD_BEATS_PER_SECOND, BAD_BEATS_BURST = 10, 300
"""Heartbeats of no copy that one address may send; those of copies have no limit."""

_JSON = b"application/json"

logger = logging.getLogger(__name__)


class ClientProtocol:
    """Serves `/loader/:script_id`, `/library.lua` and `/client/v1/...`; `missing_loader_source` makes Lua that raises a message.

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
        reports: ReportLog,
        settings: ClientSettings,
        connections: ConnectionSettings,
        trusted_proxies: Iterable[str] = (),
        limits: RateLimits | None = None,
        watch: SharingWatch | None = None,
        library: bytes = b"",
        world: World | None = None,
        most_asked: int = AT_ONCE,
    ) -> None:
        self._addresses = Addresses(trusted_proxies)
        self.connections = Connections(
            most=connections.most, per_address=connections.per_address, addresses=self._addresses
        )
        limit = limits or limits_of_this_process()
        self._starts = _limit(limit, "start", settings.executes_per_second_per_address, settings.execute_burst)
        self._loaders = _limit(limit, "loader", settings.loaders_per_second_per_address, settings.loader_burst)
        self._bad_beats = NetworkLimit(limit, "bad beat", per_second=BAD_BEATS_PER_SECOND, burst=BAD_BEATS_BURST)
        self._loader = LoaderEndpoint(database, missing_loader_source)
        self.history = History(database, keyring, watch)
        backend = Backend(
            licences=Licences(database),
            roster=live,
            keyring=keyring,
            clock=clock,
            policy=Policy(account_grace_days=settings.account_grace_days),
            history=self.history,
        )
        self._signatures_for = backend.signatures_for
        self.traffic = Traffic()
        self.verdicts = Verdicts()
        self._start_traffic = self.traffic.route("POST", EXECUTE_PATH)
        self._beat_traffic = self.traffic.route("POST", HEARTBEAT_PATH)
        self._read_traffic = self.traffic.route("POST", VARIABLE_PATH)
        self._call_traffic = self.traffic.route("POST", CALL_PATH)
        self._report_traffic = self.traffic.route("POST", REPORT_PATH)
        self._loader_traffic = self.traffic.route("GET", LOADER_ROUTE)
        self._execute = ExecuteEndpoint(
            backend, ExecutionLog(database), Payloads(database, backend.keyring), settings.heartbeat_seconds, reports
        )
        self._heartbeat = HeartbeatEndpoint(backend)
        self._variable = VariableEndpoint(backend, database, self._heartbeat, limit)
        self._remote = RemoteEndpoint(backend, world, self._heartbeat, limit, most_asked)
        self.reports = reports
        self._report = ReportEndpoint(backend, self._heartbeat, reports, limit)
        self._session = SessionEndpoint(backend, self._note_session)
        self._library = Library(library)
        self._key_check = KeyCheckEndpoint(database, backend.licences, keyring, clock)
        self._checks = NetworkLimit(
            limit, "key check", per_second=settings.key_checks_per_minute_per_address / 60, burst=CHECKS_BURST
        )
        self._check_traffic = self.traffic.route("POST", CHECK_PATH)
        self._library_traffic = self.traffic.route("GET", LIBRARY_PATH)
        self._calls = {
            EXECUTE_PATH: (self._start, self._start_traffic),
            HEARTBEAT_PATH: (self._beat, self._beat_traffic),
            VARIABLE_PATH: (self._read, self._read_traffic),
            CALL_PATH: (self._call, self._call_traffic),
            REPORT_PATH: (self._tell, self._report_traffic),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, began = scope["path"], monotonic_seconds()
        try:
            await self._dispatch(path, scope, receive, send)
        except HungUpError:
            return
        except Exception as error:
            # Never the path itself: it is what the client made of it.
            where = path if path in self._calls or path in (CHECK_PATH, LIBRARY_PATH) else LOADER_PREFIX
            refused = _refusal_for(where, error)
            self._traffic_at(path).add(refused.status, monotonic_seconds() - began)
            await _refuse(send, refused)

    def _traffic_at(self, path: str) -> RouteTraffic:
        call = self._calls.get(path)
        if call is not None:
            return call[1]
        if path == CHECK_PATH:
            return self._check_traffic
        if path == LIBRARY_PATH:
            return self._library_traffic
        return self._loader_traffic if path.startswith(LOADER_PREFIX) else self.traffic.route("-", "-")

    def http_transport(self) -> type[DirectTransport]:
        """What `uvicorn.Config(..., http=...)` takes to answer starts and heartbeats the short way.

        Only for engines that wait for nothing but plain futures, of which tasks are one kind, as all of ours do.
        """
        return transport_for(
            {path.encode(): answer for path, (answer, _) in self._calls.items()},
            too_slow=_answer(invalid(TOO_SLOW)),
            too_large=_answer(invalid(TOO_LARGE, 413)),
            places=self.connections,
        )

    async def _beat(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        began = monotonic_seconds()
        request: Heartbeat | None = None
        answer: Answer
        try:
            request = decode_heartbeat(body)
            answer = 200, [await self._heartbeat.beat(request)], []
        except Exception as error:
            answer = self._refusal(BEAT, HEARTBEAT_PATH, await self._proven(error, request, body, peer, headers))
        self._beat_traffic.add(answer[0], monotonic_seconds() - began)
        return answer

    async def _read(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        began = monotonic_seconds()
        request: ReadVariable | None = None
        answer: Answer
        try:
            request = decode_read_variable(body)
            answer = 200, [await self._variable.read(request)], []
        except Exception as error:
            answer = self._refusal(READ, VARIABLE_PATH, await self._proven(error, request, body, peer, headers))
        self._read_traffic.add(answer[0], monotonic_seconds() - began)
        return answer

    async def _call(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        began = monotonic_seconds()
        request: CallRemote | None = None
        answer: Answer
        try:
            request = decode_call_remote(body)
            answer = 200, [await self._remote.call(request, self._addresses.of(peer, headers))], []
        except Exception as error:
            answer = self._refusal(CALL, CALL_PATH, await self._proven(error, request, body, peer, headers))
        self._call_traffic.add(answer[0], monotonic_seconds() - began)
        return answer

    async def _tell(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        began = monotonic_seconds()
        request: Report | None = None
        answer: Answer
        try:
            request = decode_report(body)
            answer = 200, [await self._report.take(request)], []
        except Exception as error:
            answer = self._refusal(REPORT, REPORT_PATH, await self._proven(error, request, body, peer, headers))
        self._report_traffic.add(answer[0], monotonic_seconds() - began)
        return answer

    async def _proven(
        self, error: Exception, request: Heartbeat | None, body: bytes, peer: Peer, headers: Headers
    ) -> Exception:
        """What a copy is told that asked so: signed where it was understood. Who is no copy may not ask often."""
        if isinstance(error, MalformedError | NotOursError):
            # Copies that run send none of these. What a real token is refused with must always be said: it stops the copy.
            wait = (await self._bad_beats.take(self._addresses.of(peer, headers))).retry_after_seconds
            if wait:
                return rate_limited(wait, "heartbeats of no copy")
            if isinstance(error, NotOursError):
                await self._signatures_for(None).sign(error, body)
        elif isinstance(error, RefusedError) and request is not None:
            await self._signatures_for(self._heartbeat.loader_of(request)).sign(error, body)
        return error

    async def _start(self, body: bytes, peer: Peer, headers: Headers) -> Answer:
        began = monotonic_seconds()
        answer: Answer
        try:
            address = self._addresses.of(peer, headers)
            if self._starts is not None:
                await self._permit_start(address, body)
            answer = 200, await self._execute.start(decode_execute(body), address, body), []
        except Exception as error:
            answer = self._refusal(START, EXECUTE_PATH, error)
        self._start_traffic.add(answer[0], monotonic_seconds() - began)
        return answer

    def _refusal(self, moment: str, where: str, error: Exception) -> Answer:
        refused = _refusal_for(where, error)
        self.verdicts.refused[moment, refused.refusal.code] += 1
        return _answer(refused)

    def _note_session(self, verdict: Refusal | None) -> None:
        if verdict is None:
            self.verdicts.sessions_granted += 1
        else:
            self.verdicts.refused[SESSION, verdict.code] += 1

    async def _permit_start(self, address: str, body: bytes) -> None:
        wait = await _seconds_to_wait(self._starts, address)
        if wait:
            with contextlib.suppress(MalformedError):
                await self._execute.spend(decode_execute(body))
            raise rate_limited(wait, "starts")

    async def _dispatch(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path in self._calls:
            _require_method(scope, "POST")
            answer, _ = self._calls[path]
            status, parts, headers = await answer(await read_body(receive), scope["client"], scope["headers"])
            await respond(send, status, _JSON, b"".join(parts), headers)
        elif path.startswith(LOADER_PREFIX):
            _require_method(scope, "GET", "HEAD")
            began = monotonic_seconds()
            wait = await _seconds_to_wait(self._loaders, self._addresses.of(scope["client"], scope["headers"]))
            if wait:
                status = await self._loader.refuse(send, wait)
            else:
                status = await self._loader.answer(scope, send, path[len(LOADER_PREFIX) :])
            self._loader_traffic.add(status, monotonic_seconds() - began)
        elif path == CHECK_PATH:
            _require_method(scope, "POST")
            await self._check_key(scope, receive, send)
        elif path == LIBRARY_PATH:
            _require_method(scope, "GET", "HEAD")
            await self._give_library(scope, send)
        elif path == SESSION_PATH:
            raise invalid("this path wants a WebSocket")
        else:
            raise invalid("the client protocol has no such path", 404)

    async def _check_key(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = monotonic_seconds()
        wait = (await self._checks.take(self._addresses.of(scope["client"], scope["headers"]))).retry_after_seconds
        if wait:
            status, state, headers = 429, too_many(wait), [(b"retry-after", b"%d" % wait)]
        else:
            status, state, headers = 200, await self._key_check.state_of(decode_check_key(await read_body(receive))), []
        await respond(send, status, _JSON, encoded(state), [*headers, (b"cache-control", b"no-store")])
        self._check_traffic.add(status, monotonic_seconds() - began)

    async def _give_library(self, scope: Scope, send: Send) -> None:
        began = monotonic_seconds()
        headers = [(b"etag", self._library.etag), (b"cache-control", b"no-cache")]
        wait = await _seconds_to_wait(self._loaders, self._addresses.of(scope["client"], scope["headers"]))
        if wait:
            status = await self._loader.refuse(send, wait)
        elif self._library.etag in (header(scope["headers"], b"if-none-match") or b""):
            status = 304
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            status = 200
            await respond(send, status, TEXT, self._library.source, headers)
        self._library_traffic.add(status, monotonic_seconds() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the handshake
        if scope["path"] != SESSION_PATH:
            await send({"type": "websocket.close"})
            return
        peer, headers = scope["client"], scope["headers"]
        address = self._addresses.of(peer, headers)  # accepted, its headers are gone
        await send({"type": "websocket.accept"})
        if await _seconds_to_wait(self._starts, address):
            await send({"type": "websocket.close", "code": OVERLOADED[0], "reason": OVERLOADED[1]})
            return
        try:
            with self._place_behind_proxy(peer, address):
                await self._session.serve(scope, receive, send)
        except TooManyError as error:
            await send({"type": "websocket.close", "code": OVERLOADED[0], "reason": str(error)})
        except Exception as error:
            _log_failure(SESSION_PATH, error)
            await send({"type": "websocket.close", "code": OVERLOADED[0], "reason": OVERLOADED[1]})

    @contextlib.contextmanager
    def _place_behind_proxy(self, peer: Peer, address: str) -> Iterator[None]:
        """A place in the name of the client, where the connection itself is the proxy's. Raises TooManyError."""
        if peer is None or not self._addresses.is_proxy(peer[0]):
            yield
            return
        place = self.connections.enter_behind_proxy(address)
        try:
            yield
        finally:
            place.leave()


def _limit(limits: RateLimits, kind: str, per_second: float, burst: int) -> NetworkLimit | None:
    return NetworkLimit(limits, kind, per_second=per_second, burst=burst) if per_second else None


async def _seconds_to_wait(limit: NetworkLimit | None, address: str) -> int:
    """0 when somebody from there may go on now."""
    return 0 if limit is None else (await limit.take(address)).retry_after_seconds


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
    # Only what is logged needs an id to be found by; making one for every beat would be felt.
    request = new_id()
    headers = [(b"x-request-id", request.encode())]
    token = request_id.set(request)
    try:
        if isinstance(error, StorageError | LiveUnavailableError):
            logger.warning("%s could not be answered: %s", where, type(error).__name__)
            return RefusedError(UNAVAILABLE, headers=headers)
        _log_failure(where, error)
        return RefusedError(UNAVAILABLE, 500, headers)
    finally:
        request_id.reset(token)


def _answer(refused: RefusedError) -> Answer:
    return refused.status, [refused.body()], refused.headers


async def _refuse(send: Send, refused: RefusedError) -> None:
    await respond(send, refused.status, _JSON, refused.body(), refused.headers)


def _log_failure(where: str, error: Exception) -> None:
    # An exception's text may quote what the client sent, so only its kind and its place are written down.
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed with %s\n%s", where, type(error).__name__, place)
