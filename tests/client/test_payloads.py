"""The payloads kept in memory."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.client.payloads import Payloads
from moonlatch.operations.sealed_payload import SealedPayload
from support import rows
from support.database import fresh_sqlite
from support.keys import KEYRING


def opened(sealed: SealedPayload) -> bytes:
    text = base64.b64decode(sealed.text, validate=True)
    return ChaCha20Poly1305(sealed.key).decrypt(bytes(12), text, b"moonlatch/1 payload")


async def test_payloads_are_kept_up_to_a_number_of_bytes(tmp_path: Path) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, payload=b"1" * 60)
    await rows.add_build(database, script, 2, b"2" * 60)
    payloads = Payloads(database, KEYRING, max_kept_bytes=150)  # 60 bytes and their tag are 104 in base64
    first, second = await payloads.of(script, 1), await payloads.of(script, 2)
    assert first is not None
    assert second is not None
    assert opened(first) == b"1" * 60
    assert opened(second) == b"2" * 60
    assert payloads._kept._bytes == 104
    assert await payloads.of(script, 2) == second
    again = await payloads.of(script, 1)
    assert again is not None
    assert opened(again) == b"1" * 60
    assert again.key != first.key
    assert await payloads.of(script, 3) is None
    await database.close()
