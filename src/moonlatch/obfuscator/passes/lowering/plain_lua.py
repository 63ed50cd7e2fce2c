"""The Lua that stands in for what only Luau has: floor division, iteration over values, interpolated text.

Each helper is a local function in front of the script, there only when the script needs it, for Lua 5.1 and everything after.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Helper:
    """Lua for a function: local names for the builtins it needs, by name, and its text after `return`."""

    captures: dict[str, str]
    function: str

    def source(self, name: str, generator: random.Random) -> str:
        """The statement that declares it; in another order in each build, so that no text is common to all of them."""
        captures = [f"local {local}={builtin}" for local, builtin in self.captures.items()]
        generator.shuffle(captures)
        return f"local {name}=(function() {' '.join(captures)} return {self.function} end)() "


# Luau divides in doubles and rounds down, which keeps infinities, NaN and negative zero; `math.floor` of Lua 5.3 and
# newer would turn those into integers or fail. Operands that are no numbers: text that reads as a number, else `__idiv`.
FLOOR_DIVIDE = Helper(
    {
        "floor": "math.floor",
        "kind_of": "type",
        "number_of": "tonumber",
        "metatable_of": "getmetatable",
        "raw": "rawget",
        "fail": "error",
    },
    """
    function(left, right)
        if kind_of(left) ~= "number" or kind_of(right) ~= "number" then
            local text_left, text_right = left, right
            if kind_of(left) == "string" then text_left = number_of(left) end
            if kind_of(right) == "string" then text_right = number_of(right) end
            if kind_of(text_left) == "number" and kind_of(text_right) == "number" then
                left, right = text_left, text_right
            else
                local meta = metatable_of(left)
                local handler = kind_of(meta) == "table" and raw(meta, "__idiv") or nil
                if handler == nil then
                    meta = metatable_of(right)
                    handler = kind_of(meta) == "table" and raw(meta, "__idiv") or nil
                end
                if handler == nil then
                    fail("attempt to perform arithmetic (idiv) on " .. kind_of(left) .. " and " .. kind_of(right), 2)
                end
                return (handler(left, right))
            end
        end
        local quotient = left / right
        if quotient == 0 or quotient ~= quotient or quotient - quotient ~= 0 then return quotient end
        return floor(quotient)
    end""",
)

# For a left operand that Luau reads when the right one is there.
FLOOR_DIVIDE_LATE = Helper(FLOOR_DIVIDE.captures, FLOOR_DIVIDE.function.replace("(left, right)", "(right, left)", 1))

# As Luau's loop does it: a function is called, `__iter` asked, `__call` respected, any other table traversed. What is left
# is called where the host can do more with it than Lua's own values allow.
ITERATE = Helper(
    {"kind_of": "type", "metatable_of": "getmetatable", "raw": "rawget", "following": "next", "fail": "error"},
    """
    function(first, state, control)
        local kind = kind_of(first)
        if kind == "function" then return first, state, control end
        local meta = metatable_of(first)
        if kind_of(meta) == "table" then
            local start = raw(meta, "__iter")
            if start ~= nil then return start(first) end
            if raw(meta, "__call") ~= nil then return first, state, control end
        end
        if kind == "table" then return following, first end
        if kind == "userdata" or kind == "cdata" then return first, state, control end
        fail("attempt to iterate over a " .. kind .. " value", 2)
    end""",
)

# The values stand at the even places. All are evaluated before the first is made text, as in Luau.
INTERPOLATE = Helper(
    {"text_of": "tostring", "join": "table.concat"},
    """
    function(count, ...)
        local pieces = { ... }
        for index = 2, count, 2 do pieces[index] = text_of(pieces[index]) end
        return join(pieces, "", 1, count)
    end""",
)
