"""The loader's cryptography against the published vectors, and against Python's, in every Lua it runs on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.poly1305 import Poly1305

from moonlatch.client.loader_source import lua_string
from support.lua_host import ENGINES
from support.lua_host.answers import evaluate

CONTRIBUTION = (
    b"Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft or RFC "
    b'and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such statements '
    b"include oral statements in IETF sessions, as well as written and electronic communications made at any time or place, "
    b"which are addressed to"
)
JABBERWOCKY = (
    b"'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\n"
    b"All mimsy were the borogoves,\nAnd the mome raths outgrabe."
)
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

POLY1305_VECTORS = [  # key, message, tag: RFC 8439 section 2.5.2, then appendix A.3, vectors 1 to 11
    ("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b", b"Cryptographic Forum Research Group", "a8061dc1305136c6c22b8baf0c0127a9"),
    ("00" * 32, bytes(64), "00" * 16),
    ("00" * 16 + "36e5f6b5c5e06070f0efca96227a863e", CONTRIBUTION, "36e5f6b5c5e06070f0efca96227a863e"),
    ("36e5f6b5c5e06070f0efca96227a863e" + "00" * 16, CONTRIBUTION, "f3477e7cd95417af89a6b8794c310cf0"),
    ("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", JABBERWOCKY, "4541669a7eaaee61e708dc7cbcc5eb62"),
    ("02" + "00" * 31, b"\xff" * 16, "03" + "00" * 15),
    ("02" + "00" * 15 + "ff" * 16, b"\x02" + bytes(15), "03" + "00" * 15),
    ("01" + "00" * 31, b"\xff" * 16 + b"\xf0" + b"\xff" * 15 + b"\x11" + bytes(15), "05" + "00" * 15),
    ("01" + "00" * 31, b"\xff" * 16 + b"\xfb" + b"\xfe" * 15 + b"\x01" * 16, "00" * 16),
    ("02" + "00" * 31, b"\xfd" + b"\xff" * 15, "fa" + "ff" * 15),
    (
        "0100000000000000040000000000000000000000000000000000000000000000",
        bytes.fromhex("e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000"),
        "14000000000000005500000000000000",
    ),
    (
        "0100000000000000040000000000000000000000000000000000000000000000",
        bytes.fromhex("e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000"),
        "13000000000000000000000000000000",
    ),
]  # fmt: skip

CHACHA20_KEY = bytes(range(32))
CHACHA20_BLOCK = (  # RFC 8439 section 2.3.2
    "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
)
CHACHA20_CIPHERTEXT = (  # section 2.4.2
    "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
    "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d"
)
AEAD_KEY = bytes(range(0x80, 0xA0))
AEAD_NONCE = bytes.fromhex("070000004041424344454647")
AEAD_ASSOCIATED = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
AEAD_SEALED = (  # section 2.8.2: ciphertext, then the tag
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
    "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116"
    "1ae10b594f09e26a7e902ecbd0600691"
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
# Keys and messages of ones reach the largest sums that the limbs must hold.
EXTREMES = [
    (key, bytes([byte]) * length)
    for key in (b"\xff" * 32, b"\xfc\xff\xff\x0f" * 8)
    for byte in (255, 0)
    for length in (16, 64, 1024)
]

APPLY = """(function(text, counter, key, nonce)
  local block = memory.from_string(text)
  chacha20.apply(block, #text, counter, memory.from_string(key), memory.from_string(nonce))
  return memory.to_string(block, #text)
end)"""

AUTHENTICATE = """(function(key, text)
  local state = poly1305.create(memory.from_string(key))
  local whole = math.floor(#text / 16)
  poly1305.absorb(state, memory.from_string(text), 0, whole)
  if #text % 16 > 0 then
    local last = memory.from_string(string.sub(text, whole * 16 + 1) .. "\\1")
    poly1305.absorb(state, last, 0, 1, 0)
  end
  return memory.little_endian(poly1305.finish(state))
end)"""

OPEN = """(function(key, nonce, associated, sealed)
  local block, length = base64.decode(sealed)
  local size = aead.open(key, nonce, associated, block, length)
  return size and memory.to_string(block, size)
end)"""

DECODE = """(function(text)
  local block, length = base64.decode(text)
  return block and memory.to_string(block, length)
end)"""


def call(function: str, *arguments: bytes | int) -> str:
    listed = ", ".join(str(argument) if isinstance(argument, int) else lua_string(argument) for argument in arguments)
    return f"{function}({listed})"


def sealed(key: bytes, text: bytes, associated: bytes, nonce: bytes = bytes(12)) -> bytes:
    return base64.b64encode(ChaCha20Poly1305(key).encrypt(nonce, text, associated))


def with_bit_flipped(content: bytes, at: int) -> bytes:
    raw = bytearray(base64.b64decode(content))
    raw[at] ^= 1
    return base64.b64encode(raw)


def all_expressions() -> dict[str, str]:
    expressions: dict[str, str] = {}
    for text in [*SHA256_VECTORS, *RANDOM_TEXTS]:
        expressions[f"sha256 {hashlib.sha1(text).hexdigest()}"] = call("sha256.sha256", text)
    for number, (key, text, _) in enumerate(HMAC_VECTORS):
        expressions[f"hmac {number}"] = call("sha256.hmac", key, text)
    for number, (key_hex, text, _) in enumerate(POLY1305_VECTORS):
        expressions[f"poly1305 {number}"] = call(AUTHENTICATE, bytes.fromhex(key_hex), text)
    for number, (key, text) in enumerate(EXTREMES):
        expressions[f"poly1305 extreme {number}"] = call(AUTHENTICATE, key, text)
    expressions["chacha20 block"] = call(APPLY, bytes(64), 1, CHACHA20_KEY, bytes.fromhex("000000090000004a00000000"))
    expressions["chacha20 text"] = call(APPLY, SUNSCREEN, 1, CHACHA20_KEY, bytes.fromhex("000000000000004a00000000"))
    expressions["aead"] = call(
        OPEN, AEAD_KEY, AEAD_NONCE, AEAD_ASSOCIATED, base64.b64encode(bytes.fromhex(AEAD_SEALED))
    )
    for number, (key, text) in enumerate(zip(RANDOM_KEYS, RANDOM_TEXTS, strict=True)):
        box = sealed(key, text, key[:number])
        expressions[f"open {number}"] = call(OPEN, key, bytes(12), key[:number], box)
        expressions[f"other associated data {number}"] = call(OPEN, key, bytes(12), key[: number + 1], box)
        expressions[f"first bit {number}"] = call(OPEN, key, bytes(12), key[:number], with_bit_flipped(box, 0))
        expressions[f"last bit {number}"] = call(OPEN, key, bytes(12), key[:number], with_bit_flipped(box, -1))
        expressions[f"base64 random {number}"] = call(DECODE, base64.b64encode(text))
    expressions["shorter than a tag"] = call(OPEN, CHACHA20_KEY, bytes(12), b"", base64.b64encode(bytes(15)))
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


def test_poly1305_gives_the_tags_of_rfc_8439(answers: Answers) -> None:
    for number, (_, _, tag) in enumerate(POLY1305_VECTORS):
        assert bytes.fromhex(tag) == answers[f"poly1305 {number}"], number


def test_poly1305_agrees_with_python_for_the_largest_keys_and_messages(answers: Answers) -> None:
    for number, (key, text) in enumerate(EXTREMES):
        assert Poly1305.generate_tag(key, text) == answers[f"poly1305 extreme {number}"], number


def test_chacha20_gives_the_block_and_the_ciphertext_of_rfc_8439(answers: Answers) -> None:
    assert bytes.fromhex(CHACHA20_BLOCK) == answers["chacha20 block"]
    assert bytes.fromhex(CHACHA20_CIPHERTEXT) == answers["chacha20 text"]


def test_the_sealed_text_of_rfc_8439_opens(answers: Answers) -> None:
    assert answers["aead"] == SUNSCREEN


def test_whatever_python_seals_opens(answers: Answers) -> None:
    for number, text in enumerate(RANDOM_TEXTS):
        assert text == answers[f"open {number}"], number


def test_nothing_opens_with_one_bit_or_the_associated_data_changed(answers: Answers) -> None:
    for number in range(len(RANDOM_TEXTS)):
        for change in ("other associated data", "first bit", "last bit"):
            assert answers[f"{change} {number}"] == "nil", (change, number)


def test_what_is_shorter_than_a_tag_does_not_open(answers: Answers) -> None:
    assert answers["shorter than a tag"] == "nil"


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
