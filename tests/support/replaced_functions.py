"""Runs a text where every function of the host has been replaced by one that writes down what it is given and gives back."""

from __future__ import annotations

from support.luau import run_lua

SHOWN = "seen: "
HOOKS = f"""
local seen, kind, count, all, say, replace = {{}}, type, select, pairs, print, string.gsub
local function note(...)
    for at = 1, count("#", ...) do
        local value = (count(at, ...))
        if kind(value) == "string" then seen[value] = true end
    end
    return ...
end
local function hooked(called) return function(...) note(...) return note(called(...)) end end
for _, library in all({{ string, table, math, os, coroutine }}) do
    for name, value in all(library) do if kind(value) == "function" then library[name] = hooked(value) end end
end
for _, name in all({{ "print", "tostring", "tonumber", "type", "select", "rawget", "rawset", "rawequal", "setmetatable",
    "getmetatable", "next", "pairs", "ipairs", "unpack", "error", "assert", "pcall", "xpcall", "loadstring" }}) do
    local value = _G[name]
    if value then _G[name] = hooked(value) end
end
pcall(function(...) %s
end)
for text in all(seen) do say({SHOWN!r} .. replace(text, "\\n", "\\\\n"), nil) end
"""


def seen(text: str) -> set[str]:
    """What the replaced functions are given and give back while it runs."""
    output = run_lua("lua51", HOOKS.replace("%s", text)).output
    return {line.removeprefix(SHOWN).split("\t")[0] for line in output.splitlines() if line.startswith(SHOWN)}
