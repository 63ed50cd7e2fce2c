"""Scripts of other dialects of Lua are refused with Luau's own first message and one hint that names the dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.syntax.diagnostics import hint_of, parser_output
from support.corpus import accepted_scripts, broken_scripts
from support.luau import compile_luau_batch

GOTO = "Lua 5.2 or newer, LuaJIT, GLua (Garry's Mod) or CfxLua (FiveM)"
LUA53 = "Lua 5.3 or newer or CfxLua (FiveM)"
LUA54 = "Lua 5.4 or newer or CfxLua (FiveM)"
CFXLUA = "CfxLua (FiveM)"
GLUA = "GLua (Garry's Mod)"
# (script, what it reads like, what is named)
FOREIGN = [
    ("for i = 1, 3 do\n  if i == 2 then goto continue end\n  print(i)\n  ::continue::\nend\n", GOTO, "`goto` (line 2) write `continue`"),
    ("while true do\n  ::again::\n  work()\nend\n", GOTO, "`::label::` (line 2)"),
    ("local x <const> = 5\nprint(x)\n", LUA54, "`<const>` (line 1) write the name alone"),
    ("local f <close> = open()\nprint(f)\n", LUA54, "`<close>` (line 1)"),
    ("local x = 1 << 2\nprint(x)\n", LUA53, "`<<` (line 1) write `bit32.lshift(a, b)`"),
    ("local x = a << b\nprint(x)\n", LUA53, "`<<` (line 1)"),
    ("local x = 8 >> 2\nprint(x)\n", LUA53, "`>>` (line 1) write `bit32.rshift(a, b)`"),
    ("local x = a & 0xff\nprint(x)\n", LUA53, "`&` (line 1) write `bit32.band(a, b)`"),
    ("local x = a | 0xff\nprint(x)\n", LUA53, "`|` (line 1) write `bit32.bor(a, b)`"),
    ("local x = a ~ 0xff\nprint(x)\n", LUA53, "`~` (line 1) write `bit32.bxor(a, b)`"),
    ("local x = ~a\nprint(x)\n", LUA53, "`bit32.bnot(a)`"),
    ("local x = 0x1.8p3\nprint(x)\n", GOTO, "`0x1.8p3` (line 1) write the number in decimal"),
    ("local x = 0x1p4\nprint(x)\n", GOTO, "`0x1.8p3` (line 1)"),
    ("local x = 1ULL\nprint(x)\n", "LuaJIT", "`1ULL` (line 1)"),
    ("local x = 0xffLL\nprint(x)\n", "LuaJIT", "`0xffLL` (line 1)"),
    ("if a != b then\n  print(a)\nend\n", GLUA, "`!=` (line 1) write `~=`"),
    ("if a && b then\n  print(a)\nend\n", GLUA, "`&&` (line 1) write `and`"),
    ("if a || b then\n  print(a)\nend\n", GLUA, "`||` (line 1) write `or`"),
    ("if !a then\n  print(a)\nend\n", GLUA, "`!` (line 1) write `not`"),
    ("// an addon of mine, don't copy\nprint(1)\n", GLUA, "`// comment` (line 1) write `-- comment`"),
    ("local a = 5 // the answer here\nprint(a)\n", GLUA, "`// comment` (line 1)"),
    ("/* a block\nof text */\nprint(1)\n", f"{GLUA} or {CFXLUA}", "`/*` (line 1) write `--[[ ... ]]`"),
    ("local x = player?.name\nprint(x)\n", CFXLUA, "`?.` (line 1) write `a and a.b`"),
    ("player?.jump()\nprint(1)\n", CFXLUA, "`?.` (line 1)"),
    ("local x = list?[1]\nprint(x)\n", CFXLUA, "`?.` (line 1)"),
    ("local x, y, z in coords\nprint(x)\n", CFXLUA, "`local a, b in t` (line 1) write `local a, b = t.a, t.b`"),
    ("local x in coords\nprint(x)\n", CFXLUA, "`local a, b in t` (line 1)"),
    ("local set = { .a, .b }\nprint(set)\n", CFXLUA, "`{ .a, .b }` (line 1)"),
    ("flags |= 4\nprint(flags)\n", CFXLUA, "`|=` (line 1) write `a = bit32.bor(a, b)`"),
    ("flags &= 4\nprint(flags)\n", CFXLUA, "`&=` (line 1)"),
    ("flags <<= 4\nprint(flags)\n", CFXLUA, "`<<=` (line 1)"),
    ("flags >>= 4\nprint(flags)\n", CFXLUA, "`>>=` (line 1)"),
    ("defer close() end\nprint(1)\n", CFXLUA, "`defer` (line 1)"),
    ("global x, y\nprint(x)\n", "Lua 5.5", "`global` (line 1)"),
    ("global function f() end\n", "Lua 5.5", "`global` (line 1)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def luau_messages() -> dict[str, str | None]:
    scripts = [script for script, _, _ in FOREIGN]
    return {script: result.compile_error for script, result in zip(scripts, compile_luau_batch(scripts), strict=True)}


@pytest.mark.parametrize(("script", "dialect", "named"), FOREIGN)
def test_another_dialect_gets_luaus_message_and_one_hint(
    script: str, dialect: str, named: str, luau_messages: dict[str, str | None]
) -> None:
    faults = check(script)
    assert parser_output(faults) == luau_messages[script]
    assert hint_of(faults).startswith(f"This reads like {dialect}; Moonlatch takes Luau and Lua 5.1. Instead of ")
    assert named in hint_of(faults)


@pytest.mark.parametrize("named", [named for _, _, named in FOREIGN])
def test_what_is_refused_stands_in_the_reference(named: str) -> None:
    spelling = named.split("`")[1].replace("|", "\\|")
    page = (Path(__file__).parents[3] / "docs" / "reference" / "dialects.md").read_text("utf-8")
    assert f"`{spelling}`" in page


def test_everything_foreign_is_named_once_and_narrows_the_dialect() -> None:
    script = "local a <const> = `adder`\nlocal b = t?.x\nlocal c = t?.y\nlocal d, e in t\n"
    assert hint_of(check(script)) == (
        "This reads like CfxLua (FiveM); Moonlatch takes Luau and Lua 5.1. Instead of `<const>` (line 1) write the name alone,"
        ' or Luau\'s `const x = 1`; instead of a hash in backticks (line 1) write `joaat("adder")`; instead of `?.` (line 2)'
        " write `a and a.b`; instead of `local a, b in t` (line 4) write `local a, b = t.a, t.b`."
    )


def test_dialects_that_nobody_has_together_are_not_named() -> None:
    assert hint_of(check("local x <const> = 1\nif x != 2 then end\n")).startswith("This mixes other dialects of Lua;")


def test_a_fault_before_it_stays_and_those_behind_it_go() -> None:
    faults = check("local x = = 1\nprint(a != b)\nprint(a && b)\n")
    assert [(fault.line, fault.column, bool(fault.hint)) for fault in faults] == [(1, 11, False), (2, 9, True)]


@pytest.mark.parametrize(
    "script",
    [
        "local x: A | B = = 1",
        "type T = A & B\nlocal y = = f<<T>>(1)",
        "local x: number? = = 1",
        "local t = {\n a = 1\n b = 2\n}",
        "local average = total // count\nprint(average",
        "goto = 1\nprint(t.goto goto)",
        "local a ? b",
    ],
)
def test_what_luau_has_as_well_is_not_taken_for_another_dialect(script: str) -> None:
    faults = check(script)
    assert faults
    assert hint_of(faults) == ""


def test_a_broken_script_of_luau_gets_no_hint_of_a_dialect() -> None:
    """Each script of ours cut after every line: what is missing then is an end, not another language."""
    hinted = []
    for name, script in accepted_scripts().items():
        lines = script.split("\n")
        for end in range(1, len(lines)):
            hinted += [(name, end, fault.hint) for fault in check("\n".join(lines[:end])) if fault.hint]
    assert hinted == []


def test_the_scripts_of_the_corpus_that_are_foreign_are_recognised() -> None:
    foreign = {name for name, script in broken_scripts().items() if hint_of(check(script))}
    assert foreign == {
        "goto",
        "local-attribute-of-lua-5-4",
        "number-hexadecimal-float",
        "operator-bitwise",
        "operator-from-c-and",
        "operator-from-c-not",
        "operator-from-c-not-equal",
        "operator-from-c-or",
    }
