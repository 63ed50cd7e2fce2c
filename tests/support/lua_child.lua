-- The child process of `support.luau.run_lua_batch` for the system's own interpreters (`lua5.1`, `luajit -joff`, ...): as
-- lua_child.py does, but one state runs all scripts, each with globals, libraries and metatables that no other has touched.
local folder = arg[0]:match("^(.*)/") or "."
local run = dofile(folder .. "/run_script.lua")
local registry, setmetatable_of, sethook = debug.getregistry(), debug.setmetatable, debug.sethook
local setfenv, collect, flush = setfenv, collectgarbage, jit and jit.flush
local byte, char, format, gsub, match = string.byte, string.char, string.format, string.gsub, string.match
local pairs, type, tonumber, rawset = pairs, type, tonumber, rawset
local input, output = io.stdin, io.stdout

local loaded = package.loaded
local originals, text_metatable, text_methods = {}, getmetatable(""), {}
for name, value in pairs(_G) do originals[name] = value end
for name, value in pairs(text_metatable) do text_methods[name] = value end
local libraries = {}
for name, library in pairs(loaded) do
    if type(library) == "table" and library ~= _G then
        libraries[name] = {}
        for key, value in pairs(library) do libraries[name][key] = value end
    end
end

local function fresh_globals()
    local globals, copies = {}, {}
    for name, library in pairs(libraries) do
        copies[name] = {}
        for key, value in pairs(library) do copies[name][key] = value end
    end
    for name, value in pairs(originals) do globals[name] = copies[name] or value end
    globals._G, globals.arg = globals, nil
    copies.package.loaded = { _G = globals }
    for name, copy in pairs(copies) do copies.package.loaded[name] = copy end
    for _, value in pairs({ true, 0, function() end, coroutine.create(function() end) }) do setmetatable_of(value, nil) end
    setmetatable_of(nil, nil)
    for key in pairs(text_metatable) do text_metatable[key] = nil end
    for key, method in pairs(text_methods) do text_metatable[key] = method end
    text_metatable.__index = copies.string
    setmetatable_of("", text_metatable)
    return globals
end

-- Where `load` and new coroutines take their globals from.
local function use(globals)
    if setfenv then
        setfenv(0, globals)
    else
        registry[2] = globals -- LUA_RIDX_GLOBALS
    end
end


local SHORT = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local function decoded(text)
    text = gsub(gsub(text, "\\\\", "\\u005c"), "\\([^u])", function(kind) return SHORT[kind] or kind end)
    return (gsub(text, "\\u00(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end

-- Bytes that are no plain text as the runner of Luau writes them, for a compiler's message as JSON does.
local function quoted(text, escape)
    if text == nil then return "null" end
    return '"' .. gsub(text, '[%c"\\\127-\255]', function(one) return format(escape, byte(one)) end) .. '"'
end

for line in input:lines() do
    local globals = fresh_globals()
    use(globals)
    local result, problem, refused = run(decoded(match(line, '^{"source": "(.*)"}$')), globals)
    if sethook then sethook() end
    if flush then flush() end
    globals = nil
    collect("restart")
    collect()
    output:write('{"output": ', quoted(result, "\\\\%03d"), ', "error": ', quoted(problem, "\\\\%03d"))
    output:write(', "compile_error": ', quoted(refused, "\\u%04x"), "}\n")
    output:flush()
end
