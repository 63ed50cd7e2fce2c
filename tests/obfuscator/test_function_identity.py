"""Which closures are the same one: what Luau shares stays shared, and what a host makes anew is made anew."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.analysis.sharing import shared_functions
from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY, constant_pool
from moonlatch.obfuscator.syntax.parser import parse
from support.generated.draw import Scope
from support.generated.prelude import prelude
from support.generated.program import Program
from support.generated.scenes import identity
from support.luau import run_lua, run_luau, run_luau_batch
from support.protecting import TARGETS, kept_build, protected, protected_with
from support.rounds import rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("function identity")

everywhere = pytest.mark.parametrize("target", TARGETS)
each_profile = pytest.mark.parametrize("profile", PROFILES)

VECTORS = """
local function vec(x)
    return setmetatable({ x = x }, { __eq = function(a, b) return a.x == b.x end, __lt = function(a, b) return a.x < b.x end })
end
print(vec(1) == vec(1))
print(pcall(function() return vec(1) < vec(2) end))
"""
# The body of a function whose result is compared with that of another call, and what Luau says of the two.
MAKERS = {
    "captures nothing": ("return function() return 1 end", True),
    "captures a local of the script": ("return function() return top end", True),
    "captures a local that changes": ("return function() return changing end", False),
    "captures a value of its own": ("local own = {} return function() return own end", False),
    "captures a parameter": ("return function() return given end", False),
    "captures a constant": ("local own = 'text' return function() return own end", True),
    "captures a folded constant": ("local one = 2 local own = one + 3 return function() return own end", True),
    "captures nothing yet": ("local own return function() return own end", True),
    "captures what Luau leaves out": ("local own = {} return function() if false then return own end end", True),
    "captures a helper": ("local function helper() return 1 end return function() return helper() end", True),
    "captures a helper with a value": (
        "local function helper() return given end return function() return helper() end",
        False,
    ),
    "captures a helper in parentheses": (
        "local helper = (function() return 1 end) return function() return helper() end",
        False,
    ),
    "captures a helper under a cast": (
        "local helper = (function() return 1 end :: any) return function() return helper() end",
        False,
    ),
    "calls itself": ("local function own(n) return n and own() end return own", True),
    "captures the function around it": (
        "local function own() return function() return own end end return own()",
        False,
    ),
    "is a field": ("local object = {} function object.call() return 1 end return object.call", True),
    "is a method": ("local object = {} function object:call() return self end return object.call", True),
    "is a global": ("function made() return 1 end return made", True),
    "takes any number": ("return function(...) return top, ... end", True),
    "is made by a function called at once": ("return (function() return function() return top end end)()", True),
    "mentions texts and numbers": ("return function(a) return a.first_name == 'someone' and 12345 or top end", True),
}


def comparison(body: str) -> str:
    """Compares two closures that one expression makes, in a function and in a loop."""
    return f"""
    local top, changing = {{}}, 1
    changing = 2
    local function make(given) {body} end
    print(make(1) == make(2))
    local kept = {{}}
    for given = 1, 2 do kept[given] = (function() {body} end)() end
    print(kept[1] == kept[2])
    local seen = {{}}
    seen[make(3)] = 'first' seen[make(4)] = 'second'
    print(seen[make(3)])
    """


SOURCES = [comparison(body) for body, _ in MAKERS.values()]


def generated(seed: int) -> str:
    """Closures drawn at random, compared in every way there is."""
    generator = random.Random(seed)
    writer = Program(generator, portable=False)
    scenes = [writer.one_of(identity.SCENES)(writer, Scope()) for _ in range(6)]
    blocks = [
        writer.pick("do SCENE end", "try(function(...) SCENE end, 1)", "for _ = 1, 2 do SCENE end") for _ in scenes
    ]
    return prelude(portable=False) + "\n".join(
        block.replace("SCENE", scene) for block, scene in zip(blocks, scenes, strict=True)
    )


def test_luau_is_understood() -> None:
    seen = [run_luau(source).output.split("\n")[0] for source in SOURCES]
    assert dict(zip(MAKERS, seen, strict=True)) == {
        name: str(is_shared).lower() for name, (_, is_shared) in MAKERS.items()
    }


def test_what_is_shared_is_told_from_the_source() -> None:
    found = {}
    for name, (body, _) in MAKERS.items():
        chunk = parse(f"local top, changing = {{}}, 1 changing = 2 local function make(given) {body} end")
        resolution = resolve(chunk)
        shared = shared_functions(chunk, resolution)
        last = [frame.node for frame in resolution.frames if frame.node is not None][-1]
        found[name] = last in shared
    assert found == {name: is_shared for name, (_, is_shared) in MAKERS.items()}


def test_nothing_is_shared_in_a_script_that_sets_environments() -> None:
    chunk = parse("local f = function() end setfenv(f, {})")
    assert shared_functions(chunk, resolve(chunk)) == set()


@each_profile
@everywhere
def test_luau_shares_the_same_closures_as_before(profile: str, target: str | None) -> None:
    before = run_luau_batch(SOURCES)
    for seed in range(1, 1 + rounds(1, 2)):
        after = run_luau_batch([kept_build(source, profile, seed, target=target) for source in SOURCES])
        assert dict(zip(MAKERS, after, strict=True)) == dict(zip(MAKERS, before, strict=True))


@each_profile
@everywhere
def test_objects_compare_by_metamethods_that_each_of_them_got(profile: str, target: str | None) -> None:
    for seed in range(4):
        assert run_luau(protected(VECTORS, profile, seed, target=target)).output == "true\ntrue\ttrue"


@each_profile
@pytest.mark.parametrize("interpreter", ["lua51", "luajit21", "lua54"])
def test_a_lua_that_makes_every_closure_anew_goes_on_doing_so(profile: str, interpreter: str) -> None:
    plain = [source for source in SOURCES if "::" not in source]
    for source in plain:
        before = run_lua(interpreter, source)
        for target in (None, "lua51")[: rounds(1, 2)]:
            assert run_lua(interpreter, kept_build(source, profile, 1, target=target)) == before


@pytest.mark.parametrize("pair", list(combinations([one.KEY for one in REGISTRY if one is not constant_pool], 2)))
def test_no_two_passes_together_part_what_luau_shares(pair: tuple[str, str]) -> None:
    text = protected_with(VECTORS, {*pair, constant_pool.KEY})
    assert run_luau(text).output == "true\ntrue\ttrue"


@each_profile
@everywhere
def test_generated_closures_compare_as_before(profile: str, target: str | None) -> None:
    sources = [generated(seed) for seed in range(rounds(5, 12))]
    before = run_luau_batch(sources)
    assert [one for one in before if one.compile_error or one.crashed] == []
    after = run_luau_batch([protected(source, profile, 5, target=target) for source in sources])
    assert [
        source for source, one, other in zip(sources, before, after, strict=True) if one.output != other.output
    ] == []


@pytest.mark.parametrize("macro", ["LA_NO_VIRTUALIZE", "LPH_NO_UPVALUES"])
def test_functions_that_stay_native_are_shared_too(macro: str) -> None:
    body = "local own = 5 return MACRO(function() return 'text', 4321 end)".replace("MACRO", macro)
    source = f"local function make() {body} end print(make() == make())"
    assert run_luau(protected(source, "maximum")).output == "true"
    native = "local top = {} local function make() return LA_NO_VIRTUALIZE(function() return top end) end print(make() == make())"
    assert run_luau(protected(native, "maximum")).output == "true"


def test_a_script_with_runtime_variables_keeps_what_is_shared() -> None:
    source = "local top = {} local function make() return function() return top end end print(make() == make(), la_executions, ...)"
    for profile in PROFILES:
        text = protected(source, profile, client=True)
        called = f"local function chunk(...) {text} end chunk({{ la_executions = 3 }}, 'rest')"
        assert run_luau(called).output == "true\t3\trest"
