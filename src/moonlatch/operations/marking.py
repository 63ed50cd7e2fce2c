"""Marked copies: the template that is sealed with a build, and the word that names who holds a copy."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode

from moonlatch import crypto
from moonlatch.crypto import COPY_TEMPLATE, KeyedStream
from moonlatch.keyring import Keyring
from moonlatch.licensing.tracing import Code
from moonlatch.obfuscator.template import Copier, Template
from moonlatch.storage import templates
from moonlatch.storage.interface import Database
from moonlatch.storage.templates import SealedTemplate

_KEY = "key "


def sealed(keyring: Keyring, content: bytes) -> SealedTemplate:
    """A template, as `Template.to_bytes` gives it, to be kept."""
    template_id = crypto.new_id()
    return SealedTemplate(
        template_id, keyring.seal_secret(COPY_TEMPLATE, template_id, b64encode(content).decode("ascii"))
    )


async def opened(db: Database, keyring: Keyring, script_id: str, build: int) -> bytes | None:
    """As it was sealed; None for a build that has none. Raises UnreadableSecretError."""
    found = await templates.find(db, script_id, build)
    if found is None:
        return None
    # Of a large script it takes longer than others may wait for the loop.
    return await asyncio.to_thread(lambda: b64decode(keyring.open_secret(COPY_TEMPLATE, found.id, found.content)))


def secret_of(keyring: Keyring, script_id: str, build: int) -> bytes:
    """What the words of a build's copies follow from: the installation's key of keyed hashes, and nothing that is stored with it."""
    return keyring.fingerprint(script_id, "marks", str(build))


def code_of(keyring: Keyring, script_id: str, build: int, places: int) -> Code:
    """The words of a build's copies."""
    return Code(KeyedStream(secret_of(keyring, script_id, build)).draw, places)


def holder_of_key(user_id: str) -> str:
    """Whose copy it is, where it was started with a key."""
    return f"{_KEY}{user_id}"


def key_of_holder(holder: str) -> str:
    """The id of the user whose copy that holder's is."""
    return holder.removeprefix(_KEY)


def holder_without_key(fingerprint: bytes | None, address: bytes) -> str:
    """The same without a key: by the keyed hash of the device or, where the host tells of none, of the address."""
    return f"address {address.hex()}" if fingerprint is None else f"device {fingerprint.hex()}"


class Copies:
    """Makes the copies of one build."""

    def __init__(self, keyring: Keyring, script_id: str, build: int, template: bytes) -> None:
        """Raises TemplateError."""
        self._copier = Copier(Template.from_bytes(template))
        self._code = code_of(keyring, script_id, build, self._copier.places)
        self.size = self._copier.size

    def text(self, holder: str) -> bytes:
        """The copy that names the holder."""
        return self._copier.text(self._code.word(holder))


async def copies_of(db: Database, keyring: Keyring, script_id: str, build: int) -> Copies | None:
    """Makes the copies of a build that has a template. Raises UnreadableSecretError, TemplateError."""
    template = await opened(db, keyring, script_id, build)
    if template is None:
        return None
    return await asyncio.to_thread(Copies, keyring, script_id, build, template)
