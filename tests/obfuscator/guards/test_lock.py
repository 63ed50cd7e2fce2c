"""What Python locks, every Lua opens, with its text and with no other."""

from __future__ import annotations

import random

import pytest

from moonlatch.obfuscator.guards.lock import locked
from moonlatch.obfuscator.guards.source import opening
from moonlatch.obfuscator.preparation.macros import LONGEST_OPENER
from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.target import Target
from support.luau import SYSTEM_LUAS, run_lua, run_luau_batch

# Around the sizes of HMAC's key and of a block; all bytes there are; and what is longest.
OPENERS = [
    *(bytes(random.Random(size).randbytes(size)) for size in (0, 1, 3, 4, 31, 63, 64, 65, 127, 128, 129)),
    bytes(range(256)),
    b"\0" * 64,
    b"long" * (LONGEST_OPENER // 4),
]


def opened_by(texts: list[bytes], inputs: list[bytes]) -> str:
    """A script that prints what each input opens of the text in its place."""
    calls = "\n".join(
        f"print(call({place}, {spelling.string(one, Target.LUA51)}, nil, nil, {place}))"
        for place, one in enumerate(inputs, 1)
    )
    chunk = parse(calls)
    chunk.body.body[:0] = opening("open", "call", texts).statements
    return print_chunk(chunk, Target.LUA51)


def locked_for(openers: list[bytes]) -> list[bytes]:
    text = b"local _, place = ... return function() return 'opened ' .. place end"
    return [locked(text, opener, random.Random(place)) for place, opener in enumerate(openers)]


@pytest.mark.parametrize("host", [*SYSTEM_LUAS, "luau"])
def test_every_lua_opens_what_is_locked(host: str) -> None:
    source = opened_by(locked_for(OPENERS), OPENERS)
    result = run_luau_batch([source], 120, loads=True)[0] if host == "luau" else run_lua(host, source, 120)
    assert result.output.splitlines() == [f"opened {place}" for place in range(1, len(OPENERS) + 1)]


def test_nothing_else_opens_it() -> None:
    opener = b"Wq7.vN2x-Rk40Jd_Lm81Zt"
    others = [opener[:-1], opener + b"\0", opener + b" ", opener.lower(), b"", opener[::-1], opener * 2]
    others += [bytes([*opener[:place], opener[place] ^ 1, *opener[place + 1 :]]) for place in range(len(opener))]
    source = opened_by(locked_for([opener] * len(others)), others)
    assert set(run_lua("lua5.4", source).output.splitlines()) <= {""}


def test_the_same_text_is_locked_otherwise_in_each_place() -> None:
    one, other = (locked(b"return 1", b"opener", random.Random(seed)) for seed in (1, 2))
    assert len(one) == len(other)
    assert sum(a == b for a, b in zip(one, other, strict=True)) < len(one) / 10


def test_another_text_with_the_same_seed_lies_under_another_stream() -> None:
    one, other = (locked(text, b"opener", random.Random(1)) for text in (b"return 1", b"return 2"))
    assert sum(a == b for a, b in zip(one, other, strict=True)) < len(one) / 10
    assert locked(b"return 1", b"opener", random.Random(1)) == one


def test_a_texts_length_is_told_in_steps() -> None:
    lengths = {len(locked(b"x" * size, b"opener", random.Random(1))) for size in range(65, 129)}
    assert len(lengths) == 1
