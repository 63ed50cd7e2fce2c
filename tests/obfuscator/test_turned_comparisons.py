"""The source's own marks: comparisons that each copy has from one side or the other behave alike, and survive a tool that undoes the protection."""

from __future__ import annotations

import random
import re

import pytest

from moonlatch.crypto import KeyedStream
from moonlatch.licensing.tracing import Code
from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.reading import read
from moonlatch.obfuscator.template import Copier, Template
from support.generated.differences import Kind, programs
from support.lifting import lifted, renamed
from support.luau import run_lua_batch, run_luau_batch
from support.protecting import LUA51_PROGRAMS
from support.rounds import IS_LONG, rounds

# What would show that something is evaluated in another order, or another metamethod called.
ALIKE = {
    "locals": "local a, b = 1, 2 print(a < b, a <= b, a > b, a >= b, b < a, a >= a)",
    "not a number": "local n, one = 0/0, 1 print(n < one, one < n, n <= n, n >= one, not (n > one), n == 1, 1 ~= n)",
    "texts": "local a, b = 'a', 'b' print(a < b, 'ab' > a, b >= 'b', a == 'a', 'x' ~= b)",
    "metamethods of an order": """
        local seen = {}
        local meta = {__lt = function(a, b) seen[#seen + 1] = 'lt' .. a.n .. b.n return a.n < b.n end,
                      __le = function(a, b) seen[#seen + 1] = 'le' .. a.n .. b.n return a.n <= b.n end}
        local x, y = setmetatable({n = 1}, meta), setmetatable({n = 2}, meta)
        print(x < y, x > y, x <= y, x >= y, table.concat(seen, ' '))""",
    "metamethods of ==": """
        local seen = {}
        local meta = {__eq = function(a, b) seen[#seen + 1] = a.n .. b.n return true end}
        local x, y = setmetatable({n = 1}, meta), setmetatable({n = 2}, meta)
        print(x == y, y == x, x ~= y, x == nil, x ~= 5, false == y, table.concat(seen, ' '))""",
    "errors": """
        local a, b = nil, {}
        local function why(f) local _, message = pcall(f) print((string.gsub(message, '^[^ ]*:%d+: ', ''))) end
        why(function() return a < 5 end) why(function() return 5 < a end) why(function() return b > 'x' end)
        why(function() return a >= b end) why(function() return b <= a end)""",
    "a call that changes its other operand": """
        local x = 1
        local function up(by) x = x + by return x end
        print(up(1) < x, x < up(1), x > up(2), up(3) >= x)
        local y = 5 local function say(v) print('say', v) return v end
        print(say(4) < y, y <= say(6), say(1) > say(2), say(3) == 3, 'p' ~= say('q'))""",
    "globals with effects": """
        local log = {}
        local env = setmetatable({}, {__index = function(_, name) log[#log + 1] = name return #name end})
        print(env.aa < env.b, env.ccc > 2, 3 == env.ddd, table.concat(log, ' '))""",
    "conditions": """
        local function kind(v) if v == nil then return 'nil' elseif v ~= true and 5 > v then return 'small' end return 'other' end
        print(kind(nil), kind(3), kind(true), kind(9))
        for i = 1, 5 do if i == 2 then print('two') elseif 3 < i then print('more') end end
        local n = 3 while n > 0 do n = n - 1 end repeat n = n + 1 until n >= 2 print(n)""",
    "in values": "local a, b = 3, 4 local t = {a < b, x = a == 3, [a > b] = 'k'} print(t[1], t.x, t[false], not (a < b), (a < b) == true)",
    "captured": "local c, n = 0, 2 local function up() c = c + 1 return c > n, c == 2 end print(up(), up(), up())",
}
SEED = 7_100
ALL = "\n".join(f"do {text} end" for text in ALIKE.values())


def marked(source: str, profile: str, seed: int = 1) -> Template:
    outcome = pipeline.protect(source.encode("latin-1"), Options(profile, has_marks=True), seed)
    assert isinstance(outcome, Protected), outcome
    assert outcome.template is not None
    return outcome.template


def copy(template: Template, bits: list[int]) -> str:
    return Copier(template).text(map(bool, bits)).decode("ascii")


def words(template: Template, count: int) -> list[list[int]]:
    chance = random.Random(len(template.places))
    size = range(len(template.places))
    return [[bit for _ in size] for bit in (0, 1)] + [[chance.randrange(2) for _ in size] for _ in range(count)]


@pytest.mark.parametrize("profile", PROFILES)
def test_either_side_does_the_same(profile: str) -> None:
    sources = [*ALIKE.values(), ALL] if IS_LONG else [ALL]
    pairs = [
        (copy(template, bits), source)
        for source in sources
        for template in [marked(source, profile)]
        for bits in words(template, rounds(2, 10))
    ]
    texts, originals = [text for text, _ in pairs], [source for _, source in pairs]
    wanted = run_luau_batch(originals)
    assert all(result.error is None and result.compile_error is None for result in wanted)
    assert run_luau_batch(texts) == wanted
    for lua in ("lua51", "luajit21"):
        assert run_lua_batch(lua, texts) == run_lua_batch(lua, originals)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("local a, b = ... print(a < b, a >= b)", 2),
        ("local a, b = ... print(a == b, a ~= b)", 0),
        ("print(f() == 5, nil ~= f(), f() < 1, 'x' >= f())", 4),
        ("print(f() < g(), x < y, x == y, f().a > g().b)", 0),
        ("local a = ... print(f() < a, a < f(), a < x)", 3),
        ("local a = ... local function set() a = 1 end print(f() < a, a < 5, set)", 1),
        ("print(1 < 2, nil == false, 'a' == 'b')", 0),
        ("print({} == nil, function() end ~= 5)", 0),
        ("print(LPH_NO_UPVALUES(function(a) return a == 5 end))", 0),
        ("print(LA_VARIANT(f(a == 5), g(5 == a)))", 1),
    ],
)
def test_a_comparison_is_a_choice_where_nothing_can_tell(source: str, count: int) -> None:
    assert sum(bool(place.choice) for place in marked(source, "minify").places) == count


def test_the_machine_has_none_in_code_that_runs_often() -> None:
    source = """
    local function often(x) return x == 5 end
    local function seldom(x) return x == 6 end
    local quick = LA_NO_VIRTUALIZE(function(x) for i = 1, x do if i == 7 then return i end end end)
    for i = 1, 10 do if i == 8 then print(often(i)) end end
    print(seldom(1), quick(2))
    """

    def count(profile: str) -> int:
        return sum(bool(place.choice) for place in marked(source, profile).places)

    assert (count("standard"), count("maximum")) == (4, 2)


@pytest.mark.parametrize("profile", PROFILES)
def test_generated_programs_behave_the_same_with_any_word(profile: str) -> None:
    sources = [source for kind in (Kind.RICH, Kind.PLAIN) for source in programs(SEED, rounds(3, 60), kind)]
    texts = [copy(template := marked(source, profile), words(template, 1)[2]) for source in sources]
    told = [
        [(re.sub(r"script:\d+:", "", one.output), one.error is None) for one in run_luau_batch(batch)]
        for batch in (texts, sources)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("profile", PROFILES if IS_LONG else ["minify", "maximum"])
def test_a_perfect_lift_names_its_key_where_there_are_enough(profile: str) -> None:
    """Nothing is left of a copy but its source, from those sides; among many keys its own is named, and none that is innocent ever."""
    handlers = [
        f"events['{number}'] = function(a, b) if a == {number} then b = a end return b ~= '{number}' and {number % 7} < a end"
        for number in range(rounds(70, 200))
    ]
    programs_too = [one.read_text("latin-1") for one in LUA51_PROGRAMS if one.name in ("json.lua", "sha256.lua")]
    source = "\n".join(["local events = {}", *handlers, *(f"do {text}\nend" for text in programs_too), "return events"])
    template = marked(source, profile)
    keys = rounds(300, 10_000)
    for seed in range(rounds(2, 20)):
        chance = random.Random(seed)
        code = Code(KeyedStream(chance.randbytes(32)).draw, len(template.places))
        leaker = f"key {chance.randrange(keys)}"
        bits = [int(bit) for bit in code.word(leaker)]
        found = read(template, lifted(source, profile, template, bits).encode("latin-1"))
        choices = [(one, bit) for place, one, bit in zip(template.places, found, bits, strict=True) if place.choice]
        assert [one for one, bit in choices if one not in (None, bit)] == []
        assert sum(one is not None for one, _ in choices) >= 0.95 * len(choices)
        suspects, _ = code.trial(found).suspects([f"key {number}" for number in range(keys)], most=5)
        assert [one.holder for one in suspects if one.is_named] == [leaker]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_copy_is_read_with_its_own_places(profile: str) -> None:
    template = marked(ALL, profile)
    for bits in words(template, 2)[2:]:
        found = read(template, renamed(copy(template, bits)).encode("ascii"))
        assert [(at, one) for at, one in enumerate(found) if one not in (None, bits[at])] == []
        assert found.count(None) < 0.05 * len(found)
