"""The languages that a protected script can be written in."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """The language the output is written in. `lua51` output runs on Lua 5.1 to 5.4 and on LuaJIT as well."""

    LUAU = "luau"
    LUA51 = "lua51"
