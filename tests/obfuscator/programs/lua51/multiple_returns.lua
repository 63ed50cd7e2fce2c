local function three() return "first", "second", "third" end
local function none() end
local a, b, c, d = three()
print(a, b, c, d)
local e, f = (three())
print(e, f)
local t = { three(), three() }
print(#t, t[1], t[2], t[4])
t = { three(), (three()) }
print(#t)
t = { [10] = three(), three() }
print(t[10], t[1], t[3])
print((three()))
print(none(), (none()))
print(type((none())))
print(pcall(type))
print(select("#", none()), select("#", (none())))
local function call(fn, ...) return fn(...) end
print(call(three))
print(call(three), "after")
local x, y = 1, 2
x, y = y, x
print("swap", x, y)
local list = { 10, 20, 30 }
local i = 1
i, list[i] = i + 1, "replaced"
print(i, list[1], list[2])
local function order(log)
	local function mark(name, value) log[#log + 1] = name return value end
	local target = {}
	target[mark("key", "k")] = mark("value", 5)
	local sum = mark("left", 1) + mark("right", 2) * mark("far", 3)
	return sum, table.concat(log, ",")
end
print(order({}))
print(not nil == true, not (1 == 2), -2 ^ 2, 2 ^ -1, 2 ^ 3 ^ 2, (2 ^ 3) ^ 2)
print(1 .. 2 .. 3, "a" .. 1 + 2 .. "b")
print(nil and 1 or "default", false or nil, 1 and 2, nil or false)
return three()
