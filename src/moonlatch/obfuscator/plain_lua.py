"""The Lua that stands in for what only Luau has: floor division, iteration over values, interpolated text.

Each helper is a local function in front of the script, there only when the script needs it, for Lua 5.1 and everything after.
"""

from __future__ import annotations

# Luau divides in doubles and rounds down, which keeps infinities, NaN and negative zero; `math.floor` of Lua 5.3 and
# newer would turn those into integers or fail. Operands that are no numbers: text that reads as a number, else `__idiv`.
FLOOR_DIVIDE = """
local NAME = (function()
    local floor, kind_of, number_of, metatable_of, raw, fail = math.floor, type, tonumber, getmetatable, rawget, error
    local function handler_of(value)
        local meta = metatable_of(value)
        return kind_of(meta) == "table" and raw(meta, "__idiv") or nil
    end
    return function(left, right)
        if kind_of(left) ~= "number" or kind_of(right) ~= "number" then
            local text_left, text_right = left, right
            if kind_of(left) == "string" then text_left = number_of(left) end
            if kind_of(right) == "string" then text_right = number_of(right) end
            if kind_of(text_left) == "number" and kind_of(text_right) == "number" then
                left, right = text_left, text_right
            else
                local handler = handler_of(left)
                if handler == nil then handler = handler_of(right) end
                if handler == nil then
                    fail("attempt to perform arithmetic (idiv) on " .. kind_of(left) .. " and " .. kind_of(right), 2)
                end
                return (handler(left, right))
            end
        end
        local quotient = left / right
        if quotient == 0 or quotient ~= quotient or quotient - quotient ~= 0 then return quotient end
        return floor(quotient)
    end
end)()
"""

# As Luau's loop does it: a function is called, `__iter` asked, `__call` respected, any other table traversed.
ITERATE = """
local NAME = (function()
    local kind_of, metatable_of, raw, following = type, getmetatable, rawget, next
    return function(first, state, control)
        if kind_of(first) == "function" then return first, state, control end
        local meta = metatable_of(first)
        if kind_of(meta) == "table" then
            local start = raw(meta, "__iter")
            if start ~= nil then return start(first) end
            if raw(meta, "__call") ~= nil then return first, state, control end
        end
        if kind_of(first) == "table" then return following, first end
        return first, state, control
    end
end)()
"""

# The values stand at the even places. All are evaluated before the first is made text, as in Luau.
INTERPOLATE = """
local NAME = (function()
    local text_of, join = tostring, table.concat
    return function(count, ...)
        local pieces = { ... }
        for index = 2, count, 2 do pieces[index] = text_of(pieces[index]) end
        return join(pieces, "", 1, count)
    end
end)()
"""
