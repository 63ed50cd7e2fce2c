"""The loader's X25519 against the published vectors, against Python's, and at the edges of the field, in every Lua."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from moonlatch.client.loader_source import lua_string, modules_source
from support.lua_host import ENGINES
from support.lua_host.answers import HELPERS, evaluate
from support.luau import SYSTEM_LUAS, run_lua

RANDOM = random.Random(7748)
FIELD = 2**255 - 19
NINE = bytes([9]) + bytes(31)
BOB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"

RFC_7748 = [  # sections 5.2 and 6.1: scalar, u-coordinate, result
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
    (NINE.hex(), NINE.hex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
    (BOB, NINE.hex(), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
    (
        BOB,
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ),
]

EDGES = [2, FIELD - 2, FIELD + 2, FIELD + 18, 2**255 - 1, 2**255 + 9, 2**256 - 1, 2**254, 2**85 - 1]
"""u-coordinates near the field's ends, some of them not written in their own way, none of small order."""

SMALL_ORDER = [0, 1, FIELD - 1, FIELD, FIELD + 1]


def exchanged(secret: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def cases() -> dict[str, tuple[bytes, bytes, bytes]]:
    found = {
        f"RFC 7748, {number}": tuple(map(bytes.fromhex, vector)) for number, vector in enumerate(RFC_7748, start=1)
    }
    for number in range(4):
        secret, public = RANDOM.randbytes(32), RANDOM.randbytes(32)
        found[f"random {number}"] = secret, public, exchanged(secret, public)
    for number, edge in enumerate(EDGES):
        secret, public = (bytes(32), b"\xff" * 32, RANDOM.randbytes(32))[number % 3], edge.to_bytes(32, "little")
        found[f"edge {number}"] = secret, public, exchanged(secret, public)
    for number, point in enumerate(SMALL_ORDER):
        found[f"small order {number}"] = RANDOM.randbytes(32), point.to_bytes(32, "little"), bytes(32)
    return found


CASES = cases()
EXPRESSIONS = {
    name: f"x25519({lua_string(secret)}, {lua_string(public)})" for name, (secret, public, _) in CASES.items()
}
EXPECTED = {name: result for name, (_, _, result) in CASES.items()}


def test_the_vectors_are_the_published_ones() -> None:
    for secret, public, result in list(CASES.values())[: len(RFC_7748)]:
        assert exchanged(secret, public) == result


@pytest.mark.parametrize("engine", ENGINES)
def test_both_sides_agree(engine: str) -> None:
    assert evaluate(EXPRESSIONS, modules="x25519", engine=engine) == EXPECTED


@pytest.mark.parametrize("interpreter", [*SYSTEM_LUAS, "lua55"])
def test_so_they_do_in_the_programs_of_the_system(interpreter: str) -> None:
    """Their numbers, operators and compilers are not all those of the libraries."""
    evaluations = "".join(
        f"do local value = {expression} print({lua_string(name.encode())} .. '\\t' .. shown(value)) end\n"
        for name, expression in EXPRESSIONS.items()
    )
    result = run_lua(interpreter, modules_source("x25519") + HELPERS + evaluations, timeout_seconds=120)
    assert (result.error, result.compile_error) == (None, None)
    answers = dict(line.split("\t") for line in result.output.split("\n"))
    assert answers == {name: "s" + value.hex() for name, value in EXPECTED.items()}
