local unpack = unpack or table.unpack
local Vector = {}
Vector.__index = Vector
local function vector(x, y) return setmetatable({ x = x, y = y }, Vector) end
Vector.__add = function(left, right) return vector(left.x + right.x, left.y + right.y) end
Vector.__sub = function(left, right) return vector(left.x - right.x, left.y - right.y) end
Vector.__mul = function(left, right)
	if type(left) == "number" then return vector(left * right.x, left * right.y) end
	if type(right) == "number" then return vector(left.x * right, left.y * right) end
	return left.x * right.x + left.y * right.y
end
Vector.__unm = function(value) return vector(-value.x, -value.y) end
Vector.__eq = function(left, right) return left.x == right.x and left.y == right.y end
Vector.__lt = function(left, right) return left:length() < right:length() end
Vector.__le = function(left, right) return left:length() <= right:length() end
Vector.__concat = function(left, right) return tostring(left) .. "&" .. tostring(right) end
Vector.__tostring = function(value) return "(" .. value.x .. "; " .. value.y .. ")" end
Vector.__call = function(self, ...) return "called", select("#", ...), self.x end
Vector.__len = function() return 2 end
function Vector:length() return (self.x * self.x + self.y * self.y) ^ 0.5 end
local p, q = vector(3, 4), vector(1, 2)
print(tostring(p + q), tostring(p - q), p * q, tostring(2 * p), tostring(p * 3), tostring(-p))
print(p == vector(3, 4), p ~= q, p < q, p <= q, p > q)
print(p .. q, p .. "text", 12 .. p)
print(p(nil, nil))
print(p:length())

local log = {}
local proxy = setmetatable({}, {
	__index = function(_, key) log[#log + 1] = "get " .. tostring(key) return key .. "!" end,
	__newindex = function(self, key, value) log[#log + 1] = "set " .. key rawset(self, key, value) end,
})
print(proxy.missing, proxy["other key"], rawget(proxy, "missing"))
proxy.stored = 7777
print(proxy.stored, table.concat(log, "|"))

local evaluated = 0
local function object()
	evaluated = evaluated + 1
	return { name = "thing", greet = function(self, word) return word .. " " .. self.name end }
end
print(object():greet("hello"), evaluated)

local chain = setmetatable({}, { __index = setmetatable({ a = 1 }, { __index = { b = 22222 } }) })
print(chain.a, chain.b, chain.c)
local locked = setmetatable({}, { __metatable = "locked away" })
print(getmetatable(locked), pcall(setmetatable, locked, {}))
print(rawequal(p, vector(3, 4)), rawequal(p, p))
local defaults = setmetatable({}, { __index = function(t, k) local v = k * 100 rawset(t, k, v) return v end })
print(defaults[15], defaults[15], unpack({ defaults[1], defaults[2] }))
