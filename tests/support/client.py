"""A client of the protocol in Python, written from `docs/reference/client-protocol.md` alone: it shares no code with the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from websockets.asyncio.client import ClientConnection, connect

DEVICE = "a device"
PROTOCOL = 2
MOST_TRIES = 4


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def derive(key: bytes, label: str, *parts: str) -> bytes:
    return hmac.new(key, "\n".join([label, *parts]).encode(), hashlib.sha256).digest()


def transcript(value: Any) -> bytes:
    match value:
        case None:
            return b"n"
        case True:
            return b"t"
        case False:
            return b"f"
        case int():
            return f"i{value};".encode()
        case str():
            return f"s{len(value.encode())}:".encode() + value.encode()
        case list():
            return f"a{len(value)};".encode() + b"".join(transcript(item) for item in value)
        case dict():
            names = sorted(value, key=lambda name: name.encode())
            return f"o{len(value)};".encode() + b"".join(transcript(name) + transcript(value[name]) for name in names)
    raise TypeError(value)


def mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


class UnverifiedError(Exception):
    """The server's reply could not be verified."""


@dataclass
class Refused(Exception):
    status: int
    code: str
    error: dict[str, Any]
    headers: Any = field(default=None, repr=False)


@dataclass
class NotDone(Exception):
    """A remote that was called did not do what it was called for."""

    code: str
    message: str


@dataclass
class Moments:
    """The server's time in milliseconds as a client goes by it, each one another."""

    clock: Callable[[], int] = now_ms
    ahead_ms: int = 0
    latest: int = 0

    def next(self) -> int:
        self.latest = max(self.latest + 1, self.clock() + self.ahead_ms)
        return self.latest

    def tell(self, server_time: int) -> None:
        self.ahead_ms, self.latest = server_time - self.clock(), server_time

    def nonce(self) -> str:
        return f"{self.next():011x}" + secrets.token_hex(16)


@dataclass
class Client:
    """What a loader does: knows its script, its id and its secret."""

    url: str
    script: str
    loader: str
    secret: bytes
    http: httpx.AsyncClient
    clock: Callable[[], int] = now_ms
    signing_key: bytes | None = None
    """The installation's, public; without it signatures are not looked at."""
    exchange_key: bytes | None = None
    """The installation's, public; without it copies have no keys of their own."""
    moments: Moments = field(init=False)

    def __post_init__(self) -> None:
        self.moments = Moments(self.clock)

    def request(self, **changes: Any) -> dict[str, Any]:
        return {
            "script_id": self.script,
            "loader": self.loader,
            "protocol": PROTOCOL,
            "nonce": self.moments.nonce(),
            "key": None,
            "fingerprint": DEVICE,
            "executor": "Tests",
            "roblox_id": 2**53,
            "place_id": 7,
            "job_id": "job",
            "supports_sessions": True,
            **changes,
        }

    def _check(self, proof: str, content: bytes) -> None:
        """Raises UnverifiedError."""
        if self.signing_key is not None and not is_proof(proof, content, self.signing_key):
            raise UnverifiedError

    def live_of(self, instance: str) -> bytes:
        """What follows from the loader's secret for an instance."""
        return derive(self.secret, "moonlatch/1 live", instance)

    def check_refusal(self, response: httpx.Response, refused: Refused) -> None:
        """Raises UnverifiedError."""
        if refused.status in (401, 403, 404, 409):
            asked = hashlib.sha256(response.request.content).digest()
            self._check(response.json()["proof"], b"moonlatch/2 refusal\n" + asked + transcript(refused.error))

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return await self.http.post(self.url + path, json=body, **options)

    async def execute(self, **changes: Any) -> Copy:
        """Start the script. Raises as `send_execute` does."""
        return (await self.start(**changes))[1]

    async def start(self, **changes: Any) -> tuple[dict[str, Any], Copy]:
        """As `execute`, with the request that was granted: another one if the first one's time was wrong; `headers` go with both."""
        headers = changes.pop("headers", None)
        request = self.request(**changes)
        for _ in range(MOST_TRIES - 1):
            try:
                return request, await self.send_execute(request, headers=headers)
            except Refused as refused:
                # Each process that joins may tell another time.
                if refused.code != "CLOCK_WRONG" or "nonce" in changes:
                    raise
                self.moments.tell(refused.error["time"])
                request = self.request(**changes)
        return request, await self.send_execute(request, headers=headers)

    async def send_execute(self, request: dict[str, Any], **options: Any) -> Copy:
        """Start the script and verify everything. Raises Refused, UnverifiedError."""
        response = await self.post("/client/v1/execute", request, **options)
        asked = hashlib.sha256(response.request.content).digest()
        try:
            reply = accepted(response)
        except Refused as refused:
            if request["protocol"] == PROTOCOL:
                self.check_refusal(response, refused)
            raise
        keys = derive(self.secret, "moonlatch/1 execute", request["nonce"], reply["nonce"])
        plain = {name: value for name, value in reply.items() if name not in ("payload", "mac", "proof")}
        sealed = base64.b64decode(reply["payload"], validate=True)
        if request["protocol"] == 1:
            if mac(derive(keys, "reply"), transcript(plain)) != reply["mac"]:
                raise UnverifiedError
        else:
            self._check(reply["proof"], b"moonlatch/2 start\n" + asked + transcript(plain))
            if hashlib.blake2s(sealed).hexdigest() != reply["payload_digest"]:
                raise UnverifiedError
        pad = derive(keys, "payload")
        key = bytes(one ^ other for one, other in zip(bytes.fromhex(reply["payload_key"]), pad, strict=True))
        try:
            payload = ChaCha20Poly1305(key).decrypt(bytes(12), sealed, b"moonlatch/1 payload")
        except InvalidTag:
            raise UnverifiedError from None
        copy = Copy(self, reply, payload, Moments(self.clock), self.live_of(reply["instance"]))
        if request["protocol"] == PROTOCOL and self.exchange_key is not None:
            copy.agree(self.exchange_key)
        copy.moments.tell(reply.get("time", 0))
        return copy


def is_proof(proof: str, content: bytes, signing_key: bytes) -> bool:
    """Return whether the holder of the key has signed a hash tree that has this content for a leaf."""
    signature, way = bytes.fromhex(proof[:128]), proof[128:]
    found = hashlib.sha256(b"\0" + content).digest()
    for at in range(0, len(way), 65):
        side, other = way[at], bytes.fromhex(way[at + 1 : at + 65])
        found = hashlib.sha256(b"\1" + (other + found if side == "l" else found + other)).digest()
    try:
        Ed25519PublicKey.from_public_bytes(signing_key).verify(signature, b"moonlatch/2 " + found)
    except InvalidSignature:
        return False
    return True


@dataclass
class Copy:
    """A running copy of a script."""

    client: Client
    reply: dict[str, Any]
    payload: bytes
    moments: Moments
    live: bytes
    """Root of the macs of its beats and sessions."""
    share: str | None = None
    """What the server needs to know it too; None for a copy without a key of its own."""
    sequence: int = 0

    @property
    def instance(self) -> str:
        return str(self.reply["instance"])

    @property
    def variables(self) -> dict[str, Any]:
        return dict(self.reply["variables"])

    def agree(self, exchange_key: bytes) -> None:
        """Have a key of its own."""
        secret = X25519PrivateKey.generate()
        share = secret.public_key().public_bytes_raw()
        agreed = secret.exchange(X25519PublicKey.from_public_bytes(exchange_key))
        self.live = hmac.new(self.live, b"agreed\n" + share + agreed, hashlib.sha256).digest()
        self.share = share.hex()

    async def beat(self, sequence: int | None = None) -> int | None:
        """Beat once and verify the reply; gives `seconds_left`. Raises Refused, UnverifiedError."""
        try:
            return await self.send_beat(self.moments.next() if sequence is None else sequence)
        except Refused as refused:
            if refused.code != "CLOCK_WRONG" or sequence is not None:
                raise
            self.moments.tell(refused.error["time"])
            return await self.send_beat(self.moments.next())

    async def send_beat(self, sequence: int) -> int | None:
        self.sequence = sequence
        body = {"instance": self.instance, "token": self.reply["token"], "sequence": self.sequence}
        if self.share is not None:
            body["share"] = self.share
        response = await self.client.post("/client/v1/heartbeat", body)
        try:
            reply = accepted(response)
        except Refused as refused:
            self.client.check_refusal(response, refused)
            raise
        plain = {name: value for name, value in reply.items() if name != "mac"}
        if mac(derive(self.live, "heartbeat", str(self.sequence)), transcript(plain)) != reply["mac"]:
            raise UnverifiedError
        if reply.get("token") is not None:
            self.reply["token"] = reply["token"]
        left: int | None = reply["seconds_left"]
        return left

    async def variable(self, name: str, sequence: int | None = None, **changes: Any) -> Any:
        """The value of a server variable, verified; None where there is none. Raises Refused, UnverifiedError."""
        asked = self.moments.next() if sequence is None else sequence
        body = {"instance": self.instance, "token": self.reply["token"], "sequence": asked, "name": name}
        body |= {} if self.share is None else {"share": self.share}
        response = await self.client.post("/client/v1/variable", body | changes)
        try:
            reply = accepted(response)
        except Refused as refused:
            if refused.code not in ("INVALID_REQUEST", "RATE_LIMITED"):
                self.client.check_refusal(response, refused)
            raise
        plain = {field: value for field, value in reply.items() if field != "mac"}
        if mac(derive(self.live, "variable", str(asked), name), transcript(plain)) != reply["mac"]:
            raise UnverifiedError
        self.reply["token"] = reply["token"] or self.reply["token"]
        self.cache_seconds = reply["cache_seconds"]
        if reply["value"] is None:
            return None
        key = ChaCha20Poly1305(derive(self.live, "variable value", str(asked), name, reply["nonce"]))
        return json.loads(key.decrypt(bytes(12), base64.b64decode(reply["value"]), b"moonlatch/1 payload"))

    def calling(self, kind: str, name: str, data: Any, sequence: int | None = None) -> dict[str, Any]:
        """The request that calls a remote."""
        asked = self.moments.next() if sequence is None else sequence
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        return {
            "instance": self.instance,
            "token": self.reply["token"],
            "sequence": asked,
            "kind": kind,
            "name": name,
            "data": data,
            "mac": mac(derive(self.live, "call", str(asked), kind, name), text.encode()),
            **({} if self.share is None else {"share": self.share}),
        }

    async def call(
        self, kind: str, name: str, data: Any, sequence: int | None = None, changes: dict[str, Any] | None = None
    ) -> Any:
        """What a remote gave, verified. Raises NotDone, Refused, UnverifiedError."""
        body = self.calling(kind, name, data, sequence) | (changes or {})
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        response = await self.client.http.post(
            self.client.url + "/client/v1/call", content=content, headers={"content-type": "application/json"}
        )
        try:
            reply = accepted(response)
        except Refused as refused:
            if refused.code not in ("INVALID_REQUEST", "RATE_LIMITED", "UNAVAILABLE"):
                self.client.check_refusal(response, refused)
            raise
        asked = str(body["sequence"])
        plain = {field: value for field, value in reply.items() if field != "mac"}
        if mac(derive(self.live, "call", asked, name), transcript(plain)) != reply["mac"]:
            raise UnverifiedError
        self.reply["token"] = reply["token"] or self.reply["token"]
        if reply["value"] is None:
            raise NotDone(reply["code"], reply["message"])
        key = ChaCha20Poly1305(derive(self.live, "call value", asked, name, reply["nonce"]))
        return json.loads(key.decrypt(bytes(12), base64.b64decode(reply["value"]), b"moonlatch/1 payload"))

    async def report(self, **told: Any) -> None:
        """Tell of an error, or how the start went. Raises Refused."""
        body = {
            "instance": self.instance,
            "token": self.reply["token"],
            "sequence": told.pop("sequence", None) or self.moments.next(),
            **told,
        }
        assert accepted(await self.client.post("/client/v1/report", body)) == {"success": True}

    def opening(self, **changes: Any) -> dict[str, Any]:
        return {
            "type": "open",
            "instance": self.instance,
            "token": self.reply["token"],
            "nonce": self.moments.nonce(),
            **({} if self.share is None else {"share": self.share}),
            **changes,
        }

    async def connect(self, **changes: Any) -> Wire:
        """Open a session and take whatever the server says first."""
        opening = self.opening(**changes)
        socket = await connect(self.client.url.replace("http", "ws") + "/client/v1/session", compression=None)
        wire = Wire(socket, derive(self.live, "session", opening["nonce"]))
        await wire.send(opening)
        return wire

    async def session(self) -> Wire:
        """An open session."""
        wire = await self.connect()
        opened = await wire.receive()
        if opened["type"] == "clock":
            self.moments.tell(opened["time"])
            wire = await self.connect()
            opened = await wire.receive()
        assert opened["type"] == "opened"
        wire.id = opened["session"]
        wire.seconds_left = opened["seconds_left"]
        return wire


@dataclass
class Wire:
    """A WebSocket whose incoming frames are verified."""

    socket: ClientConnection
    key: bytes
    received: int = 0
    id: str = ""
    seconds_left: int | None = None

    async def receive(self) -> Any:
        frame = json.loads(await self.socket.recv())
        assert set(frame) == {"body", "mac"}
        expected = mac(self.key, f"{self.received}\n{frame['body']}".encode())
        self.received += 1
        if frame["mac"] != expected:
            raise UnverifiedError
        return json.loads(frame["body"])

    async def send(self, frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def closed(self) -> tuple[int, str]:
        """Wait for the server's close: its code and reason."""
        await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    async def stopped(self) -> str:
        """Take the stop frame and the close that follows it; gives the refusal's code."""
        frame = await self.receive()
        assert frame["type"] == "stop", frame
        code, reason = await self.closed()
        assert code == 3500
        assert reason.startswith(frame["code"])
        return str(frame["code"])


def accepted(response: httpx.Response) -> dict[str, Any]:
    """A reply's body. Raises Refused."""
    body: dict[str, Any] = response.json()
    if response.status_code == 200:
        assert body["success"] is True
        return body
    assert body["success"] is False
    assert {"success", "error"} <= set(body) <= {"success", "error", "proof"}
    error = body["error"]
    raise Refused(response.status_code, error["code"], error, response.headers)
