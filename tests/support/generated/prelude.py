"""What every generated program begins with: showing values, tracing evaluation, and the fuel that makes it end.

Tables are shown by their array part and by the fields in `FIELDS`, never by `pairs`, whose order is nobody's promise.
"""

from __future__ import annotations

FIELDS = ["x", "y", "name", "item", "longer_field_name", "end_"]

_PRELUDE = """
local kind_of, raw, text_of, count_of, pick = type, rawget, tostring, select, select
local format, join, chop, swap = string.format, table.concat, string.sub, string.gsub
local printed, fuel = 0, FUEL
local fields = { FIELDS }
local show
local function show_table(value, depth)
    local parts, count = {}, 0
    for index = 1, 12 do
        local item = raw(value, index)
        if item == nil then break end
        count = count + 1
        parts[count] = show(item, depth + 1)
    end
    for index = 1, #fields do
        local item = raw(value, fields[index])
        if item ~= nil then
            count = count + 1
            parts[count] = fields[index] .. "=" .. show(item, depth + 1)
        end
    end
    return "{" .. join(parts, " ") .. "}"
end
function show(value, depth)
    local kind = kind_of(value)
    if kind == "number" then
        if value ~= value then return "nan" end
        return format("NUMBER", SIGNED)
    elseif kind == "table" then
        if (depth or 0) > 2 then return "{...}" end
        return show_table(value, depth or 0)
    elseif kind == "string" then
        return "'" .. chop(swap(value, "^[%w_]*:%d+: ", ""), 1, 300) .. "'"
    elseif kind == "nil" or kind == "boolean" then
        return text_of(value)
    end
    return "<" .. kind .. ">"
end
local function say(...)
    printed = printed + 1
    if printed > 1500 then return end
    local parts = {}
    for index = 1, count_of("#", ...) do parts[index] = show((pick(index, ...)), 0) end
    print(join(parts, " "))
end
local function problem_text(problem)
    if kind_of(problem) ~= "string" or chop(problem, 1, 2) == "E:" then return problem end
    local text = swap(problem, "^[^:]*:%d+: ", "")
    if chop(text, 1, 2) == "E:" then return text end
    PROBLEM
end
local function outcome(fine, ...)
    if fine then return "fine", ... end
    return "failed", problem_text((...))
end
local function try(work, ...) say(outcome(pcall(work, ...))) end
local function t(id, ...)
    printed = printed + 1
    if printed < 1500 then print(id, count_of("#", ...), show((...), 1)) end
    return ...
end
local function num(value)
    if kind_of(value) == "number" and value == value and value < 1e15 and value > -1e15 then return value end
    return 1
end
local function str(value)
    if kind_of(value) == "string" then return chop(value, 1, 100) end
    return chop(show(value, 1), 1, 40)
end
local function fun(value)
    if kind_of(value) == "function" then return value end
    return function(...) return ..., 7 end
end
local function pair_of(value) return num(value), num(value) + 1 end
local function burn() fuel = fuel - 1 return fuel > 0 end
"""


def prelude(*, portable: bool) -> str:
    """`portable` programs print the same on every Lua: numbers to 14 digits, nothing of the wording of runtime errors."""
    return (
        _PRELUDE.replace("FIELDS", ", ".join(f'"{name}"' for name in FIELDS))
        # A function that calls itself with N more arguments each time fills LuaJIT's stack of 65,500 values from some
        # 360 / sqrt(N) calls on: 100 leave room for a dozen.
        .replace("FUEL", "100" if portable else "1500")
        .replace("NUMBER", "%.14g" if portable else "%.17g")
        # Lua 5.1 keeps 0 and -0 as one constant of a function, whichever comes first: nothing shows which it is.
        # What lies halfway between two numbers of 14 digits is rounded to even by C's printf, and up by LuaJIT's own.
        .replace("SIGNED", "(value + 0) * 1.0000000000000009" if portable else "value")
        .replace("PROBLEM", 'return "runtime error"' if portable else "return text")
    )
