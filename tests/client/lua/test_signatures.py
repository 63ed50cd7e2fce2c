"""The loader's SHA-512 and Ed25519 against the published vectors, against Python's, and against what must not be believed, in every Lua."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from moonlatch.client.loader_source import lua_string, modules_source
from support.lua_host import ENGINES
from support.lua_host.answers import HELPERS, evaluate
from support.luau import SYSTEM_LUAS, run_lua

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
RANDOM = random.Random(8032)
LENGTHS = (0, 1, 3, 44, 46, 47, 48, 63, 64, 111, 112, 127, 128, 129, 239, 240, 1_000)

RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]  # fmt: skip

SMALL_ORDER = [  # encodings of the eight points of small order, and of some of them that are not written in their own way
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]  # fmt: skip


def little(number: int, size: int = 32) -> bytes:
    return number.to_bytes(size, "little")


def flipped(content: bytes, bit: int) -> bytes:
    return little(int.from_bytes(content, "little") ^ 1 << bit, len(content))


def genuine() -> dict[str, tuple[bytes, bytes, bytes]]:
    cases = {
        f"RFC 8032, {number}": tuple(map(bytes.fromhex, vector)) for number, vector in enumerate(RFC_8032, start=1)
    }
    for length in LENGTHS:
        key, message = Ed25519PrivateKey.from_private_bytes(RANDOM.randbytes(32)), RANDOM.randbytes(length)
        cases[f"{length} bytes"] = key.public_key().public_bytes_raw(), message, key.sign(message)
    return cases


def forged() -> dict[str, tuple[bytes, bytes, bytes]]:
    private, message = Ed25519PrivateKey.from_private_bytes(bytes(range(32))), b"moonlatch/2 " + bytes(range(32))
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    cases = {
        "another message": (key, message + b"\0", signature),
        "another key": (other.public_key().public_bytes_raw(), message, signature),
        "another's signature": (key, message, other.sign(message)),
        "s + order": (key, message, r + little(s + ORDER)),
        "s of the order": (key, message, r + little(ORDER)),
        "s of all ones": (key, message, r + b"\xff" * 32),
        "s of zero": (key, message, r + bytes(32)),
        "negated s": (key, message, r + little(ORDER - s)),
        "all zero": (key, message, bytes(64)),
        "a short signature": (key, message, signature[:-1]),
        "a long signature": (key, message, signature + b"\0"),
        "no signature": (key, message, b""),
        "a short key": (key[:-1], message, signature),
        "a key that is no point": (little(2), message, signature),
        "a key beyond the field": (little(FIELD + 3), message, signature),
        "halves exchanged": (key, message, signature[32:] + r),
    }
    for bit in range(0, 512, 31):
        cases[f"bit {bit} of the signature"] = key, message, flipped(signature, bit)
    for bit in range(0, 256, 43):
        cases[f"bit {bit} of the key"] = flipped(key, bit), message, signature
        cases[f"bit {bit} of the message"] = key, flipped(message, bit), signature
    # Under a key of small order, s = 0 and R such a point are a signature of every eighth message to who does not look.
    for number, point in enumerate(map(bytes.fromhex, SMALL_ORDER)):
        cases[f"key of small order {number}"] = point, message, point + bytes(32)
        cases[f"key of small order {number}, R of none"] = point, message, little(1) + bytes(32)
        cases[f"R of small order {number}"] = key, message, point + signature[32:]
    return cases


GENUINE, FORGED = genuine(), forged()
TEXTS = {f"{length} bytes": RANDOM.randbytes(length) for length in LENGTHS}


def verification(case: tuple[bytes, bytes, bytes]) -> str:
    return f"verify_signature({', '.join(map(lua_string, case))})"


def expressions() -> Mapping[str, str]:
    return {
        **{f"hash {name}": f"sha512({lua_string(text)})" for name, text in TEXTS.items()},
        **{f"good {name}": verification(case) for name, case in GENUINE.items()},
        **{f"bad {name}": verification(case) for name, case in FORGED.items()},
    }


def expected() -> dict[str, bytes | str]:
    return {
        **{f"hash {name}": hashlib.sha512(text).digest() for name, text in TEXTS.items()},
        **{f"good {name}": "true" for name in GENUINE},
        **{f"bad {name}": "false" for name in FORGED},
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_signatures_are_believed_when_they_are_ones(engine: str) -> None:
    assert evaluate(expressions(), modules="verify_signature", engine=engine) == expected()


@pytest.mark.parametrize("interpreter", [*SYSTEM_LUAS, "lua55"])
def test_so_they_are_in_the_programs_of_the_system(interpreter: str) -> None:
    """Their numbers, operators and compilers are not all those of the libraries."""
    evaluations = "".join(
        f"do local value = {expression} print({lua_string(name.encode())} .. '\\t' .. shown(value)) end\n"
        for name, expression in expressions().items()
    )
    result = run_lua(interpreter, modules_source("verify_signature") + HELPERS + evaluations, timeout_seconds=120)
    assert (result.error, result.compile_error) == (None, None)
    answers = dict(line.split("\t") for line in result.output.split("\n"))
    wanted = {name: value if isinstance(value, str) else "s" + value.hex() for name, value in expected().items()}
    assert answers == wanted
