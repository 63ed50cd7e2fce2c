"""`LA_VARIANT`: copies have one spelling or the other, behave as if only that had been written, and tell which also when their machine is undone."""

from __future__ import annotations

import random
import time

import pytest

from moonlatch.crypto import KeyedStream
from moonlatch.licensing.tracing import Code
from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.reading import read
from moonlatch.obfuscator.template import Copier, Template
from support.lifting import choices_of, lifted, renamed, with_variants
from support.luau import run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS
from support.rounds import IS_LONG, rounds

# Of each kind of value, alone and in each kind of place; the two do different things here, so that a mix-up is seen.
KINDS = {
    "literals": "print(LA_VARIANT('one text', 'another text'), LA_VARIANT(5, 7) + LA_VARIANT(1000000, 2000000))",
    "constants": "print(LA_VARIANT(nil, true), LA_VARIANT(false, nil), not LA_VARIANT(true, false))",
    "operators": "local x, y = 7, 2 print(LA_VARIANT(x + y, x - y), LA_VARIANT(x % y, x / y) * 2, LA_VARIANT(-x, #'abc') ^ 2)",
    "calls": "print(1, LA_VARIANT(select(1, 'a', 'b'), select(2, 'c', 'd')))",
    "only the chosen one runs": "local function say(x) print(x) return x end print(LA_VARIANT(say('first'), say('second')))",
    "tables": "local t = LA_VARIANT({1, 2, x = 3}, {4, x = 5}) print(#t, t.x, LA_VARIANT({y = 1}, {y = 2}).y)",
    "functions": "local f = LA_VARIANT(function(a) return a * 2 end, function(a) local b = a return b + b + 1 end) print(f(4))",
    "called at once": "local n = 3 LA_VARIANT(function() n = n + 1 end, function() n = n + 2 end)() print(n)",
    "methods": "print(LA_VARIANT('abc', 'xyz'):upper(), (LA_VARIANT('q', 'r')):rep(3))",
    "conditions": "for i = 1, 4 do if LA_VARIANT(i > 2, i < 2) then print(i) end end while LA_VARIANT(false, nil) do end",
    "and, or": "local a = tonumber('x') print(a or LA_VARIANT('p', 'q'), a and LA_VARIANT(1, 2), LA_VARIANT(a, 5) or LA_VARIANT(6, a))",
    "loops": "for i = LA_VARIANT(1, 2), LA_VARIANT(3, 4) do print(i, LA_VARIANT(i * i, i + i)) end",
    "keys": "local t = {[LA_VARIANT('k', 'l')] = 1} t[LA_VARIANT('m', 'n')] = 2 print(t.k, t.l, t.m, t.n)",
    "captured": "local c = 0 local function up() c = c + 1 return c end print(up(), LA_VARIANT(c + up(), up() + c), c)",
    "varargs": "print((function(...) return LA_VARIANT(..., select('#', ...)) end)('v', 'w'))",
    "returned": "local function f(x) return LA_VARIANT(x .. 'end', 'begin' .. x) end print(f('-'), (f('+')))",
    "libraries": "local floor = math.floor print(LA_VARIANT(floor(2.5), math.ceil(2.5)), LA_VARIANT(floor, math.abs)(-1.5))",
    "errors": "print(pcall(function() return LA_VARIANT(error('x', 0), nil + 1) end) and 1 or 0)",
    "lines": "local x = LA_VARIANT(\n  function()\n    return 1\n  end,\n  function() return\n 2 end)\nprint(x())",
    "deep": "local function f(n) if n == 0 then return LA_VARIANT('a', 'b') end return f(n - 1) .. LA_VARIANT(n, -n) end print(f(3))",
    "arithmetic around": "print(2 * LA_VARIANT(3, 4) ^ 2 .. LA_VARIANT(1, 2) .. 'x', 1 - LA_VARIANT(2, 3) - 4, -LA_VARIANT(2, 3))",
}
SCRIPT = "\n".join(f"do {text} end" for text in KINDS.values())


MOST_SECONDS = 20.0


def marked(source: str, profile: str, seed: int = 1) -> tuple[Protected, Template]:
    outcome = pipeline.protect(source.encode(), Options(profile, has_marks=True), seed)
    assert isinstance(outcome, Protected), outcome
    assert outcome.template is not None
    return outcome, outcome.template


def copy(template: Template, bits: list[int]) -> str:
    return Copier(template).text(map(bool, bits)).decode("ascii")


def words(template: Template) -> list[list[int]]:
    """All first spellings, all second ones, and words between."""
    chance = random.Random(1)
    return [[bit] * len(template.places) for bit in (0, 1)] + [
        [chance.randrange(2) for _ in template.places] for _ in range(rounds(2, 20))
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_copy_does_what_its_spellings_do_alone(profile: str) -> None:
    texts: list[str] = []
    sources: list[str] = []
    for source in [*KINDS.values(), SCRIPT] if IS_LONG else [SCRIPT]:
        _, template = marked(source, profile)
        for bits in words(template):
            texts.append(copy(template, bits))
            sources.append(with_variants(source, choices_of(template, bits))[0])
    wanted = run_luau_batch(sources)
    assert all(result.error is None and result.compile_error is None for result in wanted)
    assert run_luau_batch(texts) == wanted
    for lua in ("lua51", "luajit21"):
        assert run_lua_batch(lua, texts) == run_lua_batch(lua, sources)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_use_is_a_place_of_its_own(kind: str, profile: str) -> None:
    _, template = marked(KINDS[kind], profile)
    _, count = with_variants(KINDS[kind], {})
    # Comparisons come after them.
    assert sorted(place.choice for place in template.places if place.choice)[:count] == [*range(1, count + 1)]


@pytest.mark.parametrize("profile", PROFILES)
def test_which_was_taken_is_read_from_a_copy_and_from_what_a_tool_makes_of_it(profile: str) -> None:
    program = next(one for one in ALL_PROGRAMS if one.name == "json.lua")
    source = f"{program.read_text('latin-1')}\n{SCRIPT}"
    _, template = marked(source, profile)
    for bits in words(template)[2:]:
        found = read(template, renamed(copy(template, bits)).encode("ascii"))
        wrong = [(at, one) for at, one in enumerate(found) if one is not None and one != bits[at]]
        assert wrong == []
        assert found.count(None) < 0.05 * len(found)
        back = read(template, lifted(source, profile, template, bits).encode("ascii"))
        told = {place.choice: one for place, one in zip(template.places, back, strict=True) if place.choice}
        choices = choices_of(template, bits)
        assert len(choices) >= with_variants(source, {})[1]
        assert {number for number, one in told.items() if one not in (None, choices[number])} == set()
        assert sum(one is None for one in told.values()) <= 0.1 * len(told)


def test_a_leak_full_of_what_its_script_is_made_of_is_read_all_the_same() -> None:
    """Of what does not fit around a variant there may be any number: to look at each for each variant took a minute."""
    source = "\n".join(
        f"function f{number}(a) local b = LA_VARIANT(a + 1, a + 2) g(a, b) return LA_VARIANT(b - a, b + a) end"
        for number in range(300)
    )
    _, template = marked(source, "light")
    around = "\n".join(
        f"function f{number}(a) z() local b = a + 3 z() g(a, b) z() return z() or b - a end" for number in range(300)
    )
    filling = "function q(a) local b = a * 1 g(a, b) return b % a end x = a + 1 x = a + 2 x = b - a x = b + a " * 20_000
    began = time.thread_time()
    found = read(template, f"{around}\n{filling}".encode())
    assert time.thread_time() - began < MOST_SECONDS
    assert found.count(None) == len(found)


def test_only_copies_have_second_spellings() -> None:
    outcome = pipeline.protect(b"print(LA_VARIANT('one', 'two'))", Options("minify"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.text == 'print"one"' or outcome.text == 'print("one")'


def test_copies_have_the_same_lines() -> None:
    outcome, template = marked(f"print(1)\n{KINDS['lines']}\nerror('here')", "light")
    first, second = (copy(template, [bit] * len(template.places)) for bit in (0, 1))
    assert first.count("\n") == second.count("\n") == len(outcome.line_map.lines) - 1
    errors = [result.error for result in run_luau_batch([first, second])]
    assert errors[0] == errors[1] is not None


@pytest.mark.parametrize(
    ("source", "warning"),
    [
        ("local a, b = 1, 2 print(LA_VARIANT(a, b))", "differ in nothing that is left when variables are renamed"),
        ("f(LA_VARIANT(x < y, y > x))", "differ in nothing that is left when variables are renamed"),
        (
            "LA_GUARD(f() == 'Wq7.vN2x-Rk40Jd_Lm81Zt', function() print(LA_VARIANT(1, 2)) end)",
            "has no effect in LA_GUARD and around it; the first spelling is taken",
        ),
    ],
)
def test_uses_that_mark_nothing_are_warned_of(source: str, warning: str) -> None:
    outcome, template = marked(source, "light")
    assert [warning in one for one in outcome.warnings] == [True]
    assert not any(place.choice for place in template.places)


def test_another_engine_gets_the_first() -> None:
    outcome = pipeline.protect(b"f(LA_VARIANT(1, 2))", Options("minify", keeps_macros=True), 1)
    assert isinstance(outcome, Protected)
    assert outcome.text == "f(1)"
    assert outcome.warnings == ["line 1: LA_VARIANT has no effect with another engine"]


def test_enough_of_them_name_who_passed_a_lifted_copy_on() -> None:
    """Among many keys, from what a tool brought back to source: nothing of a copy's own marks is left there."""
    lines = [f"print(LA_VARIANT('{number} first', 'second {number}'), '{number}')" for number in range(160)]
    source = "\n".join(lines)
    _, template = marked(source, "standard")
    keys = rounds(300, 10_000)
    for seed in range(rounds(1, 20)):
        chance = random.Random(seed)
        code = Code(KeyedStream(chance.randbytes(32)).draw, len(template.places))
        leaker = f"key {chance.randrange(keys)}"
        found = read(
            template, lifted(source, "standard", template, [int(bit) for bit in code.word(leaker)]).encode("ascii")
        )
        assert sum(bit is not None for bit in found) >= 150
        suspects, _ = code.trial(found).suspects([f"key {number}" for number in range(keys)], most=5)
        assert [one.holder for one in suspects if one.is_named] == [leaker]
