"""The functions that every Lua has, which a script may keep a copy of as long as it does not replace them itself."""

from __future__ import annotations

from moonlatch.obfuscator.spelling import Target

FUNCTIONS = frozenset(
    [
        "assert",
        "error",
        "getmetatable",
        "ipairs",
        "next",
        "pairs",
        "pcall",
        "print",
        "rawequal",
        "rawget",
        "rawset",
        "select",
        "setmetatable",
        "tonumber",
        "tostring",
        "type",
        "unpack",
        "xpcall",
    ]
)
_EVERYWHERE = {
    "coroutine": "create isyieldable resume running status wrap yield",
    "math": "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf pi pow rad random "
    "randomseed sin sinh sqrt tan tanh",
    "string": "byte char find format gmatch gsub len lower match rep reverse sub upper",
    "table": "concat insert maxn remove sort unpack",
}
_LUAU_ONLY = {
    "bit32": "arshift band bnot bor btest bxor countlz countrz extract lrotate lshift replace rrotate rshift",
    "math": "clamp noise round sign",
    "string": "pack packsize split unpack",
    "table": "clear clone create find freeze isfrozen move pack",
}


def library_members(target: Target) -> frozenset[tuple[str, str]]:
    """Every (library, member) of the target whose library is there on every host."""
    members = {(library, name) for library, names in _EVERYWHERE.items() for name in names.split()}
    if target is Target.LUAU:
        members |= {(library, name) for library, names in _LUAU_ONLY.items() for name in names.split()}
    return frozenset(members)


# Through these a script can change globals and libraries without naming them.
ENVIRONMENTS = frozenset(
    ["_ENV", "_G", "getfenv", "getgenv", "getrenv", "hookfunction", "load", "loadstring", "setfenv", "shared"]
)

# Libraries that a host may have; what is in them is known to everybody.
LIBRARIES = frozenset(
    ["bit32", "buffer", "coroutine", "debug", "math", "os", "string", "table", "task", "utf8", "vector"]
)
