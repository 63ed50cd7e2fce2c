-- Gives a function that runs a script whose globals are in the table that it gets, and returns what it printed, the text
-- of what it raised and the compiler's message: the same for every interpreter of plain Lua.
local load, tostring, select, concat = loadstring or load, tostring, select, table.concat
local pcall, type = pcall, type
return function(source, globals)
    local lines = {}
    globals.print = function(...)
        local parts = {}
        for index = 1, select("#", ...) do parts[index] = tostring((select(index, ...))) end
        lines[#lines + 1] = concat(parts, "\t")
    end
    local chunk, problem = load(source, "=script")
    if not chunk then return "", nil, problem end
    local ok, value = pcall(chunk)
    local kind, text = type(value), nil
    if not ok then
        text = (kind == "string" or kind == "number" or kind == "nil" or kind == "boolean") and tostring(value) or "<" .. kind .. ">"
    end
    return concat(lines, "\n"), text, nil
end
