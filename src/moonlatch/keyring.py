"""The ring of an installation's master keys: the one in use makes everything new, the others stay for what they made. Reads no database."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from moonlatch.clock import HOUR_MS
from moonlatch.crypto import (
    ID_LENGTH,
    IDENTITY_KEY,
    KEY_ID_LENGTH,
    MASTER_KEY_BYTES,
    SEAL_MARK_BYTES,
    FixedKeyHmac,
    MasterKey,
    UnreadableSecretError,
    equal,
    new_id,
)

TOKEN_MS = 12 * HOUR_MS
"""How long an instance token is good for: a computer that slept over night goes on."""

MOST_KEYS = 16
_INSTALLATION = "installation"
_BLANK = re.compile(r"\s*(#.*)?")
_LINE = re.compile(r"\s*([0-9a-fA-F]+)(\s+#.*)?\s*")


class Arrangement(msgspec.Struct, frozen=True):
    """What the database knows of the keys of a ring, by their ids."""

    current: str
    first: str | None = None
    """The one that made the loaders whose ids name no key; None where it was retired."""
    retired: Collection[str] = ()
    identity_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class MasterKeyLine:
    """A key as it stands in a file, and the remark behind it."""

    master: bytes = field(repr=False)
    remark: str = ""

    def __str__(self) -> str:
        return f"{self.master.hex()} # {self.remark}" if self.remark else self.master.hex()


class Keyring:
    """An installation's master keys. Before it is arranged, the first of them is in use, and the last is the oldest."""

    def __init__(self, *masters: bytes, arrangement: Arrangement | None = None) -> None:
        """Raises ValueError for no key, one of the wrong length, and the same key twice."""
        if not 1 <= len(masters) <= MOST_KEYS:
            raise ValueError(f"there must be 1 to {MOST_KEYS} master keys, got {len(masters)}")
        self._masters = masters
        self.keys = tuple(MasterKey(master) for master in masters)
        by_id = {key.id: key for key in self.keys}
        if len(by_id) < len(masters):
            raise ValueError("the same master key is there twice")
        arrangement = arrangement or Arrangement(self.keys[0].id, self.keys[-1].id)
        self.current = by_id[arrangement.current]
        self.older = tuple(key for key in self.keys if key is not self.current)
        """All but the current one: what they made is still good."""
        self._first = by_id.get(arrangement.first) if arrangement.first else None
        self._of_loaders: Mapping[str, MasterKey | None] = dict.fromkeys(arrangement.retired) | by_id
        self._by_mark = {key.mark: key for key in self.keys}
        self.identity_key = arrangement.identity_key or self.keys[-1].identity_key()
        self._identities = FixedKeyHmac(self.identity_key)
        self._used: set[str] = set()

    def arranged(self, arrangement: Arrangement) -> Keyring:
        """The same keys, as the database has it."""
        return Keyring(*self._masters, arrangement=arrangement)

    @classmethod
    def of_text(cls, text: str, place: str) -> Keyring:
        """The ring of master keys in hex, one a line. Raises ValueError, naming its place and nothing of the text."""
        return cls.of_lines(lines_of(text, place), place)

    @classmethod
    def of_lines(cls, lines: Sequence[MasterKeyLine], place: str) -> Keyring:
        """As `of_text`."""
        try:
            return cls(*(line.master for line in lines))
        except ValueError as error:
            raise ValueError(f"{place} is not a Moonlatch master key: {error}") from None

    def __contains__(self, check_value: bytes) -> bool:
        """Whether one of the keys has this check value."""
        return self.with_check(check_value) is not None

    def with_check(self, check_value: bytes) -> MasterKey | None:
        return next((key for key in self.keys if key.check_value() == check_value), None)

    def check_value(self) -> bytes:
        """Tells the current master key from others, and nothing about it."""
        return self.current.check_value()

    # Loaders: each belongs to the key that its id begins with.

    def new_loader_id(self) -> str:
        """A fresh id of a loader of the current key; the rest of it has 142 bits."""
        return self.current.id + new_id()[: ID_LENGTH - KEY_ID_LENGTH]

    def of_loader(self, loader_id: str) -> MasterKey | None:
        """The key that all follows from that a loader knows or agrees on; None for one that was retired."""
        return self._of_loaders.get(loader_id[:KEY_ID_LENGTH], self._first)

    def key_for(self, loader_id: str) -> MasterKey:
        """As `of_loader`; for a loader whose key was retired the current one, which is not what it knows."""
        return self.of_loader(loader_id) or self.current

    def loader_secret(self, loader_id: str) -> bytes:
        """The secret `S` of one loader."""
        return self.key_for(loader_id).loader_secret(loader_id)

    def instance_id(self, loader_id: str, nonce: str) -> str:
        """As `MasterKey.instance_id`: what was recorded before a rotation has the same id after it."""
        return self.key_for(loader_id).instance_id(loader_id, nonce)

    @property
    def public_key(self) -> bytes:
        """What loaders of the current key check signatures with: an Ed25519 key (RFC 8032), 32 bytes."""
        return self.current.public_key

    @property
    def exchange_key(self) -> bytes:
        """What loaders of the current key agree on keys with: an X25519 public value (RFC 7748), 32 bytes."""
        return self.current.exchange_key

    # Instance tokens.

    def instance_mac(self, claims: bytes, loader_id: str | None = None) -> bytes:
        """Authenticates the claims of an instance token, which may be of a loader with this id."""
        if self.older and loader_id is not None:
            key = self.of_loader(loader_id)
            if key is not None and key is not self.current:
                self._used.add(key.id)
        return self.current.instance_mac(claims)

    def is_instance_mac(self, claims: bytes, mac: bytes) -> bool:
        """Whether one of the keys authenticates these claims so."""
        return equal(self.current.instance_mac(claims), mac) or any(
            equal(key.instance_mac(claims), mac) for key in self.older
        )

    def taken_uses(self) -> set[str]:
        """Ids of the older keys whose loaders' copies were given tokens since this was last asked."""
        used, self._used = self._used, set()
        return used

    # What is stored.

    def seal_secret(self, purpose: str, owner_id: str, secret: str) -> bytes:
        """A secret to be stored, as `MasterKey.seal_secret`."""
        return self.current.seal_secret(purpose, owner_id, secret)

    def open_secret(self, purpose: str, owner_id: str, sealed: bytes) -> str:
        """The secret that was sealed. Raises UnreadableSecretError."""
        sealer = self._by_mark.get(sealed[:SEAL_MARK_BYTES])
        if sealer is not None:
            return sealer.open_secret(purpose, owner_id, sealed)
        for key in self.keys:  # an earlier version left no mark
            try:
                return key.open_secret(purpose, owner_id, sealed)
            except UnreadableSecretError:
                continue
        raise UnreadableSecretError

    def seal_identity_key(self) -> bytes:
        """What devices and addresses are hashed with, to be stored."""
        return self.seal_secret(IDENTITY_KEY, _INSTALLATION, self.identity_key.hex())

    def open_identity_key(self, sealed: bytes) -> bytes:
        """Raises UnreadableSecretError."""
        return bytes.fromhex(self.open_secret(IDENTITY_KEY, _INSTALLATION, sealed))

    def fingerprint(self, project_id: str, kind: str, value: str) -> bytes:
        """Keyed hash of something that identifies a person or device (`ip`, `fingerprint`, `executor`), 32 bytes.

        Bound to the project, so that two projects' users cannot be matched with each other. What is hashed is not kept, so
        that it cannot be hashed anew: the key of these hashes outlives the master key that it came from.
        """
        return self._identities.digest(f"{kind}\n{project_id}\n{value}".encode())

    def user_key_hash(self, key: str) -> bytes:
        """As `MasterKey.user_key_hash`, of the current key."""
        return self.current.user_key_hash(key)

    def user_key_hashes(self, key: str) -> list[bytes]:
        """Every hash that a user's key may have here, the most likely first."""
        return [self.current.user_key_hash(key), *(older.user_key_hash(key) for older in self.older)]

    def part_of_key(self, project_id: str, side: str, part: str) -> bytes:
        """As `MasterKey.part_of_key`, of the current key."""
        return self.current.part_of_key(project_id, side, part)

    def request_hash(self, content_sha256: bytes) -> bytes:
        """As `MasterKey.request_hash`, of the current key."""
        return self.current.request_hash(content_sha256)

    def is_request_hash(self, content_sha256: bytes, request_hash: bytes) -> bool:
        """Whether one of the keys gives this hash."""
        return any(equal(key.request_hash(content_sha256), request_hash) for key in (self.current, *self.older))


def lines_of(text: str, place: str) -> list[MasterKeyLine]:
    """The keys in a text, and their remarks (`#`). Raises ValueError, naming the place and nothing of the text."""
    found: list[MasterKeyLine] = []
    for number, line in enumerate(text.splitlines() or [""], 1):
        if found and _BLANK.fullmatch(line):
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(match[1]) != 2 * MASTER_KEY_BYTES:
            which = "it" if number == 1 else f"line {number}"
            got = "" if match is None else f", got {len(match[1])}"
            raise ValueError(
                f"{place} is not a Moonlatch master key: {which} must be {2 * MASTER_KEY_BYTES} hexadecimal digits{got}"
            )
        found.append(MasterKeyLine(bytes.fromhex(match[1]), (match[2] or "").strip(" \t#")))
    return found
