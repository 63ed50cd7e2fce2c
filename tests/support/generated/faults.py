"""Generated scripts that fail again and again, each time on another line, and print what they are told of it.

In nested functions, methods, loops, coroutines and handlers, in statements of one line and of several. They run on every Lua.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

HEAD = """local object = { parts = { 1, 2, 3 } }
function object:itself() return self end
local function combine(...) return select("#", ...) end
local nothing
local handlers = {}
local function on(name, handler) handlers[name] = handler end
local function fire(name, ...) local handler = handlers[name] if handler then handler(...) end end
local function told(number, ok, message) print(number .. "\\t" .. tostring(ok) .. "\\t" .. tostring(message)) end
"""
# A number of the fault's own goes into the braces. Those of several lines raise on one that is not the first.
FAULTS = (
    'error("fault {}")',
    "local value = nothing value.field = {}",
    "local value = missing.deeper[{}]",
    "missing_function({})",
    "local value = {} + object",
    'local value = "a" .. nothing .. {}',
    "local value = #nothing + {}",
    'local value = {} < "text"',
    "object:absent({})",
    "object.parts.sub.sub = {}",
    "for step = {}, nothing do object.parts[1] = step end",
    "for _, value in nothing do object.parts[{}] = value end",
    "string.rep(nothing, {})",
    'local value = ("x"):rep(object, {})',
    "local value = combine(\n    {},\n    nothing.field,\n    3\n)",
    "local value = {{\n    first = {},\n    second = nothing + 1,\n    third = 3,\n}}",
    "local value = object\n    :itself()\n    :absent({})",
    "local value = {} +\n    object.parts[1] *\n    object.parts\n",
    "object.parts[1] = combine(1, {},\n    missing.x)",
    'error(\n    "fault {}"\n)',
    "local value = combine(1, {})\nif value > 0 and\n    nothing.field then\n    value = 3\nend",
    'local value = setmetatable({{}}, {{ __index = function(_, key)\n    local place = key\n    error("no " .. place .. {})\nend }}).field',
    "local value = setmetatable({{}}, {{ __add = function(one)\n    return one.x.y + {}\nend }}) + 1",
)  # fmt: skip
FILLERS = (
    "local size = #object.parts",
    "local total = 0",
    "object.parts[2] = object.parts[1] + {}",
    'local text = "text {}" .. tostring(a)',
    "if a == {} then object.parts[3] = a end",
    "for index = 1, 2 do object.parts[index] = index end",
    "local list = { a, {}, a }",
    "combine(a, {})",
    "",
    "-- nothing here",
)
WRAPPERS = {
    "nested": """local function outer{n}(a)
    local function inner{n}(b)
{body}
    end
{fill}
    inner{n}(a)
    return a
end
told({n}, pcall(outer{n}, {n}))""",
    "method": """function object:method{n}(a)
{fill}
{body}
    return self
end
told({n}, pcall(object.method{n}, object, {n}))""",
    "in a loop": """local function loop{n}(a)
{fill}
    for index = 1, 4 do
        if index == 3 then
{body}
        end
    end
    return a
end
told({n}, pcall(loop{n}, {n}))""",
    "in a coroutine": """local thread{n} = coroutine.create(function(a)
    coroutine.yield(a)
{fill}
    while true do
        coroutine.yield(a)
{body}
    end
end)
coroutine.resume(thread{n}, {n})
coroutine.resume(thread{n})
told({n}, coroutine.resume(thread{n}))""",
    "in a handler": """on("event{n}", function(a)
{fill}
{body}
end)
told({n}, pcall(fire, "event{n}", {n}))""",
    "in a table of handlers": """object.handlers{n} = {{
    click = function(a)
{fill}
        return combine(a)
    end,
    leave = function(a, ...)
        local count = select("#", ...)
{fill}
{body}
        return count
    end,
}}
object.handlers{n}.click({n})
told({n}, pcall(object.handlers{n}.leave, {n}))""",
    "asked for by a caller": """local function check{n}(value)
    if value then
        error("bad value {n}", 2)
    end
    return value
end
local function caller{n}(a)
{fill}
    check{n}(a)
    return a
end
told({n}, pcall(caller{n}, {n}))""",
    "at the top": """do
    local a = {n}
{fill}
    told({n}, pcall(function()
{body}
    end))
end""",
}


NAMES = {
    "nested": "inner{n}",
    "method": "object:method{n}",
    "in a loop": "loop{n}",
    "in a table of handlers": "leave",
    "asked for by a caller": "caller{n}",
}
"""What the function that fails is called, where it has a name."""


@dataclass(frozen=True)
class Faults:
    """A script that fails again and again; of each failure `kinds` says what fails where, and `functions` in which function."""

    source: str
    kinds: list[str]
    functions: list[str | None]


def faulty_script(seed: int, count: int) -> Faults:
    """The script of a seed. Of each failure it prints a line: number, `false` and message, parted by tabs."""
    generator = random.Random(seed)
    parts = [HEAD]
    kinds: list[str] = []
    functions: list[str | None] = []
    for number in range(1, count + 1):
        where = generator.choice(sorted(WRAPPERS))
        fault = generator.choice(FAULTS)
        fills = [generator.choice(FILLERS).replace("{}", str(number)) for _ in range(generator.randrange(4))]
        body = fault.replace("{{", "\1").replace("}}", "\2").replace("{}", str(number))
        body = body.replace("\1", "{").replace("\2", "}")
        text = WRAPPERS[where].format(n=number, body=_indented(body), fill=_indented("\n".join(fills)))
        parts.append(text + "\n" * generator.randrange(1, 3))
        kinds.append(f"{where}: {body}")
        name = NAMES.get(where, "").format(n=number) or None
        metamethod = re.search("__[a-z]+", fault) if "{body}" in WRAPPERS[where] else None
        functions.append(metamethod[0] if metamethod else name)
    return Faults("".join(parts), kinds, functions)


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.split("\n"))
