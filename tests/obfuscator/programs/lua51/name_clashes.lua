-- Locals named like globals, fields and each other; globals with short names.
a, b, c = "global a", "global b", "global c"
local function uses_globals(value)
	local first, second, third = 1, 2, 3
	return a, b, c, first + second + third + value
end
print(uses_globals(1000))
local print_it, print = print, function(...) return "shadowed", ... end
print_it(print("x"))
local string = { format = function(...) return "not the library", select("#", ...) end }
print_it(string.format("%d", 1))
local t = { a = 1, b = { a = 2, ["c d"] = 3 } }
local function field(a) return t.a + a.a, t.b["c d"] end
print_it(field({ a = 40 }))
local function params(a, b, a) return a, b end
print_it(params(1, 2, 3))
local a = a .. "!"
local function late() return b end
local b = "local b"
print_it(a, late(), b)
dynamic = 5
print_it(dynamic, rawget({ dynamic = 6 }, "dynamic"))
local self = { name = "outer self" }
local o = { name = "inner self" }
function o:who() return self.name, (function(self) return self end)("argument") end
print_it(o:who()) print_it(self.name)
local function loop() for i = 1, 2 do local i = i * 10 for i = i, i + 1 do print_it("i", i) end end end
loop()
function global_function(depth) if depth > 0 then return global_function(depth - 1) end return "done" end
print_it(global_function(5))
local table = table
print_it(table.concat({ "x", "y" }, "-"))
local _ = "underscore" local __ = _ .. "s" print_it(_, __)
