"""Writes leases: what the installation states of a start that may be repeated without it, for one key on one device.

Decides nothing. What the loader makes of it is in `docs/reference/client-protocol.md`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from moonlatch import paseto
from moonlatch.crypto import derive, sha256, wrap
from moonlatch.keyring import Keyring
from moonlatch.licensing.lease import Term

_NAME_CHARACTERS = 16
_HEADING = "moonlatch lease 1"


class Kind(StrEnum):
    """What a statement is good for."""

    LEASE = "lease"
    """Kept by a host beside the highest time it has seen."""
    LICENCE = "licence"
    """Given to a host that has no HTTP."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whose lease it is: the loader that can open it, the key and the device, both as the client gives them."""

    script: str
    loader: str
    key: str | None
    fingerprint: str


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The build that it starts; `digest` is that of the sealed text, in hex, `run_key` that of a build with a lock, wrapped."""

    build: int
    key: bytes
    digest: str
    run_key: str | None = None


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Times in Unix milliseconds; `key` is the user's id."""

    kind: Kind
    script: str
    loader: str
    key: str | None
    device: str
    builds: list[int]
    issued: int
    expires: int
    grace: int
    sequence: int
    key_expires: int | None
    payload_key: str
    payload_digest: str
    variables: dict[str, Any]
    run_key: str | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def statement(
    keyring: Keyring,
    kind: Kind,
    holder: Holder,
    payload: Payload,
    term: Term,
    *,
    user_id: str | None,
    variables: dict[str, Any],
) -> str:
    """A PASETO `v4.public`. `variables` are those of a start, whose count of executions is its sequence."""
    signer = keyring.key_for(holder.loader)
    secret, key = signer.loader_secret(holder.loader), holder.key or ""
    pad = derive(secret, "moonlatch/2 lease", key, holder.fingerprint, str(term.issued))
    claims = _Claims(
        kind=kind,
        script=holder.script,
        loader=holder.loader,
        key=user_id,
        device=derive(secret, "moonlatch/2 device", key, holder.fingerprint).hex(),
        builds=[payload.build],
        issued=term.issued,
        expires=term.expires,
        grace=term.grace,
        sequence=variables["la_executions"],
        key_expires=term.key_expires,
        payload_key=wrap(payload.key, pad),
        payload_digest=payload.digest,
        variables={name: value for name, value in variables.items() if name != "la_seconds_left"},
        run_key=payload.run_key or msgspec.UNSET,
    )
    footer = _encode({"kid": paseto.key_id(signer.public_key)})
    return paseto.signed(signer.sign, _encode(claims), footer=footer, implicit=holder.script.encode())


def name_of(script: str, key: str | None) -> str:
    """What a host keeps the lease of a key under."""
    return "moonlatch-" + sha256(f"moonlatch/2 lease\n{script}\n{key or ''}".encode()).hex()[:_NAME_CHARACTERS] + ".txt"


def file_of(signed: str, sealed: bytes) -> str:
    """The text that a host keeps: the statement, and the sealed payload in base64."""
    return f"{_HEADING}\n{signed}\n{sealed.decode()}"
