"""Decoys are functions of the script like any other, but that nothing ever calls them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from moonlatch.obfuscator.analysis.scopes import Resolution, resolve
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.pool import ConstantPool
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.decoys import plant_decoys
from support.luau import run_lua, run_luau
from support.protecting import LUA51_PROGRAMS

SEEDS = range(1, 9)
# A compiler of Lua's has no room in that one for another local; the machine has.
PROGRAMS = [program for program in LUA51_PROGRAMS if program.stem != "many_locals"]
SCRIPT = """
local Account, opened = {}, 0
Account.__index = Account
local function label(account) return account.owner .. ": " .. account.balance end
function Account.open(owner, balance)
    opened = opened + 1
    return setmetatable({ owner = owner, balance = balance or 0, history = {} }, Account)
end
function Account:deposit(amount)
    if amount <= 0 then error("not a deposit", 0) end
    self.balance = self.balance + amount
    self.last = "deposit"
    return label(self)
end
function Account:withdraw(amount)
    local left = self.balance - amount
    if left < 0 then return nil, "too little on the account" end
    self.balance = left
    self.last = "withdrawal"
    return label(self)
end
local function audit(account, note)
    local function line(text) return note .. " " .. text end
    return line(label(account)), opened
end
local total = 0
for index = 1, 5 do total = total + (function(step) return step * 2 end)(index) end
local account = Account.open("amber", 20)
print(account:deposit(22), account:withdraw(50), account:withdraw(2), total)
print(pcall(account.deposit, account, -1), audit(account, "checked"), audit(account, "again"))
"""


# Every function gets what is true and what is not, in turn, and most variables of the script's are assigned but captured by nothing.
# What functions share is not known where decoys are made, so that something else stands for it.
ALTERNATING = (
    "local one, two, three, four = 1, 2, 3, 4 one = two + three two = one three = two four = one "
    "do local hidden = {} function keep(a) hidden[1] = a return hidden[1] end function kept() return hidden end end "
    + "".join(
        f"local function f{number}(a, b) local c = a if b then c = b end return tostring(c) == a end "
        for number in range(6)
    )
    + "".join(f"print(f{number}(true, false), f{number}(false, true), one, two) " for number in range(6)) * 3
    + "one, two, three, four = four, three, two, one print(one, two, three, four)"
)


@dataclass
class Planted:
    """A script with its decoys, and what its names meant before and mean now."""

    unit: Unit
    decoys: set[s.Function]
    before: Resolution
    after: Resolution

    @property
    def text(self) -> str:
        return print_chunk(self.unit.chunk)

    @property
    def own(self) -> list[s.Function | None]:
        """The script's own functions."""
        return [frame.node for frame in self.before.frames]


def planted(source: str, seed: int, native: int = 0) -> Planted:
    """Of the script's functions, the first so many are `native`."""
    chunk = parse(source.encode("latin-1"))
    before = resolve(chunk)
    functions = [frame.node for frame in before.frames if frame.node is not None]
    unit = Unit(chunk, before, Options("maximum"), Target.LUA51, seed, ConstantPool("pool"))
    decoys = plant_decoys(unit, set(functions[:native]), random.Random(seed))
    return Planted(unit, decoys, before, resolve(chunk))


def captured(resolution: Resolution) -> dict[s.Function | None, set[s.Binding]]:
    return {frame.node: {symbol.binding for symbol in frame.upvalues} for frame in resolution.frames}


class Sizes(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.names = 0

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self.names += 1
        return node


def names_in(block: s.Block) -> int:
    sizes = Sizes()
    sizes.block(block)
    return sizes.names


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_script_with_decoys_does_what_it_did(program: Path) -> None:
    source = program.read_text("latin-1")
    expected = run_lua("lua51", print_chunk(parse(source.encode("latin-1"))))
    assert expected.error is None
    for seed in (1, 2):
        assert run_lua("lua51", planted(source, seed).text).output == expected.output


def test_no_decoy_is_ever_entered() -> None:
    for source, seed in product((SCRIPT, ALTERNATING), SEEDS):
        expected = run_luau(source).output
        made = planted(source, seed)
        assert made.decoys
        for decoy in made.decoys:
            said = s.Call(s.Name("print", 1), [s.String(b"a decoy ran", 1)], 1)
            decoy.body.body.insert(0, s.CallStatement(said, 1))
        assert run_luau(made.text).output == expected
        assert run_lua("lua51", made.text).output == expected


def test_what_a_decoy_says_is_seen_when_something_calls_it() -> None:
    made = planted(SCRIPT, 1)
    for function in made.own:
        if function is not None:
            said = s.Call(s.Name("print", 1), [s.String(b"ran", 1)], 1)
            function.body.body.insert(0, s.CallStatement(said, 1))
    assert "ran" in run_luau(made.text).output


def test_all_that_a_decoy_names_is_declared_where_it_stands() -> None:
    for seed in SEEDS:
        made = planted(SCRIPT, seed)
        assert made.after.globals.keys() == made.before.globals.keys()
        assert made.after.assigned_globals.keys() == made.before.assigned_globals.keys()


def test_variables_of_the_script_stay_what_they_are() -> None:
    """One that becomes a cell would be slower, and one more capture of a closure's would live as long as that."""
    for source, seed in product((SCRIPT, ALTERNATING), SEEDS):
        made = planted(source, seed)
        for binding, symbol in made.before.symbols.items():
            now = made.after.symbols[binding]
            assert (now.is_assigned and now.is_captured) == (symbol.is_assigned and symbol.is_captured)
        now_captured = captured(made.after)
        for function, bindings in captured(made.before).items():
            assert now_captured[function] & made.before.symbols.keys() == bindings


def test_something_would_use_each_decoy_that_has_a_name() -> None:
    for seed in SEEDS:
        made = planted(SCRIPT, seed)
        named = [one for one in statements(made.unit.chunk.body) if isinstance(one, s.LocalFunction)]
        ours = [one for one in named if one.function in made.decoys and one.binding not in made.before.symbols]
        inner = {one.binding for decoy in made.decoys for one in statements(decoy.body) if one in ours}
        assert all(made.after.symbols[one.binding].references for one in ours if one.binding not in inner)


def statements(block: s.Block) -> Iterator[s.Statement]:
    """All that stand in it, also in functions."""
    found: list[s.Statement] = []

    class Finder(Rewriter):
        def statement(self, node: s.Statement) -> s.Statement:
            found.append(node)
            super().statement(node)
            return node

    Finder().block(block)
    return iter(found)


class Texts(Rewriter):
    """What is said outside of decoys."""

    def __init__(self, decoys: set[s.Function]) -> None:
        super().__init__(decoys)
        self.found: list[bytes] = []

    def rewrite_string(self, node: s.String) -> s.Expression:
        self.found.append(node.value)
        return node

    def rewrite_call(self, node: s.Call) -> s.Expression:
        # What a decoy would be called with is not read before that.
        return (
            node
            if isinstance(node.function, s.Name) and node.function.name.startswith("w")
            else super().rewrite_call(node)
        )


def test_code_that_runs_says_no_text_of_the_script_more_often_than_it_did() -> None:
    for seed in SEEDS:
        made = planted(SCRIPT, seed)
        before, now = Texts(set()), Texts(made.decoys)
        before.chunk(parse(SCRIPT.encode()))
        now.chunk(made.unit.chunk)
        texts = Counter(before.found)
        assert {text: count for text, count in Counter(now.found).items() if text in texts} == texts


def test_decoys_take_a_bounded_share() -> None:
    for seed in SEEDS:
        made = planted(SCRIPT, seed)
        before = names_in(parse(SCRIPT.encode()).body)
        now = names_in(made.unit.chunk.body)
        assert before < now < 2 * before


def test_hot_functions_loops_and_native_functions_stay_as_they_are() -> None:
    for seed in SEEDS:
        made = planted(SCRIPT, seed, native=3)
        text = made.text
        assert "for index=1,5 do total=total+(function(step)return step*2 end)(index)end" in text
        assert 'local function label(account)return account.owner..": "..account.balance end' in text


def test_nothing_is_made_of_what_is_left_alone() -> None:
    """What a native function has in it, such as a loop, is not looked at, and so nobody knows what a copy of it would be."""
    kept = "function kept(list) for _, item in ipairs(list) do print(item) end end "
    source = (
        f"local other {kept} function other(list) local function inner() while list do list = nil end end inner() end"
    )
    for seed in SEEDS:
        chunk = parse(source.encode())
        before = resolve(chunk)
        _, first, _, inner = [frame.node for frame in before.frames]
        assert first is not None
        assert inner is not None
        unit = Unit(chunk, before, Options("maximum"), Target.LUA51, seed, ConstantPool("pool"))
        assert not plant_decoys(unit, {first, inner}, random.Random(seed))


def test_types_are_no_hindrance() -> None:
    source = "local function area(shape) type Shape = number local wide: Shape = shape :: Shape return wide end print(area(2))"
    for seed in SEEDS:
        assert planted(source, seed).decoys


def test_a_script_without_a_function_that_runs_seldom_gets_none() -> None:
    made = planted("for index = 1, 3 do print(index) end", 1)
    assert not made.decoys
    assert made.text == print_chunk(parse(b"for index = 1, 3 do print(index) end"))
