"""The loader's cryptography against the published vectors, and against Python's, in every Lua it runs on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.client.loader_source import lua_string
from support.lua_host import ENGINES
from support.lua_host.answers import evaluate

SUNSCREEN = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."

SHA256_VECTORS = {  # FIPS 180-4, the examples NIST publishes
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu": "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
}

HMAC_VECTORS = [  # RFC 4231, test cases 1 to 7; case 5 is published in part
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            b"This is a test using a larger than block-size key and a larger than block-size data. "
            b"The key needs to be hashed before being used by the HMAC algorithm."
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]

CHACHA20_KEY = bytes(range(32))
CHACHA20_BLOCK = (  # RFC 8439 section 2.3.2
    "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
)
CHACHA20_CIPHERTEXT = (  # section 2.4.2
    "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
    "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d"
)
BASE64_VECTORS = {"": b"", "Zg==": b"f", "Zm8=": b"fo", "Zm9v": b"foo", "Zm9vYg==": b"foob", "Zm9vYmE=": b"fooba", "Zm9vYmFy": b"foobar"}  # fmt: skip
NOT_BASE64 = [
    "Z",
    "Zg",
    "Zg=",
    "Zg===",
    "Z===",
    "====",
    "Zm9v=",
    "Zg==Zg==",
    "Zm 9",
    "Zm9\n",
    "Zm-_",
    "Zm9\u00e9",
    "Zm\x009",
]

LENGTHS = [0, 1, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 1000, 4099]
RANDOM = random.Random(8439)
RANDOM_TEXTS = [RANDOM.randbytes(length) for length in LENGTHS]
RANDOM_KEYS = [RANDOM.randbytes(32) for _ in LENGTHS]
DIGESTED = [b"abc", b"\xff" * 64, b"\xff" * 640, *RANDOM_TEXTS[1:]]
APPLY = """(function(text, counter, key, nonce)
  local block = memory.from_string(text)
  chacha20.apply(block, #text, counter, memory.from_string(key), memory.from_string(nonce))
  return memory.to_string(block, #text)
end)"""

DECODE = """(function(text)
  local block, length = base64.decode(text)
  return block and memory.to_string(block, length)
end)"""


DIGEST = """(function(text)
  return blake2s(memory.from_string(text), #text)
end)"""


def call(function: str, *arguments: bytes | int) -> str:
    listed = ", ".join(str(argument) if isinstance(argument, int) else lua_string(argument) for argument in arguments)
    return f"{function}({listed})"


def all_expressions() -> dict[str, str]:
    expressions: dict[str, str] = {}
    for text in [*SHA256_VECTORS, *RANDOM_TEXTS]:
        expressions[f"sha256 {hashlib.sha1(text).hexdigest()}"] = call("sha256.sha256", text)
    for number, (key, text, _) in enumerate(HMAC_VECTORS):
        expressions[f"hmac {number}"] = call("sha256.hmac", key, text)
    expressions["chacha20 block"] = call(APPLY, bytes(64), 1, CHACHA20_KEY, bytes.fromhex("000000090000004a00000000"))
    expressions["chacha20 text"] = call(APPLY, SUNSCREEN, 1, CHACHA20_KEY, bytes.fromhex("000000000000004a00000000"))
    for number, (key, text) in enumerate(zip(RANDOM_KEYS, RANDOM_TEXTS, strict=True)):
        expressions[f"chacha20 {number}"] = call(APPLY, text, 1, key, bytes(12))
        expressions[f"base64 random {number}"] = call(DECODE, base64.b64encode(text))
    for text in DIGESTED:
        expressions[f"blake2s {hashlib.sha1(text).hexdigest()}"] = call(DIGEST, text)
    for text64 in BASE64_VECTORS:
        expressions[f"base64 {text64}"] = call(DECODE, text64.encode())
    for number, text64 in enumerate(NOT_BASE64):
        expressions[f"not base64 {number}"] = call(DECODE, text64.encode())
    expressions["equal"] = 'sha256.equal("abc", "abc")'
    expressions["unequal"] = 'sha256.equal("abc", "abd")'
    expressions["unequal lengths"] = 'sha256.equal("abc", "abcd")'
    expressions["operators"] = "kernel.operators"
    expressions["memory"] = "kernel.memory"
    return expressions


Answers = Mapping[str, bytes | str]


@pytest.fixture(scope="module", params=list(ENGINES))
def answers(request: pytest.FixtureRequest) -> Answers:
    """What one interpreter answers to all of it; one process, because starting it costs more than the arithmetic."""
    return {"engine": request.param, **evaluate(all_expressions(), modules="base64", engine=request.param)}


def test_every_interpreter_uses_the_operators_it_has(answers: Answers) -> None:
    expected = {
        "luau": (b"bit32", b"buffer"),
        "lua51": (b"arithmetic", b"table"),
        "lua52": (b"bit32", b"table"),
        "lua53": (b"native", b"table"),
        "lua54": (b"native", b"table"),
        "luajit": (b"bit", b"table"),
    }
    assert expected[str(answers["engine"])] == (answers["operators"], answers["memory"])


def test_sha256_gives_the_published_digests(answers: Answers) -> None:
    for text, digest in SHA256_VECTORS.items():
        assert bytes.fromhex(digest) == answers[f"sha256 {hashlib.sha1(text).hexdigest()}"]


def test_sha256_agrees_with_python_around_every_block_boundary(answers: Answers) -> None:
    for text in RANDOM_TEXTS:
        assert hashlib.sha256(text).digest() == answers[f"sha256 {hashlib.sha1(text).hexdigest()}"]


def test_hmac_gives_the_tags_of_rfc_4231(answers: Answers) -> None:
    for number, (key, text, tag) in enumerate(HMAC_VECTORS):
        answer = answers[f"hmac {number}"]
        assert isinstance(answer, bytes)
        assert answer.hex().startswith(tag)
        assert hmac.digest(key, text, "sha256") == answer


def test_chacha20_gives_the_block_and_the_ciphertext_of_rfc_8439(answers: Answers) -> None:
    assert bytes.fromhex(CHACHA20_BLOCK) == answers["chacha20 block"]
    assert bytes.fromhex(CHACHA20_CIPHERTEXT) == answers["chacha20 text"]


def test_whatever_python_encrypts_is_decrypted(answers: Answers) -> None:
    for number, (key, text) in enumerate(zip(RANDOM_KEYS, RANDOM_TEXTS, strict=True)):
        assert ChaCha20Poly1305(key).encrypt(bytes(12), text, None)[:-16] == answers[f"chacha20 {number}"], number


def test_blake2s_gives_the_digest_of_rfc_7693(answers: Answers) -> None:
    published = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"  # appendix B
    assert bytes.fromhex(published) == answers[f"blake2s {hashlib.sha1(b'abc').hexdigest()}"]


def test_blake2s_agrees_with_python_around_every_block_boundary(answers: Answers) -> None:
    for text in DIGESTED:
        assert hashlib.blake2s(text).digest() == answers[f"blake2s {hashlib.sha1(text).hexdigest()}"], len(text)


def test_base64_decodes_the_vectors_of_rfc_4648(answers: Answers) -> None:
    for text, content in BASE64_VECTORS.items():
        assert content == answers[f"base64 {text}"]


def test_base64_decodes_what_python_encodes(answers: Answers) -> None:
    for number, text in enumerate(RANDOM_TEXTS):
        assert text == answers[f"base64 random {number}"]


def test_base64_refuses_everything_else(answers: Answers) -> None:
    for number, text in enumerate(NOT_BASE64):
        assert answers[f"not base64 {number}"] == "nil", text


def test_secrets_are_equal_only_when_they_are_the_same(answers: Answers) -> None:
    assert (answers["equal"], answers["unequal"], answers["unequal lengths"]) == ("true", "false", "false")
