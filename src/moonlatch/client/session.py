"""WebSocket `/client/v1/session`: opens an instance's session and reads what the client says on it. What it writes goes through `outgoing`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from sys import intern
from typing import Any

import msgspec

from moonlatch.client.backend import Backend
from moonlatch.client.calls import Calls
from moonlatch.client.heartbeat import instance_of
from moonlatch.client.moments import PAST_MS, moment_of
from moonlatch.client.outgoing import Outgoing, shortened
from moonlatch.client.replies import RefusedError
from moonlatch.client.tokens import Claims, agree, issue, live_key, read, renewed
from moonlatch.client.transcript import session_key
from moonlatch.client.wire import MalformedError, MessageReply, Open, Ping, decode_frame
from moonlatch.clock import SECOND_MS
from moonlatch.crypto import new_id
from moonlatch.licensing.key import seconds_left
from moonlatch.licensing.variables import variables_hash
from moonlatch.licensing.verdict import Granted, Refusal, Running, RunningFacts
from moonlatch.live.interface import NEVER_RESPONDED, Instance, MessageOutcome, NonceUsedError, Session, Told
from moonlatch.storage.interface import StorageError
from moonlatch.web.bounds import MAX_FRAME_BYTES, MAX_OPEN_BYTES
from moonlatch.web.close_codes import OVERLOADED, STOPPED
from moonlatch.web.socket import Hear, Receive, Scope, Send, Socket
from moonlatch.web.transport import INVALID_FRAME, SOCKET

OPEN_SECONDS = 10
NOT_AUTHENTICATED = 3501
CLOCK_WRONG = (3004, "opened at another time than now")
NOT_OPENED = (3503, "no open frame in time")

_IDLE_FRAMES = 50
_IDLE_FRAMES_PER_SECOND = 1


class _ClosingError(Exception):
    """Ends the connection with this close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class SessionConnection:
    """An open session's socket, as `live` sees it."""

    __slots__ = ("_allowance", "_allowance_at", "_backend", "_claims", "calls", "outgoing", "refusal")

    def __init__(self, outgoing: Outgoing, backend: Backend, claims: Claims) -> None:
        self.outgoing = outgoing
        self._backend = backend
        self._claims = claims
        self.calls: Calls | None = None
        self.refusal: Refusal | None = None
        """Why the script was stopped."""
        self._allowance = _IDLE_FRAMES
        self._allowance_at = backend.clock()

    def show(self, variables: dict[str, Any]) -> None:
        self.outgoing.put({"type": "variables", "variables": variables})

    def forget(self, name: str) -> None:
        self.outgoing.put({"type": "variable_changed", "name": name})

    def keep(self, claims: Claims) -> None:
        """Hold the same claims in less memory."""
        self._claims = claims

    def assure(self) -> None:
        claims = renewed(self._claims, self._backend.clock())
        if claims is None:
            self.outgoing.put({"type": "alive"})
        else:
            self._claims = claims
            self.outgoing.put({"type": "token", "token": issue(self._backend.keyring, claims)})

    def stop(self, refusal: Refusal) -> None:
        if not self.outgoing.is_closing:
            self.refusal = refusal
        self.outgoing.put({"type": "stop", "code": refusal.code, "message": refusal.message})
        self.close(STOPPED, f"{refusal.code}: {refusal.message}")

    def close(self, code: int, reason: str) -> None:
        self.outgoing.close(code, reason)
        self.end()

    async def call(self, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        if self.calls is None:
            self.calls = Calls()
        call_id, answer = self.calls.begin()
        self.outgoing.put({"type": "message", "id": call_id, "key": key, "data": data})
        patience = asyncio.get_running_loop().call_later(timeout_seconds, _settle, answer)
        try:
            return await answer
        finally:
            patience.cancel()
            self.calls.give_up(call_id)

    def end(self) -> None:
        """Nothing more will come from the client."""
        if self.calls is not None:
            self.calls.end()

    def is_idle_talk_allowed(self, now_ms: int) -> bool:
        """Return whether a frame that answers nothing may still come: a few at once, and then one per second."""
        passed = max(0, now_ms - self._allowance_at) // SECOND_MS
        self._allowance = min(_IDLE_FRAMES, self._allowance + passed * _IDLE_FRAMES_PER_SECOND) - 1
        self._allowance_at += passed * SECOND_MS
        return self._allowance >= 0


class SessionEndpoint:
    def __init__(self, backend: Backend, note: Callable[[Refusal | None], None] = lambda _: None) -> None:
        """`note` is told every verdict; None is a positive one."""
        self._backend = backend
        self._note = note

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its accepted handshake to its end."""
        try:
            request = await self._first_frame(receive)
            if request is None:
                return
            socket = _socket(scope)
            connection, opened = await self._open(request, socket, send)
            del request  # a session that is idle for hours holds no token
            try:
                await self._listen(connection, socket, receive)
            finally:
                connection.end()
                if opened is not None:
                    self._note_end(connection, *opened)
                    await self._backend.roster.leave(opened[0].id)
        except _ClosingError as closed:
            with contextlib.suppress(OSError):  # the client hung up before
                await send({"type": "websocket.close", "code": closed.code, "reason": shortened(closed.reason)})
        except OSError:
            return  # the client hung up while something was sent

    def _note_end(self, connection: SessionConnection, session: Session, instance: Instance) -> None:
        """Why the copy's session is over, where that says something of the copy: another socket or server may go on with it."""
        now = self._backend.clock()
        if connection.refusal is not None:
            copy = Running(
                instance.id,
                session.script_id,
                session.user_id,
                instance.fingerprint,
                True,
                instance.build,
                instance.started_at,
            )
            self._backend.history.stopped(copy, connection.refusal, "session", now)
        elif not connection.outgoing.is_closing:
            self._backend.history.ended(instance.id, now)

    async def _open(
        self, request: Open, socket: Socket, send: Send
    ) -> tuple[SessionConnection, tuple[Session, Instance] | None]:
        """Authenticate and register the client; no session for one that was told to stop. Raises _ClosingError."""
        claims = read(self._backend.keyring, request.token, request.instance)
        now = self._backend.clock()
        if claims is None or claims.is_over(now):
            raise _ClosingError(NOT_AUTHENTICATED, "the token does not belong to the instance, or to this server")
        key = session_key(self._live_key(claims, request.share), request.nonce)
        connection = SessionConnection(Outgoing(send, socket, key), self._backend, claims)
        moment = 0
        if claims.tells_moments():
            moment = moment_of(request.nonce) or 0
            try:
                await self._backend.check_moment(claims.instance, moment, now)
            except RefusedError as wrong:
                connection.outgoing.put({"type": "clock", "time": wrong.refusal.extras["time"]})
                connection.close(*CLOCK_WRONG)
                return connection, None
        try:
            return connection, await self._admit(request, claims, connection, moment)
        except StorageError:
            raise _ClosingError(*OVERLOADED) from None

    def _live_key(self, claims: Claims, share: str | None) -> bytes:
        """Raises _ClosingError."""
        backend = self._backend
        if share is None or claims.copy_key is not None or not claims.tells_moments():
            return live_key(backend.keyring, backend.loader_keys, claims)
        try:
            return agree(backend.keyring, backend.loader_keys, claims, share)[1]
        except ValueError:
            raise _ClosingError(NOT_AUTHENTICATED, "`share` is not a public value of X25519 in hex") from None

    async def _first_frame(self, receive: Receive) -> Open | None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                event = await receive()
        except TimeoutError:
            raise _ClosingError(*NOT_OPENED) from None
        if event["type"] != "websocket.receive":
            return None
        frame = _decode(event.get("text"), MAX_OPEN_BYTES)
        if not isinstance(frame, Open):
            raise _ClosingError(NOT_AUTHENTICATED, "the first frame opens the session")
        return frame

    async def _admit(
        self, request: Open, claims: Claims, connection: SessionConnection, moment: int
    ) -> tuple[Session, Instance] | None:
        """Decide, and register the session of the instance. Raises _ClosingError, StorageError."""
        claims = await self._backend.up_to_date(claims)
        now = self._backend.clock()
        known = await self._backend.roster.find(claims.instance)

        async def join(facts: RunningFacts, granted: Granted) -> tuple[Session, Instance]:
            instance = known or instance_of(claims, facts, now)
            session = _session(claims, instance, facts.executor, now)
            told = Told(variables_hash(facts, granted), granted.key_expires)
            try:
                joined = await self._backend.roster.join(
                    session, instance, connection, told, request.nonce, limit=granted.max_instances, moment=moment
                )
            except NonceUsedError:
                raise _ClosingError(NOT_AUTHENTICATED, "this nonce was used before") from None
            if not joined:
                await self._spend(claims, moment)
                raise _ClosingError(*OVERLOADED)
            connection.keep(_shared(claims, instance))
            left = seconds_left(granted.key_expires, now)
            connection.outgoing.put({"type": "opened", "session": session.id, "seconds_left": left})
            return session, instance

        copy = Running(
            claims.instance,
            claims.script,
            claims.user_id,
            claims.fingerprint,
            True,
            claims.build,
            claims.started_at,
        )
        known_changes = self._backend.roster.changes
        judged = await self._backend.judge.judge(copy, now, join, shows_user=True)
        if isinstance(judged, Refusal):
            self._note(judged)
            self._backend.history.stopped(copy, judged, "session", now)
            await self._spend(claims, moment)
            await self._backend.roster.release(claims.instance)
            connection.stop(judged)
            return None
        self._note(None)
        _, opened = judged
        if self._backend.roster.changes != known_changes:
            # Whoever was told of the change may not have seen this session yet.
            await self._backend.roster.look_again(opened[0].id)
        return opened

    async def _spend(self, claims: Claims, moment: int) -> None:
        """What was refused does not open a session later."""
        await self._backend.roster.spend(claims.instance, moment, self._backend.clock() + PAST_MS)

    async def _listen(self, connection: SessionConnection, socket: Socket, receive: Receive) -> None:
        """Hear the client until it leaves."""

        def hear(text: str | None) -> bool:
            if connection.outgoing.is_closing:
                return False
            try:
                return self._answers(connection, text)
            except _ClosingError as closed:
                connection.close(closed.code, closed.reason)
                return False

        socket.listen(hear)
        while (event := await receive())["type"] == "websocket.receive":
            hear(event.get("text"))

    def _answers(self, connection: SessionConnection, text: str | None) -> bool:
        """Return whether this frame answers a call. Raises _ClosingError."""
        frame = _decode(text)
        if isinstance(frame, Open):
            raise _ClosingError(INVALID_FRAME, "the session is open already")
        if isinstance(frame, MessageReply) and connection.calls is not None and connection.calls.answer(frame):
            return True
        if not connection.is_idle_talk_allowed(self._backend.clock()):
            raise _ClosingError(INVALID_FRAME, "too many frames that answer nothing")
        return False


def _settle(answer: asyncio.Future[MessageOutcome]) -> None:
    """Nobody answered in time."""
    if not answer.done():
        answer.set_result(NEVER_RESPONDED)


def _session(claims: Claims, instance: Instance, executor: str | None, now: int) -> Session:
    return Session(
        id=new_id(),
        instance_id=instance.id,
        script_id=instance.script_id,
        project_id=instance.project_id,
        user_id=instance.user_id,
        roblox_id=claims.roblox_id,
        place_id=claims.place_id,
        job_id=claims.job_id,
        created_at=now,
        executor=executor,
        build=instance.build,
    )


def _shared(claims: Claims, instance: Instance) -> Claims:
    """The claims in the texts that the instance holds anyway."""
    return msgspec.structs.replace(
        claims,
        instance=instance.id,
        script=instance.script_id,
        loader=intern(claims.loader),
        user_id=instance.user_id,
        fingerprint=instance.fingerprint,
        copy_key=None,  # the next token need not carry it: its beats and sessions bring their share
    )


def _decode(text: str | None, most_bytes: int = MAX_FRAME_BYTES) -> Open | MessageReply | Ping:
    if text is None:
        raise _ClosingError(INVALID_FRAME, "frames are text")
    try:
        return decode_frame(text, most_bytes)
    except MalformedError as error:
        raise _ClosingError(INVALID_FRAME, str(error)) from None


class _AsgiSocket:
    """Where the server has no `SessionTransport`: everything goes the ordinary way."""

    def listen(self, hear: Hear) -> None: ...

    def send_now(self, text: bytes) -> bool:  # noqa: ARG002
        return False

    def force_close(self, code: int, reason: str) -> None: ...


def _socket(scope: Scope) -> Socket:
    socket: Socket | None = scope.get("extensions", {}).get(SOCKET)
    return socket or _AsgiSocket()
