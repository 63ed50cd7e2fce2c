"""Cryptography does what its standards say, and what was derived, sealed or hashed once is found again by every later version."""

from __future__ import annotations

import hashlib
import hmac
import stat
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from moonlatch import crypto
from moonlatch.crypto import FixedKeyHmac, UnorderedHash, UnreadableSecretError
from moonlatch.keyring import Keyring
from moonlatch.master_key import MASTER_KEY_NAME, MasterKeySource

MASTER = bytes(range(32))

# Test cases 1 to 5 of RFC 4231, section 4: key, data, and as much of the HMAC-SHA-256 as it gives.
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
]


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231)
def test_hmac_is_that_of_rfc_4231(key: bytes, data: bytes, expected: str) -> None:
    for digest in (crypto.hmac_sha256(key, data), FixedKeyHmac(key).digest(data)):
        assert len(digest) == 32
        assert digest.hex().startswith(expected)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 1000])
def test_hmac_is_the_standard_librarys_for_every_length(length: int) -> None:
    fixed = FixedKeyHmac(MASTER * 2)
    message = bytes(length)
    for _ in range(2):  # one that was used is as good as new
        assert fixed.digest(message) == hmac.digest(MASTER * 2, message, "sha256")
    assert crypto.hmac_sha256(MASTER, message) == hmac.digest(MASTER, message, "sha256")


def test_a_key_longer_than_a_block_is_refused_and_not_taken_for_its_hash() -> None:
    with pytest.raises(ValueError, match="at most 64 bytes"):
        crypto.hmac_sha256(bytes(65), b"")
    with pytest.raises(ValueError, match="at most 64 bytes"):
        FixedKeyHmac(bytes(65))


# ChaCha20-Poly1305 once more, as RFC 8439 writes it down: slow, and sharing nothing with what is tested.


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & 0xFFFFFFFF


def _quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for target, source, mixed, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[source]) & 0xFFFFFFFF
        state[mixed] = _rotated(state[mixed] ^ state[target], bits)


def _block(key: bytes, counter: int, nonce: bytes) -> bytes:
    start = [
        *struct.unpack("<4I", b"expand 32-byte k"),
        *struct.unpack("<8I", key),
        counter,
        *struct.unpack("<3I", nonce),
    ]
    state = start.copy()
    for _ in range(10):
        for column in range(4):
            _quarter_round(state, column, 4 + column, 8 + column, 12 + column)
        for diagonal in range(4):
            _quarter_round(state, diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4)
    return struct.pack("<16I", *((one + other) & 0xFFFFFFFF for one, other in zip(state, start, strict=True)))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def rfc_8439(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Ciphertext, then tag."""
    stream = b"".join(_block(key, 1 + at // 64, nonce) for at in range(0, len(plaintext), 64))
    ciphertext = bytes(one ^ other for one, other in zip(plaintext, stream, strict=False))
    one_time = _block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    text = _padded(aad) + _padded(ciphertext) + struct.pack("<QQ", len(aad), len(ciphertext))
    sum_ = 0
    for at in range(0, len(text), 16):
        sum_ = (sum_ + int.from_bytes(text[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ciphertext + (sum_ + int.from_bytes(one_time[16:32], "little") & 2**128 - 1).to_bytes(16, "little")


def test_the_copy_of_rfc_8439_gives_the_vector_of_its_section_2_8_2() -> None:
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = rfc_8439(
        bytes(range(0x80, 0xA0)),
        bytes.fromhex("070000004041424344454647"),
        plaintext,
        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
    )
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


@pytest.mark.parametrize("length", [0, 1, 16, 63, 64, 65, 300])
def test_a_payload_is_sealed_as_rfc_8439_says(length: int) -> None:
    plaintext = bytes(number % 256 for number in range(length))
    assert crypto.seal(MASTER, plaintext) == rfc_8439(MASTER, bytes(12), plaintext, b"moonlatch/1 payload")


def test_a_key_is_wrapped_by_exclusive_or() -> None:
    pad = bytes(range(100, 132))
    assert bytes.fromhex(crypto.wrap(MASTER, pad)) == bytes(one ^ other for one, other in zip(MASTER, pad, strict=True))
    assert crypto.wrap(bytes(32), bytes(32)) == "00" * 32


# What is derived is stored, or in the hands of customers: another label would lose it.


def test_keys_are_derived_as_the_page_of_the_protocol_says() -> None:
    derived = crypto.derive(MASTER, "moonlatch/1 live", "an instance", "more")
    assert derived == hmac.digest(MASTER, b"moonlatch/1 live\nan instance\nmore", "sha256")


def test_what_the_master_key_is_used_for_stays_as_it_is() -> None:
    keyring = Keyring(MASTER)

    def under(label: str, *message: str) -> bytes:
        key = hmac.digest(MASTER, f"moonlatch/1 {label}".encode(), "sha256")
        return hmac.digest(key, "\n".join(message).encode(), "sha256")

    assert keyring.check_value() == hmac.digest(MASTER, b"moonlatch/1 key check", "sha256")
    assert keyring.loader_secret("L") == hmac.digest(MASTER, b"moonlatch/1 loader secret\nL", "sha256")
    assert keyring.instance_mac(b"claims") == under("instance token", "claims")
    assert keyring.fingerprint("P", "ip", "192.0.2.7") == under("fingerprint", "ip", "P", "192.0.2.7")
    assert (
        keyring.instance_id("L", "0123456789abcdef")
        == "0123456789a" + under("instance id", "L", "0123456789abcdef").hex()[:21]
    )


def test_a_secret_that_was_stored_is_read_again() -> None:
    key = hmac.digest(MASTER, b"moonlatch/1 stored secret", "sha256")
    nonce = bytes(range(12))
    stored = nonce + rfc_8439(key, nonce, b"a-secret", b"moonlatch/1 stored secret\nluraph api key\nowner")
    assert Keyring(MASTER).open_secret(crypto.LURAPH_KEY, "owner", stored) == "a-secret"


def test_a_stored_secret_is_nobody_elses() -> None:
    keyring = Keyring(MASTER)
    sealed = keyring.seal_secret(crypto.LURAPH_KEY, "owner", "a-secret")
    assert keyring.open_secret(crypto.LURAPH_KEY, "owner", sealed) == "a-secret"
    assert b"a-secret" not in sealed
    assert keyring.seal_secret(crypto.LURAPH_KEY, "owner", "a-secret") != sealed
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in (0, 12, len(sealed) - 1)]
    for opener, purpose, owner, text in [
        (Keyring(bytes(32)), crypto.LURAPH_KEY, "owner", sealed),
        (keyring, crypto.IDEMPOTENT_REPLY, "owner", sealed),
        (keyring, crypto.LURAPH_KEY, "another", sealed),
        (keyring, crypto.LURAPH_KEY, "owner", b""),
        *((keyring, crypto.LURAPH_KEY, "owner", each) for each in changed),
    ]:
        with pytest.raises(UnreadableSecretError):
            opener.open_secret(purpose, owner, text)


# Tokens, ids and the master key's file.


def test_a_token_is_known_by_its_checksum() -> None:
    tokens = {crypto.new_api_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert crypto.is_api_token(token)
        assert crypto.token_hash(token) == hashlib.sha256(token.encode()).digest()
        at = len("ml_") + 5
        mistyped = token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :]
        assert not crypto.is_api_token(mistyped)


def test_ids_have_their_alphabet_and_ordered_ones_sort_by_time() -> None:
    ids = {crypto.new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(each) for each in ids} == {crypto.ID_LENGTH}
    assert set("".join(ids)) == set(crypto.ID_ALPHABET)
    ordered = [crypto.new_ordered_id(at) for at in (5, 5, 5, 6, 1_770_000_000_000, 1_770_000_000_001)]
    assert all(one < other for one, other in pairwise(ordered))


def test_the_master_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = MasterKeySource(tmp_path).open()
    file = tmp_path / MASTER_KEY_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert MasterKeySource(tmp_path).open().check_value() == first.check_value()
    file.write_text("beef\n")
    with pytest.raises(ValueError, match="not a Moonlatch master key"):
        MasterKeySource(tmp_path).open()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        MasterKeySource(tmp_path).open(create=False)


def test_secrets_are_compared_as_text_or_bytes() -> None:
    assert crypto.equal("é", "é")
    assert not crypto.equal("é", "e")
    assert crypto.equal(b"\xff", b"\xff")
    assert not crypto.equal(b"\xff", b"")


def test_a_collections_hash_does_not_depend_on_its_order() -> None:
    one, other, less = UnorderedHash(), UnorderedHash(), UnorderedHash()
    for item in (b"a", b"b", b"b"):
        one.add(item)
    for item in (b"b", b"a", b"b"):
        other.add(item)
    for item in (b"a", b"b"):
        less.add(item)
    assert one == other
    assert one.hexdigest() == other.hexdigest()
    assert one != less
    assert crypto.stream_hash([b"ab", b"", b"c"]) == crypto.content_hash(b"abc") == hashlib.sha256(b"abc").hexdigest()
