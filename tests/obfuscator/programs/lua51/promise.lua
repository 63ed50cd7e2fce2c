local queue = {}
local function defer(task, ...) local args = { n = select("#", ...), ... } queue[#queue + 1] = function() task((unpack or table.unpack)(args, 1, args.n)) end end
local function drain() local head = 1 while queue[head] do queue[head]() head = head + 1 end queue = {} end
local Promise = {}
Promise.__index = Promise
function Promise.new(executor)
	local self = setmetatable({ state = "pending", handlers = {} }, Promise)
	local function settle(state, value)
		if self.state ~= "pending" then return end
		self.state, self.value = state, value
		for _, handler in ipairs(self.handlers) do defer(handler) end
		self.handlers = {}
	end
	local function reject(reason) settle("rejected", reason) end
	local function resolve(value)
		if type(value) == "table" and getmetatable(value) == Promise then value:andThen(resolve, reject) else settle("fulfilled", value) end
	end
	local ok, problem = pcall(executor, resolve, reject)
	if not ok then reject(problem) end
	return self
end
function Promise:andThen(onFulfilled, onRejected)
	return Promise.new(function(resolve, reject)
		local function run()
			local handler = self.state == "fulfilled" and onFulfilled or self.state == "rejected" and onRejected
			if not handler then
				if self.state == "fulfilled" then resolve(self.value) else reject(self.value) end
				return
			end
			local ok, result = pcall(handler, self.value)
			if ok then resolve(result) else reject(result) end
		end
		if self.state == "pending" then self.handlers[#self.handlers + 1] = run else defer(run) end
	end)
end
function Promise:catch(handler) return self:andThen(nil, handler) end
function Promise.all(list)
	return Promise.new(function(resolve, reject)
		local results, left = {}, #list
		for index, promise in ipairs(list) do
			promise:andThen(function(value) results[index] = value left = left - 1 if left == 0 then resolve(results) end end, reject)
		end
	end)
end
local later
Promise.new(function(resolve) later = resolve end)
	:andThen(function(value) print("got", value) return value * 2 end)
	:andThen(function(value) print("doubled", value) error({ why = "on purpose" }) end)
	:andThen(function() print("never") end)
	:catch(function(problem) print("caught", problem.why) return "recovered" end)
	:andThen(function(value) print("then", value) end)
later(12345) later(999) drain()
Promise.all({ Promise.new(function(r) r("a") end), Promise.new(function(r) r(Promise.new(function(q) q("b") end)) end) })
	:andThen(function(values) print("all", table.concat(values, "+")) end)
drain()
Promise.all({ Promise.new(function(_, j) j("refused") end), Promise.new(function(r) r(1) end) }):catch(function(why) print("all failed", why) end)
drain()
