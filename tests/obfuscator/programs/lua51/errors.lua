local function strip(message) return (tostring(message):gsub("^.-:%d+: ", "")) end
print(pcall(error))
print(pcall(error, nil))
print(pcall(error, "plain text", 0))
local shared = { code = 1234 }
local ok, value = pcall(error, shared)
print(ok, value == shared, value.code)
print(select("#", pcall(error, nil)))
ok, value = pcall(function() error({ nested = { deep = "value" } }) end)
print(ok, value.nested.deep)
ok, value = pcall(function() local missing; return missing.field end)
print(ok, type(value))
ok, value = pcall(function() return 1 + {} end)
print(ok, type(value))
ok, value = pcall(function() error("with position") end)
print(ok, strip(value))
ok, value = pcall(function() error("level two", 2) end)
print(ok, (strip(value)))
print(xpcall(function() error("handled", 0) end, function(message) return "handler got " .. message end))
print(xpcall(function() return "no", "error" end, print))
local function rethrow()
	local good, problem = pcall(error, setmetatable({}, { __tostring = function() return "custom error" end }))
	if not good then error(problem, 0) end
end
ok, value = pcall(rethrow)
print(ok, tostring(value))
local function finally(body, cleanup)
	local results = { pcall(body) }
	cleanup()
	return results[1], results[2]
end
print(finally(function() return "fine" end, function() print("cleanup one") end))
print(finally(function() error(false) end, function() print("cleanup two") end))
print(pcall(pcall, error, "inner"))
print(pcall(select, 0) == false)
print(strip(select(2, pcall(assert, false, "assertion text"))), pcall(assert, 1, 2, 3))
print(select(2, pcall(assert, nil)) ~= nil, select(2, pcall(assert, false, shared)) == shared)
local depth = 0
local function overflow() depth = depth + 1 return 1 + overflow() end
print((pcall(function() for level = 1, 3 do pcall(error, level) end end)))
print(type(overflow))
