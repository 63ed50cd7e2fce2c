local unpack = unpack or table.unpack
local function count(...) return select("#", ...) end
print("counts", count(), count(nil), count(nil, nil), count(nil, 1, nil))
local function pack(...) return { n = select("#", ...), ... } end
local packed = pack(1, nil, 3, nil)
print("packed", packed.n, packed[1], packed[2], packed[3], packed[4])
local function pass(...) return ... end
print("pass", pass(nil, false, nil))
print("truncated", (pass(1, 2, 3)))
print("middle", pass(1, 2), pass(3, 4))
print("table", #{ pass(1, 2), pass(3, 4) })
print("parens", #{ (pass(1, 2)) })
local function tail(first, ...) return ... end
print("tail", tail(1, 2, nil, 4))
local function variadic_sum(...)
	local total = 0
	for index = 1, select("#", ...) do
		local value = select(index, ...)
		total = total + (tonumber(value) or 0)
	end
	return total
end
print("sum", variadic_sum(1, nil, 2, "3", false))
local function nested(...)
	local outer = { ... }
	return (function(...) return #outer, select("#", ...), ... end)(unpack(outer))
end
print("nested", nested("a", "b", "c"))
local function keep(...) local first, second = ... return first, second, (...) end
print("keep", keep(7, 8, 9), keep())
print("select negative", select(-1, "x", "y", "z"))
local function assign(...)
	local a, b, c = (...), ...
	return a, b, c
end
print("assign", assign(1, 2))
print("main chunk", select("#", ...))
