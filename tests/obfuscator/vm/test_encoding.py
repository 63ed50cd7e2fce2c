from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.encoding import Pool, Stream
from support.luau import run_lua, run_luau

NUMBERS = [0, 1, 51, 52, 94, 95, 1000, 2**20, 2**31, 2**40]


def test_lua_reads_the_numbers_that_were_written() -> None:
    for seed in range(10):
        stream = Stream.drawn(random.Random(seed))
        text = stream.encode(NUMBERS, 7).replace("\\", "\\\\").replace('"', '\\"')
        read = stream.read_source("value", "data", "at", "state", "byte")
        source = (
            f'local data, byte = "{text}", string.byte local at, state = 1, {stream.keystream.start_source("7")} '
            f"for index = 1, {len(NUMBERS)} do {read} print(string.format('%.0f', value)) end"
        )
        expected = "\n".join(map(str, NUMBERS))
        assert run_luau(source).output == expected
        assert run_lua("lua51", source).output == expected


def test_a_number_of_another_place_is_written_differently() -> None:
    stream = Stream.drawn(random.Random(1))
    assert stream.encode([1, 2, 3, 4, 5, 6], 1) != stream.encode([1, 2, 3, 4, 5, 6], 2)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=30, unique=True), st.integers(0, 2**32), st.booleans())
def test_a_decoder_gives_back_every_constant(contents: list[bytes], seed: int, keeps: bool) -> None:
    pool = Pool(random.Random(seed))
    places = [pool.place(Constant(content, is_number=False)) for content in contents]
    number = pool.place(Constant(b"-12.5e3", is_number=True))
    shown = " ".join(
        f"for _ = 1, 2 do local text = decode({place}) print(#text, string.byte(text, 1, -1)) end" for place in places
    )
    source = f"{pool.decoder_source('decode', keeps=keeps)} {shown} print(decode({number}) == -12500)"
    expected = [
        f"{len(content)}\t" + "\t".join(map(str, content)) if content else "0" for content in contents for _ in range(2)
    ]
    assert run_luau(source).output.splitlines() == [*expected, "true"]
