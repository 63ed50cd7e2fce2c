"""PASETO `v4.public` and the ids of its keys, against the specification's own vectors (paseto-standard/test-vectors)."""

from __future__ import annotations

import base64
import json

import pyseto
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from moonlatch import paseto

SEED = bytes.fromhex("b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774")
MESSAGE = b'{"data":"this is a signed message","exp":"2022-01-01T00:00:00+00:00"}'
FOOTER = b'{"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"}'
BODY = "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9"
KID = ".eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9"
VECTORS = {
    "4-S-1": (b"", b"", BODY + "bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA"),
    "4-S-2": (FOOTER, b"", BODY + "v3Jt8mx_TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdgnpKlt4p7xBnx1HcO-SPo8FPp214HDw" + KID),
    "4-S-3": (FOOTER, b'{"test-vector":"4-S-3"}', BODY + "NPWciuD3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4JR9ipdUSJbIovzmBECeaWmaqcaP0DQ" + KID),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_tokens_are_those_of_the_specification(name: str) -> None:
    footer, implicit, token = VECTORS[name]
    sign = Ed25519PrivateKey.from_private_bytes(SEED).sign
    assert paseto.signed(sign, MESSAGE, footer=footer, implicit=implicit) == token


def test_pieces_have_one_encoding() -> None:
    assert paseto.pae() == bytes(8)
    assert paseto.pae(b"") == b"\1" + bytes(7) + bytes(8)
    assert paseto.pae(b"test") == b"\1" + bytes(7) + b"\4" + bytes(7) + b"test"
    assert paseto.pae(b"a", b"b") != paseto.pae(b"ab", b"")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (bytes(32), "k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE"),
        (bytes(range(0x70, 0x90)), "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs"),
        (bytes(range(0x70, 0x8F)) + b"\x90", "k4.pid.-nyvbaTz8U6TQz7OZWW-iB3va31iAxIpUgzUcVQVmW9A"),
    ],
)
def test_ids_of_keys_are_those_of_the_specification(key: bytes, expected: str) -> None:
    assert paseto.key_id(key) == expected


def test_anothers_library_verifies_ours() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    public = private.public_key().public_bytes_raw()
    key = pyseto.Key.from_asymmetric_key_params(4, x=public)
    message = json.dumps({"device": "d" * 64, "issued": 1_770_624_500_000}).encode()
    footer = json.dumps({"kid": paseto.key_id(public)}).encode()
    token = paseto.signed(private.sign, message, footer=footer, implicit=b"s" * 32)
    assert key.to_paserk_id() == paseto.key_id(public)
    assert pyseto.decode(key, token, implicit_assertion=b"s" * 32).payload == message
    with pytest.raises(pyseto.VerifyError):
        pyseto.decode(key, token, implicit_assertion=b"t" * 32)
    body = base64.urlsafe_b64decode(token.split(".")[2] + "==")
    assert body.startswith(message)
