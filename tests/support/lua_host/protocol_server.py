"""The server's side of the client protocol in its smallest form, written from `docs/reference/client-protocol.md` alone.

It judges the Lua client independently of our server, and can be told to misbehave. It runs in a thread on a loopback port.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.client.loader_source import loader_source
from support.lua_host.leases import Lease
from support.lua_host.run import PATIENCE_SECONDS
from support.quick_server import QuickServer, loopback_listener

SCRIPT_ID = "s" * 32
LOADER_ID = "L" * 32
TOKEN = "opaque.token"

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Json]]
Send = Callable[[Json], Awaitable[None]]


def derive(key: bytes, label: str, *parts: str) -> bytes:
    return hmac.digest(key, "\n".join((label, *parts)).encode(), hashlib.sha256)


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value."""
    match value:
        case None:
            return b"n"
        case True:
            return b"t"
        case False:
            return b"f"
        case int():
            return b"i%d;" % value
        case str():
            raw = value.encode()
            return b"s%d:%s" % (len(raw), raw)
        case list():
            return b"a%d;" % len(value) + b"".join(encode(item) for item in value)
        case dict():
            items = sorted((name.encode(), item) for name, item in value.items())
            return b"o%d;" % len(items) + b"".join(b"s%d:%s" % (len(name), name) + encode(item) for name, item in items)
    raise TypeError(f"not JSON: {value!r}")


def refusal(code: str, message: str, **extras: Any) -> Json:
    return {"success": False, "error": {"code": code, "message": message, **extras}}


class ProtocolServer:
    """A context manager; `url` is its base URL.

    What it answers is set by attributes before or during a run; `executions`, `heartbeats` and `frames` record what came.
    """

    def __init__(self, payload: str) -> None:
        self.payload = payload.encode()
        self.secret = secrets.token_bytes(32)
        self.private_key = Ed25519PrivateKey.generate()
        self.signing_key = self.private_key.public_key().public_bytes_raw()
        self.exchange = X25519PrivateKey.generate()
        self.exchange_key = self.exchange.public_key().public_bytes_raw()
        self.loader: bytes = b""
        self.heartbeat_seconds: int | None = None
        self.offers_session = True
        self.takes_sessions = True
        """Whether a WebSocket that comes is accepted."""
        self.session_required = False
        self.variables: Json = {
            "la_is_premium": True,
            "la_executions": 7,
            "la_discord_id": None,
            "la_seconds_left": 90,
            "la_user_note": "snow \u2603 and \U0001f600",
            "la_script_name": "Test script",
            "la_exists": True,
            "la_supports_sessions": True,
            "la_script_build": 3,
        }
        self.lease_days: float | None = None
        """For hosts that keep leases; None: none is given."""
        self.takes_reports = False
        self.report_answer: tuple[int, Json] = (200, {"success": True})
        self.reports: list[Json] = []
        """Of errors and of how starts went."""
        self.answers: list[tuple[int, Json | bytes]] = []
        """Answers for the next `execute` requests, instead of what the protocol says."""
        self.tamper: Callable[[Json], Json] = lambda reply: reply
        """Changes an execute reply after it was authenticated."""
        self.heartbeat_answer: Callable[[Json], tuple[int, Json] | None] = lambda _: None
        """The answer to a beat, instead of what the protocol says; also a place to change `seconds_left`."""
        self.heartbeat_seconds_left: int | None = None
        self.next_token: str | None = None
        """Given to the client with every beat."""
        self.ahead_ms = 0
        """How far this server's time is ahead of the machine's."""
        self.tamper_frame: Callable[[Json], Json] = lambda frame: frame
        self.executions: list[Json] = []
        self.heartbeats: list[Json] = []
        self.frames: list[Json] = []
        self.sessions_opened = 0
        self.instance = ""
        self._send_frame: Callable[[str], Awaitable[None]] | None = None
        self._close: Callable[[int, str], Awaitable[None]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        listener = loopback_listener()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(self._app, interface="asgi3", log_level="error", ws="websockets-sansio", lifespan="off")
        self._server = QuickServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def own_loader(self, **changed: Any) -> bytes:
        """The script's loader as this server would have it made; `changed` are arguments of `loader_source`."""
        values = {
            "script_id": SCRIPT_ID,
            "loader_id": LOADER_ID,
            "secret": self.secret,
            "signing_key": self.signing_key,
            "exchange_key": self.exchange_key,
            "base_url": self.url,
        }
        return loader_source(**values | changed)

    @property
    def loader_url(self) -> str:
        return f"{self.url}/loader/{SCRIPT_ID}"

    def send(self, body: Json) -> None:
        """Sends a frame in the session that stands."""
        assert self._send_frame is not None
        self._run(self._send_frame(json.dumps(body)))

    def close(self, code: int, reason: str = "") -> None:
        """Closes the session that stands."""
        assert self._close is not None
        self._run(self._close(code, reason))

    def wait_until(self, condition: Callable[[], object], timeout_seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, f"not in time; frames: {self.frames}, beats: {self.heartbeats}"
            time.sleep(0.02)

    def wait_frame(self, **fields: Any) -> Json:
        """The first frame of the client that has these fields."""
        found: list[Json] = []

        def look() -> bool:
            found[:] = [frame for frame in self.frames if fields.items() <= frame.items()]
            return bool(found)

        self.wait_until(look)
        return found[0]

    def _run(self, work: Awaitable[None]) -> None:
        assert self._loop is not None

        async def finish() -> None:
            await work

        asyncio.run_coroutine_threadsafe(finish(), self._loop).result(10)

    async def _app(self, scope: Json, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        if scope["type"] == "websocket":
            await self._session(receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = self._answer(scope["path"], body)
        content = answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(content))]}
        )
        await send({"type": "http.response.body", "body": content})

    def _answer(self, path: str, body: bytes) -> tuple[int, Json | bytes]:
        if path.startswith("/loader/"):
            return 200, self.loader
        request = json.loads(body)
        if path == "/client/v1/execute":
            self.executions.append(request)
            if not self.answers:
                return 200, self._execute(request, hashlib.sha256(body).digest())
            status, answer = self.answers.pop(0)
            return status, self._signed(answer, body)
        if path == "/client/v1/report":
            self.reports.append(request)
            return self.report_answer
        assert path == "/client/v1/heartbeat"
        self.heartbeats.append(request)
        status, answer = self.heartbeat_answer(request) or (200, self._heartbeat(request))
        return status, self._signed(answer, body)

    def _signed(self, answer: Json | bytes, body: bytes) -> Json | bytes:
        """The answer to the request with this body, with a proof if it is a refusal that lacks one."""
        if not isinstance(answer, dict) or "error" not in answer or "proof" in answer:
            return answer
        said = hashlib.sha256(body).digest() + encode(answer["error"])
        return {**answer, "proof": self.proof(b"moonlatch/2 refusal\n" + said)}

    def proof(self, content: bytes) -> str:
        """Of a tree of five leaves, this one among them at some place."""
        leaves = [secrets.token_bytes(32) for _ in range(5)]
        place = secrets.randbelow(5)
        leaves[place] = hashlib.sha256(b"\0" + content).digest()
        way = ""
        while len(leaves) > 1:
            if place ^ 1 < len(leaves):
                way += ("l" if place % 2 else "r") + leaves[place ^ 1].hex()
            pairs = [leaves[at : at + 2] for at in range(0, len(leaves), 2)]
            leaves = [hashlib.sha256(b"\1" + b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
            place //= 2
        return self.private_key.sign(b"moonlatch/2 " + leaves[0]).hex() + way

    def _execute(self, request: Json, asked: bytes) -> Json:
        self.instance = secrets.token_hex(16)
        reply: Json = {
            "success": True,
            "instance": self.instance,
            "nonce": secrets.token_hex(16),
            "token": TOKEN,
            "heartbeat_seconds": self.heartbeat_seconds,
            "session": "/client/v1/session" if self.offers_session and request["supports_sessions"] else None,
            "session_required": self.session_required,
            "time": int(time.time() * 1000) + self.ahead_ms,
            "variables": self.variables,
        }
        if self.takes_reports and request.get("reports"):
            reply["reports"] = True
        key = derive(self.secret, "moonlatch/1 execute", request["nonce"], reply["nonce"])
        payload_key = secrets.token_bytes(32)
        pad = derive(key, "payload")
        reply["payload_key"] = bytes(one ^ other for one, other in zip(payload_key, pad, strict=True)).hex()
        sealed = ChaCha20Poly1305(payload_key).encrypt(bytes(12), self.payload, b"moonlatch/1 payload")
        reply["payload_digest"] = hashlib.blake2s(sealed).hexdigest()
        if self.lease_days is not None and request.get("keeps_leases"):
            self.lease = Lease(
                script=SCRIPT_ID,
                loader=LOADER_ID,
                secret=self.secret,
                private_key=self.private_key,
                payload_key=payload_key,
                sealed=sealed,
                issued=reply["time"],
                key=request["key"],
                fingerprint=request["fingerprint"],
                days=self.lease_days,
            )
            reply["lease"] = self.lease.token()
        proof = self.proof(b"moonlatch/2 start\n" + asked + encode(reply))
        return self.tamper({**reply, "payload": base64.b64encode(sealed).decode(), "proof": proof})

    def _live_key(self, request: Json) -> bytes:
        """Of the copy that sent this beat or opening."""
        live, share = derive(self.secret, "moonlatch/1 live", self.instance), bytes.fromhex(request["share"])
        agreed = self.exchange.exchange(X25519PublicKey.from_public_bytes(share))
        return hmac.digest(live, b"agreed\n" + share + agreed, hashlib.sha256)

    def _heartbeat(self, request: Json) -> Json:
        reply: Json = {"success": True, "seconds_left": self.heartbeat_seconds_left, "token": self.next_token}
        key = derive(self._live_key(request), "heartbeat", str(request["sequence"]))
        return {**reply, "mac": hmac.digest(key, encode(reply), hashlib.sha256).hex()}

    async def _session(self, receive: Receive, send: Send) -> None:
        await receive()
        if not self.takes_sessions:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        opening = await receive()
        if opening["type"] != "websocket.receive":
            return
        opened = json.loads(opening["text"])
        self.frames.append(opened)
        key = derive(self._live_key(opened), "session", opened["nonce"])
        number = 0

        async def send_frame(text: str) -> None:
            nonlocal number
            mac = hmac.digest(key, f"{number}\n{text}".encode(), hashlib.sha256).hex()
            number += 1
            await send({"type": "websocket.send", "text": json.dumps(self.tamper_frame({"body": text, "mac": mac}))})

        async def close(code: int, reason: str) -> None:
            await send({"type": "websocket.close", "code": code, "reason": reason})

        self._send_frame, self._close = send_frame, close
        self.sessions_opened += 1
        await send_frame(json.dumps({"type": "opened", "session": secrets.token_hex(16), "seconds_left": 90}))
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            self.frames.append(json.loads(message["text"]))
