"""What LuaJIT compiles wrongly at run time, in versions that hosts have, and passes therefore must not write."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.luau import SYSTEM_LUAS, run_lua_batch
from support.protecting import keys_of_pass_alone, protected, protected_with

SEEDS = range(1, 6)
WRITERS = [name for name in PROFILES if name != "minify"]

METHOD_WITH_VARARGS = """
local C = {}
C.__index = C
function C.init(self, p) self.v = p.d end
function C.new(class, ...)
  local s = setmetatable({}, class)
  s:init(...)
  return s
end
for i = 1, 300 do
  local o = C:new({ d = i })
  if o.v ~= i then error("wrong at " .. i) end
end
print("ok")
"""
SELECT_IN_A_LOOP = """
local wrong = 0
local function add(expected, ...)
  local sum = 0
  for i = 1, select('#', ...) do sum = sum + select(i, ...) end
  if sum ~= expected then wrong = wrong + 1 end
end
for i = 1, 100 do add(1, 1) add(3, 1, 2) add(15, 1, 2, 3, 4, 5) add(0) end
print(wrong)
"""
# The state machine of `flatten_control_flow` is a loop as well, of which the reads become part.
READS_AFTER_BRANCHES = """
local wrong = 0
local function larger(flag, ...)
  local t = {}
  if flag then t.kind = "a" else t.kind = "b" end
  local x, y = ...
  if x > y then t.value = x else t.value = y end
  local z = select("#", ...) > 2 and (...) or y
  if z == nil then t.other = "none" else t.other = "some" end
  return t.value + z
end
for i = 1, 10000 do
  if larger(i % 2 == 0, i, 3) ~= math.max(i, 3) + 3 then wrong = wrong + 1 end
  if larger(i % 3 == 0, i, 5000, 7) ~= math.max(i, 5000) + i then wrong = wrong + 1 end
end
print(wrong)
"""
RIGHT = {METHOD_WITH_VARARGS: "ok", SELECT_IN_A_LOOP: "0", READS_AFTER_BRANCHES: "0"}

# The original is wrong there itself, and its build need not be.
READS_IN_LOOPS = """
local wrong = 0
local function sum(...)
  local total = 0
  for i = 1, 3 do total = total + i end
  local a, b, c = ...
  while true do
    local d = ...
    total = total + d + a + (b or 0) + (c or 0)
    if total then break end
  end
  return total, { (...), a }, ({ ... })[1]
end
for i = 1, 10000 do
  local s, list, one = sum(i)
  if s ~= 6 + 2 * i or list[1] ~= i or list[2] ~= i or one ~= i then wrong = wrong + 1 end
  s, list, one = sum(i, 2, 3, 4)
  if s ~= 11 + 2 * i or list[1] ~= i or list[2] ~= i or one ~= i then wrong = wrong + 1 end
end
print(wrong)
"""
LOOPS_FROM_NAN = """
local nan, entered = 0 / 0, {}
local function between(from, to) for i = from, to do return i end return "none" end
for i = 1, 10000 do
  if i % 3 == 0 then entered[#entered + 1] = between(i % 5, 4) == i % 5 and 0 or 1 end
  entered[#entered + 1] = between(i, nan) == "none" and 0 or 1
  entered[#entered + 1] = between(nan, i) == "none" and 0 or 1
end
local sum = 0
for i = 1, #entered do sum = sum + entered[i] end
print(sum)
"""


def outputs(interpreter: str, texts: list[str]) -> set[str]:
    return {result.output or repr(result) for result in run_lua_batch(interpreter, texts)}


@pytest.mark.parametrize("profile", WRITERS)
@pytest.mark.parametrize("source", RIGHT, ids=["method_with_varargs", "select_in_a_loop", "reads_after_branches"])
def test_values_of_varargs_are_right_in_code_that_is_compiled_at_run_time(source: str, profile: str) -> None:
    texts = [source, *(protected(source, profile, seed, target="lua51") for seed in SEEDS)]
    assert {interpreter: outputs(interpreter, texts) for interpreter in SYSTEM_LUAS} == {
        interpreter: {RIGHT[source]} for interpreter in SYSTEM_LUAS
    }


@pytest.mark.parametrize("key", [one.KEY for one in REGISTRY])
def test_values_of_varargs_are_right_after_each_pass_alone(key: str) -> None:
    texts = [protected_with(source, keys_of_pass_alone(key), target="lua51") for source in RIGHT]
    for interpreter in ("luajit", "luajit -joff"):
        assert [result.output for result in run_lua_batch(interpreter, texts)] == list(RIGHT.values())


@pytest.mark.parametrize("profile", WRITERS)
def test_a_build_reads_varargs_before_its_loops(profile: str) -> None:
    texts = [protected(READS_IN_LOOPS, profile, seed, target="lua51") for seed in SEEDS]
    assert outputs("luajit", texts) == {"0"}


def test_a_loop_from_nan_does_not_run_in_the_machine() -> None:
    texts = [protected(LOOPS_FROM_NAN, "maximum", seed, target="lua51") for seed in SEEDS]
    assert {interpreter: outputs(interpreter, texts) for interpreter in ("luajit", "luajit -joff", "lua5.1")} == {
        interpreter: {"0"} for interpreter in ("luajit", "luajit -joff", "lua5.1")
    }
    # Lua 5.4 does run a loop from NaN, once.
    assert outputs("lua5.4", texts) == outputs("lua5.4", [LOOPS_FROM_NAN]) == {"10000"}
