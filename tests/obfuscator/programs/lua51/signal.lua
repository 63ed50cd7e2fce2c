local Signal = {}
Signal.__index = Signal
function Signal.new() return setmetatable({ listeners = {}, nextId = 1 }, Signal) end
function Signal:connect(listener, priority)
	local id = self.nextId
	self.nextId = id + 1
	table.insert(self.listeners, { id = id, listener = listener, priority = priority or 0 })
	table.sort(self.listeners, function(left, right)
		if left.priority ~= right.priority then return left.priority > right.priority end
		return left.id < right.id
	end)
	local connected = true
	return {
		disconnect = function()
			if not connected then return false end
			connected = false
			for index, entry in ipairs(self.listeners) do
				if entry.id == id then table.remove(self.listeners, index) return true end
			end
		end,
	}
end
function Signal:fire(...)
	local results = {}
	for _, entry in ipairs(self.listeners) do
		local ok, result = pcall(entry.listener, ...)
		results[#results + 1] = ok and tostring(result) or "failed: " .. tostring(result)
	end
	return #results, table.concat(results, " / ")
end
function Signal:once(listener)
	local connection
	connection = self:connect(function(...) connection.disconnect() return listener(...) end)
	return connection
end
local signal = Signal.new()
local first = signal:connect(function(...) return "first:" .. select("#", ...) end)
signal:connect(function(a, b) return "sum:" .. a + (b or 0) end, 10)
signal:once(function() return "only once" end)
signal:connect(function() error("listener broke", 0) end, -5)
print(signal:fire(1000, 2000)) print(signal:fire(5, nil))
print(first.disconnect(), first.disconnect())
print(signal:fire(7))
