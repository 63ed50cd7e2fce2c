"""Copies of a build differ where its template has places, nowhere else, and behave alike; what a leaked copy has is read from it."""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.crypto import KeyedStream
from moonlatch.licensing.tracing import Code
from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.reading import read
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError
from moonlatch.obfuscator.template import MOST_PLACES, Copier, Place, Template, TemplateError
from support.lifting import renamed
from support.luau import run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS
from support.rounds import IS_LONG, rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("marked builds")

FEW = ("json.lua", "sha256.lua")
PROGRAMS = ALL_PROGRAMS if IS_LONG else [one for one in ALL_PROGRAMS if one.name in (*FEW, "promises_with_await.luau")]
PLAIN = [one for one in LUA51_PROGRAMS if one in PROGRAMS]
JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua")


@functools.cache
def marked(program: Path, profile: str, seed: int = 1) -> tuple[Protected, Template]:
    outcome = pipeline.protect(program.read_bytes(), Options(profile, has_marks=True), seed)
    assert isinstance(outcome, Protected)
    assert outcome.template is not None
    return outcome, outcome.template


def word(template: Template, seed: object) -> list[int]:
    chance = random.Random(str(seed))
    return [chance.randrange(2) for _ in template.places]


def copy(template: Template, bits: list[int]) -> str:
    return Copier(template).text(map(bool, bits)).decode("ascii")


@pytest.mark.parametrize("profile", PROFILES)
def test_copies_behave_as_the_original(profile: str) -> None:
    sources = [one.read_text("latin-1") for one in PROGRAMS]
    texts = [copy(template := marked(one, profile)[1], word(template, one.name)) for one in PROGRAMS]
    assert run_luau_batch(texts) == run_luau_batch(sources)


@pytest.mark.parametrize("lua", ["lua51", "luajit21"])
@pytest.mark.parametrize("profile", PROFILES)
def test_copies_behave_as_the_original_on_plain_lua(profile: str, lua: str) -> None:
    sources = [one.read_text("latin-1") for one in PLAIN]
    texts = [copy(template := marked(one, profile)[1], word(template, one.stem)) for one in PLAIN]
    assert run_lua_batch(lua, texts) == run_lua_batch(lua, sources)


@given(st.data())
@settings(max_examples=rounds(10, 200))
def test_two_copies_differ_where_their_words_do_and_nowhere_else(data: st.DataObject) -> None:
    program = data.draw(st.sampled_from(PROGRAMS[: rounds(1, 99)]))
    outcome, template = marked(program, data.draw(st.sampled_from(sorted(PROFILES))))
    bits = word(template, data.draw(st.integers(0, 99)))
    text = copy(template, bits)
    at = 0
    for piece, place, bit in zip(template.pieces, template.places, bits, strict=False):
        assert place.first != place.second
        expected = (piece + (place.second if bit else place.first)).decode("ascii")
        assert text.startswith(expected, at)
        at += len(expected)
    assert text[at:].encode("ascii") == template.pieces[-1]
    assert text.count("\n") == outcome.text.count("\n") == max(len(outcome.line_map.lines) - 1, 0)
    assert copy(template, [0] * len(bits)) == outcome.text


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda one: one.name)
def test_a_leaked_copy_is_read_whole_after_renaming_and_reformatting(program: Path, profile: str) -> None:
    _, template = marked(program, profile)
    bits = word(template, "leak")
    text = copy(template, bits)
    assert read(template, text.encode("ascii")) == bits
    assert read(template, renamed(text).encode("ascii")) == bits


@pytest.mark.parametrize("profile", ["standard", "maximum"])
def test_what_was_changed_is_missing_and_the_rest_is_read(profile: str) -> None:
    _, template = marked(JSON, profile)
    bits = word(template, "leak")
    text = copy(template, bits)
    around = f"local mine = {{1}}; (function(...) print(mine) {renamed(text)} end)(...) print('bye')"
    found = read(template, around.encode("ascii"))
    assert all(one in (None, bit) for one, bit in zip(found, bits, strict=True))
    assert found.count(None) < 0.05 * len(bits)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_copy_that_stands_in_a_leak_more_than_once_is_read(profile: str) -> None:
    """Nothing of it stands there once; of two copies that differ, which hides no more than to mix them does, it is the first."""
    _, template = marked(JSON, profile)
    one, other = word(template, "one"), word(template, "other")
    leak = "\n".join(f"do {renamed(copy(template, bits))} end" for bits in (one, other, one))
    assert read(template, leak.encode("ascii")) == one


def test_another_script_has_none_of_the_marks() -> None:
    _, template = marked(JSON, "maximum")
    found = read(template, b"local x = 5 for i = 1, 10 do if x == i then print(i) end end")
    assert found == [None] * len(template.places)
    others = [one.read_bytes() for one in LUA51_PROGRAMS if one != JSON]
    leak = b"\n".join(b"do " + one + b"\nend" for one in others for _ in range(2))
    assert read(template, leak).count(None) >= 0.99 * len(template.places)


def test_what_is_no_script_cannot_be_read() -> None:
    with pytest.raises(LuauSyntaxError):
        read(marked(JSON, "minify")[1], b"local = 1")


def test_a_build_of_eight_kilobytes_has_places_for_two_leakers_and_none_has_too_many() -> None:
    parts = [one.read_bytes() for one in LUA51_PROGRAMS if one.name in ("json.lua", "sha256.lua")]
    source = b"\n".join(b"do\n" + part + b"\nend" for part in parts)
    outcome = pipeline.protect(source, Options("maximum", has_marks=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.template is not None
    assert 7_500 < len(source) < 8_500
    assert 512 <= len(outcome.template.places) <= MOST_PLACES


@pytest.mark.parametrize("profile", PROFILES)
def test_comparisons_that_have_effects_or_operands_in_an_order_stay(profile: str) -> None:
    source = b"""
    local order = setmetatable({}, {__lt = function(a, b) print(rawequal(a, order), b) return true end, __eq = print})
    local function say(x) print("say", x) return x end
    print(say(1) < say(2), say(3) == say(4), say(5) >= 5, 6 ~= say(6), 7 > say(8))
    print(pcall(function() return order < 5 end), select(2, pcall(function() return nil > "x" end)))
    local text = "5" print(text == "5", text ~= 5, nil == text, #text == 1, (0/0) == 1, not (text == nil))
    """
    outcome = pipeline.protect(source, Options(profile, has_marks=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.template is not None
    texts = [copy(outcome.template, [bit] * len(outcome.template.places)) for bit in (0, 1)]
    results = run_luau_batch([*texts, source.decode()])
    first, second, plain = (re.sub(r"script:\d+:", "", result.output) for result in results)
    assert first == second == plain


def test_without_marks_there_is_no_template() -> None:
    outcome = pipeline.protect(b"print(1 == 2)", Options("light"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.template is None


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3), st.integers(0, 9)), max_size=9))
def test_templates_are_kept_as_they_are(places: list[tuple[bytes, bytes, int]]) -> None:
    template = Template([b"x"] * (len(places) + 1), [Place(*place) for place in places])
    assert Template.from_bytes(template.to_bytes()) == template


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"", lambda data: b"zz"]
)
def test_what_is_no_template_is_refused(change: object) -> None:
    data = Template([b"x", b"y"], [Place(b"a", b"b")]).to_bytes()
    assert callable(change)
    with pytest.raises(TemplateError):
        Template.from_bytes(change(data))


def test_a_template_with_too_few_pieces_is_refused() -> None:
    with pytest.raises(TemplateError):
        Template.from_bytes(Template([b"x"], [Place(b"a", b"b")]).to_bytes())


def script_of(kilobytes: int) -> bytes:
    """A script of that size, put together from the programs of the benchmarks."""
    parts: list[bytes] = []
    for program in sorted((Path(__file__).parents[2] / "bench" / "programs").glob("*.lua")):
        parts.append(b"do\n" + program.read_bytes() + b"\nend\n")
        if sum(map(len, parts)) >= kilobytes * 1_000:
            break
    return b"".join(parts)


@pytest.mark.parametrize(("kilobytes", "members"), [(8, 1), (12, 3)] if IS_LONG else [(3, 1)])
def test_leaks_of_real_builds_are_traced_after_renaming_and_reformatting(kilobytes: int, members: int) -> None:
    """Among many keys, a copy that members put together place by place, and that was renamed and formatted anew."""
    outcome = pipeline.protect(script_of(kilobytes), Options("maximum", has_marks=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.template is not None
    template, keys, found, leaks = outcome.template, rounds(300, 10_000), 0, rounds(1, 50)
    for seed in range(leaks):
        chance = random.Random(seed)
        code = Code(KeyedStream(chance.randbytes(32)).draw, len(template.places))
        words = [list(code.word(f"key {chance.randrange(keys)}")) for _ in range(members)]
        leak = renamed(copy(template, [int(chance.choice(bits)) for bits in zip(*words, strict=True)]))
        trial = code.trial(read(template, leak.encode("ascii")))
        suspects, _ = trial.suspects([f"key {number}" for number in range(keys)], most=members + 5)
        named = [one for one in suspects if one.is_named]
        guilty = [word for one in named if (word := list(code.word(one.holder))) in words]
        assert len(guilty) == len(named), "somebody innocent was named"
        found += bool(named)
    assert found >= (1.0 if members == 1 else 0.9) * leaks
