"""A build with a lock behaves as the original with any run key that was made for it, and does nothing without one."""

from __future__ import annotations

import functools
import random
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.run_lock import KEY_BYTES, LARGEST_MODULUS, MOST_FOUND, Lock, Owners, found_in
from moonlatch.obfuscator.transform.run_words import PLACE, REFUSAL, with_run_key
from support.luau import SYSTEM_LUAS, run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS
from support.rounds import IS_LONG

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("locked builds")

LOCKED = ["standard", "maximum"]
SHARE = 1 if IS_LONG else 4
LUAS = SYSTEM_LUAS if IS_LONG else ("lua5.1", "lua5.4", "luajit")
SEEDS = range(10 if IS_LONG else 1)
JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua")
WORDS = struct.Struct(">8I")
bits = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


@functools.cache
def locked(program: Path, profile: str, seed: int) -> tuple[bytes, Lock]:
    options = Options(profile, has_marks=seed % 2 == 1, needs_run_key=True)
    outcome = pipeline.protect(program.read_bytes(), options, seed)
    assert isinstance(outcome, Protected)
    assert outcome.lock is not None
    return outcome.text.encode("ascii"), outcome.lock


def opened(program: Path, profile: str, seed: int) -> str:
    """With the run key of somebody in it, whose words are as large as they get for some."""
    text, lock = locked(program, profile, seed)
    chance = random.Random(f"{program}{seed}")
    holder = chance.choice([chance.randbytes(KEY_BYTES), b"\xff" * KEY_BYTES])
    return with_run_key(text, lock.key(holder)).decode("ascii")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("profile", LOCKED)
def test_programs_behave_the_same_with_a_run_key(profile: str, seed: int) -> None:
    programs = ALL_PROGRAMS[seed % SHARE :: SHARE]
    before = run_luau_batch([one.read_text("latin-1") for one in programs])
    after = run_luau_batch([opened(one, profile, seed) for one in programs])
    differing = [one.name for one, first, second in zip(programs, before, after, strict=True) if first != second]
    assert differing == []


@pytest.mark.parametrize("lua", LUAS)
@pytest.mark.parametrize("profile", LOCKED)
def test_programs_behave_the_same_with_a_run_key_on_plain_lua(profile: str, lua: str) -> None:
    programs = LUA51_PROGRAMS[1 % SHARE :: SHARE]
    before = run_lua_batch(lua, [one.read_text("latin-1") for one in programs])
    after = run_lua_batch(lua, [opened(one, profile, 1) for one in programs])
    differing = [one.name for one, first, second in zip(programs, before, after, strict=True) if first != second]
    assert differing == []


WRONG = ["", "nil", "false", "7", '"short"', "{}", "{run_key=7}", '{run_key=("\\0"):rep(32)}']


@pytest.mark.parametrize("profile", LOCKED)
def test_without_a_run_key_of_its_own_a_build_says_so_and_does_nothing_else(profile: str) -> None:
    text, lock = locked(JSON, profile, 1)
    other = Lock.drawn(random.Random(5)).key(b"x" * KEY_BYTES)
    changed = bytearray(lock.key(b"x" * KEY_BYTES))
    changed[17] ^= 1
    keys = ["".join(f"\\{byte:03d}" for byte in key) for key in (other, changed)]
    calls = [*WRONG, *(f'{{run_key="{key}"}}' for key in keys)]
    texts = [f"(function(...) {text.decode('ascii')} end)({call})" for call in calls]
    results = [*run_luau_batch(texts), *run_lua_batch("lua5.1", texts), *run_lua_batch("luajit", texts)]
    assert {(one.output, one.error, one.crashed) for one in results} == {("", REFUSAL, False)}


@pytest.mark.parametrize("profile", LOCKED)
def test_the_table_that_a_build_is_called_with_has_its_run_key(profile: str) -> None:
    source = b"print(la_user_note, ...) print(la_is_premium)"
    outcome = pipeline.protect(source, Options(profile, client_chunk=True, needs_run_key=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.lock is not None
    key = "".join(f"\\{byte:03d}" for byte in outcome.lock.key(b"a" * KEY_BYTES))
    call = f'{{run_key="{key}",la_user_note="a note",la_is_premium=true}},"first",nil,3'
    text = f"(function(...) {outcome.text} end)({call})"
    results = [run_luau_batch([text])[0], *(run_lua_batch(lua, [text])[0] for lua in LUAS)]
    assert {(one.output, one.error) for one in results} == {("a note\tfirst\tnil\t3\ntrue", None)}


@pytest.mark.parametrize("profile", LOCKED)
def test_no_part_of_a_lock_stands_in_the_text(profile: str) -> None:
    text, lock = locked(JSON, profile, 2)
    numbers = set(re.findall(rb"\d+", text))
    assert b"%d" % lock.modulus in numbers
    assert [residue for residue in lock.residues if b"%d" % residue in numbers] == []


def test_profiles_that_hide_no_constants_by_key_need_none() -> None:
    for profile in PROFILES.keys() - LOCKED:
        outcome = pipeline.protect(b'print("x")', Options(profile, needs_run_key=True), 1)
        assert isinstance(outcome, Protected)
        assert outcome.lock is None
        assert PLACE not in outcome.text.encode()


def test_a_script_with_nothing_to_hide_needs_none() -> None:
    outcome = pipeline.protect(b"return ...", Options("standard", needs_run_key=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.lock is None


def near(key: bytes, holder: bytes) -> int:
    return Owners([key]).words_of(holder)


@given(st.integers(0, 2**63), bits)
def test_a_run_key_is_congruent_to_its_lock_and_near_to_whom_it_is_for(seed: int, holder: bytes) -> None:
    lock = Lock.drawn(random.Random(seed))
    key = lock.key(holder)
    assert tuple(word % lock.modulus for word in struct.unpack(">8I", key)) == lock.residues
    assert near(key, holder) == 8
    assert Lock.from_bytes(lock.to_bytes()) == lock


@given(bits, bits, st.integers(0, 8))
def test_each_word_names_by_itself(one: bytes, other: bytes, words: int) -> None:
    lock = Lock.drawn(random.Random(1))
    mixed = lock.key(one)[: 4 * words] + lock.key(other)[4 * words :]
    assert near(mixed, one) >= words
    assert near(mixed, other) >= 8 - words


@given(st.lists(bits, max_size=9), bits, st.data())
def test_of_many_keys_it_is_the_one_that_has_most_words(
    others: list[bytes], holder: bytes, data: st.DataObject
) -> None:
    """As comparing them one by one finds, also at the ends of what is near."""
    steps = st.sampled_from(
        [0, 1, -1, LARGEST_MODULUS - 1, LARGEST_MODULUS, 1 - LARGEST_MODULUS, -LARGEST_MODULUS, 2**20]
    )
    words = WORDS.unpack(holder)
    close = WORDS.pack(*(min(max(word + data.draw(steps), 0), 2**32 - 1) for word in words))

    def counted(key: bytes) -> int:
        return sum(abs(one - other) < LARGEST_MODULUS for one, other in zip(WORDS.unpack(key), words, strict=True))

    keys = [*others, close]
    assert Owners(keys).words_of(holder) == max(map(counted, keys))
    assert Owners([]).words_of(holder) == 0


def test_among_many_that_look_like_one_a_run_key_is_found() -> None:
    chance = random.Random(3)
    hashes = [chance.randbytes(KEY_BYTES) for _ in range(MOST_FOUND - 1)]
    key = Lock.drawn(chance).key(b"h" * KEY_BYTES)
    text = "\n".join(f"'{one.hex()}'," for one in [*hashes, *hashes, key])
    assert found_in(text.encode()) == [*hashes, key]


def test_a_word_is_near_to_few_holders() -> None:
    chance = random.Random(1)
    key = Lock.drawn(chance).key(chance.randbytes(KEY_BYTES))
    found = sum(near(key, chance.randbytes(KEY_BYTES)) for _ in range(20_000))
    assert found < 2 * 20_000 * 8 / 2**14


@pytest.mark.parametrize("data", [b"", b"x" * 35, b"x" * 37])
def test_other_bytes_are_no_lock(data: bytes) -> None:
    with pytest.raises(ValueError, match="a lock of"):
        Lock.from_bytes(data)
