"""Linkvertise, Lootlabs and Work.ink as they are documented, on a loopback port; and what they do when they are not well."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from moonlatch.config.sections import CheckpointSettings

LINKVERTISE_TOKEN = "lv-token-of-the-seller"
LOOTLABS_TOKEN = "ll-token-of-the-seller"
LINK_ID = 4711
HUGE = 1_000_000
TIMEOUT_SECONDS = 0.5


@dataclass
class AdProviders:
    """`fault` is what ails them: `late`, `500`, `huge`, `gone` (hangs up), `nonsense`, or nothing. `asked` is what came."""

    port: int = 0
    fault: str = ""
    hashes: set[str] = field(default_factory=set)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    deletes: bool = True
    """Whether Work.ink forgets a token that it was told to forget."""
    reads_loosely: bool = False
    """Whether capitals, and hyphens of tokens, are all the same to them."""
    speaks_json: bool = False
    """Whether Linkvertise answers in JSON, as some of its servers do."""

    no_status: int = 200
    """With which they say that they know nothing of what a browser brought."""

    @property
    def settings(self) -> CheckpointSettings:
        base = f"http://127.0.0.1:{self.port}"
        return CheckpointSettings(
            linkvertise_api=f"{base}/linkvertise",
            lootlabs_api=f"{base}/lootlabs",
            workink_api=f"{base}/workink",
            timeout_seconds=TIMEOUT_SECONDS,
            views_per_second_per_address=1e6,
            view_burst=1_000_000,
        )

    def linkvertise_done(self) -> str:
        """A visitor is through: the `hash` that their browser brings back."""
        given = secrets.token_hex(32)
        self.hashes.add(given)
        return given

    def workink_done(self, address: str, link: int = LINK_ID) -> str:
        """A visitor from there is through: the token that their browser brings back."""
        token = str(uuid.uuid4())
        self.tokens[token] = {"token": token, "createdAt": 1, "byIp": address, "linkId": link, "expiresAfter": 2}
        return token

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/linkvertise" and method == "POST":
            said = self._linkvertise(query)
            return (200 if b"alse" not in said.lower() else self.no_status), said
        if parts.path.startswith("/workink/") and method == "GET":
            found = self.tokens.get(self._read(parts.path.rpartition("/")[2]))
            if found is not None and query.get("deleteToken") == "1" and self.deletes:
                del self.tokens[found["token"]]
            reply = {"valid": found is not None, "deleted": found is not None and self.deletes, "info": found}
            return (200 if found is not None else self.no_status), json.dumps(reply).encode()
        if parts.path == "/lootlabs" and method == "POST":
            if headers.get("authorization") != f"Bearer {LOOTLABS_TOKEN}":
                return 401, b'{"type":"error","message":"unauthorized"}'
            hidden = base64.urlsafe_b64encode(json.loads(body)["destination_url"].encode()[::-1]).decode()
            return 200, json.dumps({"type": "fetch", "message": hidden}).encode()
        return 404, b"not found"

    def _read(self, given: str) -> str:
        if self.reads_loosely:
            with contextlib.suppress(ValueError):
                return str(uuid.UUID(given))
            return given.lower()
        return given

    def _linkvertise(self, query: dict[str, str]) -> bytes:
        if query.get("token") != LINKVERTISE_TOKEN:
            return b"Invalid token."
        given = self._read(query.get("hash", ""))
        is_good = given in self.hashes
        self.hashes.discard(given)
        if self.speaks_json:
            return json.dumps({"status": is_good}).encode()
        return b"TRUE" if is_good else b"FALSE"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = head[0].split(" ")
            self.asked.append(f"{method} {target}")
            status, content = self.answer(method, target, headers, body)
            if self.fault == "late":
                await asyncio.sleep(TIMEOUT_SECONDS * 3)
            if self.fault == "500":
                status, content = 500, b"oops"
            if self.fault == "huge":
                content = b" " * HUGE + content
            if self.fault == "nonsense":
                content = b"<html>maintenance</html>"
            if self.fault != "gone":
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def ad_providers() -> AsyncIterator[AdProviders]:
    running = AdProviders()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
