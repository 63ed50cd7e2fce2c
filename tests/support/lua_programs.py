"""A grammar for Luau programs that terminate, print what they compute, and never fail with a source position.

Every operation is guarded so that it works on any value; errors that scripts raise carry tables or plain text.
"""

from __future__ import annotations

import random

PRELUDE = """
local kind_of = type
local function show(value)
    local kind = kind_of(value)
    if kind == "number" then return string.format("%.14g", value) end
    if kind == "table" then return "table:" .. #value end
    if kind == "function" then return "function" end
    return tostring(value)
end
local function say(...)
    local parts = {}
    for index = 1, select("#", ...) do parts[index] = show((select(index, ...))) end
    print(table.concat(parts, " "))
end
local function num(value) return if kind_of(value) == "number" and value == value and value < 1e300 and value > -1e300 then value else 1 end
local function str(value) return string.sub(show(value), 1, 200) end
local function tab(value) return if kind_of(value) == "table" then value else { 1, 2, name = "n" } end
local function fun(value) return if kind_of(value) == "function" then value else function(...) return ..., 7 end end
local fuel = 400
local function burn() fuel -= 1 return fuel > 0 end
"""

NAMES = ["alpha", "beta", "gamma", "delta", "a", "b", "self", "type", "continue", "value_of_things"]
GLOBALS = ["shared", "counter", "c", "d"]
FIELDS = ["name", "x", "longer_field", "end_"]


class _Writer:
    """Draws one program; `names` are the locals in scope."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator
        self.size = 0

    def pick(self, *choices: str) -> str:
        return self.generator.choice(choices)

    def leaf(self, names: list[str]) -> str:
        kind = self.pick("name", "name", "number", "string", "constant", "global")
        if kind == "name" and names:
            return self.pick(*names)
        if kind == "global":
            return self.pick(*GLOBALS)
        if kind == "string":
            return self.pick(
                '"text"', "'it\\'s'", '"\\0\\1\\255z"', "[[long\nstring]]", '""', '"caf\\u{e9} 9"', '"%d %s"'
            )
        if kind == "constant":
            return self.pick("nil", "true", "false", "{}", "{ 1, 2, 3 }", "{ name = 'n', [5] = 1000 }")
        return self.pick("0", "1", "2.5", "1000", "123456", "1e3", "0xFF", "9007199254740993", ".125", "-1", "0b11")

    def expression(self, names: list[str], depth: int) -> str:
        self.size += 1
        if depth <= 0 or self.size > 120:
            return self.leaf(names)
        one = lambda: self.expression(names, depth - 1)  # noqa: E731 - used a dozen times below
        kind = self.pick(
            "arith",
            "arith",
            "compare",
            "logic",
            "concat",
            "unary",
            "leaf",
            "if",
            "interpolated",
            "table",
            "index",
            "call",
            "group",
            "function",
            "method",
            "varargs",
        )
        if kind == "arith":
            operator = self.pick("+", "-", "*", "/", "%", "^", "//")
            return f"num({one()}) {operator} num({one()})"
        if kind == "compare":
            return self.pick(
                f"num({one()}) < num({one()})",
                f"({one()}) == ({one()})",
                f"({one()}) ~= ({one()})",
                f"str({one()}) <= str({one()})",
            )
        if kind == "logic":
            return f"({one()} {self.pick('and', 'or')} {one()})"
        if kind == "concat":
            return f"str({one()}) .. str({one()}) .. {self.pick('1', '2.5')} .. 'end'"
        if kind == "unary":
            return self.pick(
                f"not ({one()})", f"-num({one()})", f"#tab({one()})", f"- -num({one()})", f"-num({one()}) ^ 2"
            )
        if kind == "if":
            return f"(if {one()} then {one()} elseif {one()} then {one()} else {one()})"
        if kind == "interpolated":
            return f"`a {{str({one()})}} 100% {{show({one()})}} \\{{`"
        if kind == "table":
            return f"{{ {one()}, name = {one()}, [{self.pick('1', '2', '1234', chr(34) + 'a b' + chr(34))}] = {one()}, {one()} }}"
        if kind == "index":
            return self.pick(
                f"tab({one()})[{self.pick('1', '2', '1234')}]",
                f"tab({one()}).{self.pick(*FIELDS)}",
                f"tab({one()})['{self.pick(*FIELDS)}']",
            )
        if kind == "call":
            return f"fun({one()})({one()}, {one()})"
        if kind == "group":
            return f"(fun({one()})({one()}))"
        if kind == "method":
            return f"(str({one()})):{self.pick('upper()', 'rep(2)', 'sub(2, -2)')}"
        if kind == "varargs":
            return f"(function(...) return select('#', ...), ... end)({one()}, nil)"
        parameter = self.pick(*NAMES)
        return f"function({parameter}, ...) if burn() then {self.block([*names, parameter], depth - 1)} end return {self.expression([*names, parameter], depth - 1)} end"

    def block(self, names: list[str], depth: int) -> str:
        names = list(names)
        return " ".join(self.statement(names, depth) for _ in range(self.generator.randint(1, 3)))

    def statement(self, names: list[str], depth: int) -> str:
        self.size += 1
        value = lambda: self.expression(names, min(depth, 2))  # noqa: E731
        if depth <= 0 or self.size > 120:
            return f"say({value()})"
        kind = self.pick(
            "local",
            "local",
            "assign",
            "compound",
            "say",
            "say",
            "if",
            "while",
            "for",
            "generic",
            "repeat",
            "function",
            "do",
            "pcall",
            "several",
            "coroutine",
        )
        if kind == "local":
            made = self.pick(*NAMES)
            text = f"local {made} = {value()}"
            names.append(made)
            return text
        if kind == "several":
            first, second = self.pick(*NAMES), self.pick(*NAMES)
            text = f"local {first}, {second} = {value()}, fun({value()})({value()}, nil)"
            names += [first, second]
            return text
        if kind == "assign":
            return self.pick(*names, *GLOBALS) + f" = {value()}"
        if kind == "compound":
            return f"counter = num(counter) counter {self.pick('+', '-', '*')}= num({value()}) shared = str(shared) shared ..= str({value()})"
        if kind == "if":
            return f"if {value()} then {self.block(names, depth - 1)} elseif {value()} then {self.block(names, depth - 1)} else {self.block(names, depth - 1)} end"
        if kind == "while":
            return f"while burn() and {value()} do {self.block(names, depth - 1)} if {value()} then {self.pick('break', 'continue')} end say('round') end"
        if kind == "for":
            loop = self.pick(*NAMES)
            return f"for {loop} = 1, {self.pick('2', '3', '4 - 1')} do if not burn() then break end {self.block([*names, loop], depth - 1)} end"
        if kind == "generic":
            key, item = self.pick(*NAMES), self.pick(*NAMES)
            return f"for {key}, {item} in ipairs(tab({value()})) do if not burn() then break end if {value()} then continue end {self.block([*names, key, item], depth - 1)} end"
        if kind == "repeat":
            done = self.pick(*NAMES)
            return f"repeat local {done} = {value()} {self.block([*names, done], depth - 1)} until {done} or not burn()"
        if kind == "function":
            made, parameter = self.pick(*NAMES), self.pick(*NAMES)
            text = f"local function {made}({parameter}, ...) if not burn() then return {parameter}, ... end {self.block([*names, made, parameter], depth - 1)} return {self.expression([*names, made, parameter], 1)}, ... end"
            names.append(made)
            return text
        if kind == "do":
            return f"do {self.block(names, depth - 1)} end"
        if kind == "pcall":
            return f"do local fine, problem = pcall(function() {self.block(names, depth - 1)} error({self.pick('{ 1, 2 }', chr(34) + 'text' + chr(34) + ', 0', 'nil', '12345')}) end) say(fine, kind_of(problem), if kind_of(problem) == 'string' then (string.gsub(problem, '^.-:%d+: ', '')) else problem) end"
        if kind == "coroutine":
            return f"do local routine = coroutine.wrap(function(...) {self.block(names, depth - 1)} coroutine.yield({value()}, ...) return {value()} end) say(pcall(routine, 1, nil)) say((pcall(routine))) end"
        return f"say({value()}, {value()})"


def lua_program(generator: random.Random) -> str:
    """A program of a few dozen statements, drawn from the generator alone."""
    writer = _Writer(generator)
    names: list[str] = []
    body = "\n".join(writer.statement(names, 4) for _ in range(generator.randint(2, 7)))
    return f"{PRELUDE}\n{body}\nsay(shared, counter)\n"
