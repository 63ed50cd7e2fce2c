"""Leases and what a host keeps of them, made from `docs/reference/client-protocol.md` alone: no code is shared with the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DAY_MS = 86_400_000
VARIABLES = {
    "la_is_premium": True,
    "la_executions": 7,
    "la_discord_id": None,
    "la_user_note": "snow \u2603",
    "la_script_name": "Test script",
    "la_exists": True,
    "la_supports_sessions": True,
    "la_script_build": 3,
}


def derive(key: bytes, label: str, *parts: str) -> bytes:
    return hmac.digest(key, "\n".join((label, *parts)).encode(), hashlib.sha256)


def unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def pae(*pieces: bytes) -> bytes:
    return b"".join(len(piece).to_bytes(8, "little") + piece for piece in pieces)


def key_id(public: bytes) -> str:
    text = "k4.pid." + "k4.public." + unpadded(public)
    return "k4.pid." + unpadded(hashlib.blake2b(text.encode(), digest_size=33).digest())


@dataclass(frozen=True)
class Lease:
    """One that is issued at `issued` for so many `days`; `claims` replaces what is stated, by name."""

    script: str
    loader: str
    secret: bytes
    private_key: Ed25519PrivateKey
    payload_key: bytes
    sealed: bytes
    issued: int
    key: str | None = "KEY"
    fingerprint: str = "Test device"
    days: float = 7
    kind: str = "lease"
    key_expires: int | None = None
    implicit: str | None = None
    footer: str | None = None
    claims: dict[str, Any] = field(default_factory=dict)

    def but(self, **changes: Any) -> Lease:
        return replace(self, **changes)

    def stated(self) -> dict[str, Any]:
        key = self.key or ""
        pad = derive(self.secret, "moonlatch/2 lease", key, self.fingerprint, str(self.issued))
        expires = self.issued + int(self.days * DAY_MS)
        return {
            "kind": self.kind,
            "script": self.script,
            "loader": self.loader,
            "key": "user",
            "device": derive(self.secret, "moonlatch/2 device", key, self.fingerprint).hex(),
            "builds": [3],
            "issued": self.issued,
            "expires": expires,
            "grace": expires + DAY_MS,
            "sequence": 7,
            "key_expires": self.key_expires,
            "payload_key": bytes(one ^ other for one, other in zip(self.payload_key, pad, strict=True)).hex(),
            "payload_digest": hashlib.blake2s(self.sealed).hexdigest(),
            "variables": VARIABLES,
            **self.claims,
        }

    def token(self) -> str:
        public = self.private_key.public_key().public_bytes_raw()
        message = json.dumps(self.stated()).encode()
        footer = (self.footer or json.dumps({"kid": key_id(public)})).encode()
        implicit = (self.script if self.implicit is None else self.implicit).encode()
        content = (4).to_bytes(8, "little") + pae(b"v4.public.", message, footer, implicit)
        return f"v4.public.{unpadded(message + self.private_key.sign(content))}.{unpadded(footer)}"

    def text(self) -> str:
        return f"moonlatch lease 1\n{self.token()}\n{base64.b64encode(self.sealed).decode()}"

    def name(self, ending: str = ".txt") -> str:
        text = f"moonlatch/2 lease\n{self.script}\n{self.key or ''}"
        return "moonlatch-" + hashlib.sha256(text.encode()).hexdigest()[:16] + ending

    def record(self, *, seen: int | None = None, ahead: int = 0, sequence: int = 7) -> str:
        """What the host keeps of the time."""
        line = f"{self.issued if seen is None else seen} {ahead} {sequence}"
        key = derive(self.secret, "moonlatch/2 time", self.key or "", self.fingerprint)
        return f"moonlatch time 1\n{line}\n{hmac.digest(key, line.encode(), hashlib.sha256).hex()}"

    def kept(self, **record: Any) -> dict[str, str]:
        """The files of a host that was given it."""
        return {self.name(): self.text(), self.name("-time.txt"): self.record(**record)}
