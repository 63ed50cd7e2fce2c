"""The functions that every Lua has, which a script may keep a copy of as long as it does not replace them itself."""

from __future__ import annotations

from moonlatch.obfuscator.target import Target

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

# Where a script has none of these words, every function has the environment of the script, from beginning to end.
CHANGE_ENVIRONMENT = (b"setfenv", b"_ENV")

# Libraries that a host may have; what is in them is known to everybody.
LIBRARIES = frozenset(
    ["bit32", "buffer", "coroutine", "debug", "math", "os", "string", "table", "task", "utf8", "vector"]
)

# What Luau calls without a call where it recognises it, at most three arguments that are not several values being there.
FAST_FUNCTIONS = frozenset(
    [
        "assert",
        "getmetatable",
        "rawequal",
        "rawget",
        "rawlen",
        "rawset",
        "setmetatable",
        "tonumber",
        "tostring",
        "type",
        "typeof",
        "unpack",
    ]
)
_FAST = {
    "bit32": "arshift band bnot bor btest bxor byteswap countlz countrz extract lrotate lshift replace rrotate rshift",
    "buffer": "readf32 readf64 readi16 readi32 readi8 readu16 readu32 readu8 writef32 writef64 writei16 writei32 "
    "writei8 writeu16 writeu32 writeu8",
    "math": "abs acos asin atan atan2 ceil clamp cos cosh deg exp floor fmod frexp isfinite isinf isnan ldexp "
    "lerp log log10 max min modf pow rad round sign sin sinh sqrt tan tanh",
    "string": "byte char len sub",
    "table": "insert unpack",
    "vector": "abs ceil clamp create cross dot floor lerp magnitude max min normalize sign",
}
FAST_MEMBERS = frozenset((library, name) for library, names in _FAST.items() for name in names.split())
