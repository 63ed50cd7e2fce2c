"""An attack on a build: at one place of its text, every function in scope there is called, with whatever could be a place of its data."""

from __future__ import annotations

from support.dumping import places

PRELUDE = """
local noted, visited, functions, tables = {}, {}, {}, {}
local function walk(value, depth)
    local kind = type(value)
    if kind == "string" then noted[value] = true
    elseif kind == "function" and not visited[value] then visited[value] = true functions[#functions + 1] = value
    elseif kind == "table" and depth < 12 and not visited[value] then
        visited[value] = true
        tables[#tables + 1] = value
        for key, item in next, value do walk(key, depth + 1) walk(item, depth + 1) end
    end
end
local function call(one, argument)
    local results = { pcall(one, argument) }
    for index = 2, 9 do walk(results[index], 0) end
end
local is_dumping = false
function dump(...)
    if is_dumping then return end
    is_dumping = true
    visited[dump], visited[dumped], visited[_G] = true, true, true
    for index = 1, select("#", ...) do walk((select(index, ...)), 0) end
    for number = 1, #functions do
        for place = 1, 60 do call(functions[number], place) end
        for place = 1, math.min(#tables, 40) do call(functions[number], tables[place]) end
    end
    for index = 1, select("#", ...) do walk((select(index, ...)), 0) end
    visited = {}
    for place = 1, #tables do walk(tables[place], 0) end
end
function dumped(...)
    local found = 0
    for index = 1, select("#", ...) do if noted[(select(index, ...))] then found = found + 1 end end
    return found
end
"""


def attacks(build: str, words: list[str], step: int) -> list[str]:
    """Scripts that print, last of all, how many of the words the attack at one place has seen; each for another place."""
    listed = ", ".join(f'"{word}"' for word in words)
    return [f"{PRELUDE} pcall(function(...) {text} end) print(dumped({listed}))" for text in places(build, step)]
