local function generator(limit)
	return coroutine.wrap(function()
		for value = 1, limit do coroutine.yield(value, value * value) end
		return "finished"
	end)
end
local next_value = generator(3)
print(next_value()) print(next_value()) print(next_value()) print(next_value())

local worker = coroutine.create(function(first, ...)
	print("started with", first, select("#", ...))
	local received = { coroutine.yield("one", nil, "three") }
	print("received", #received, received[1])
	local ok, problem = pcall(error, { code = 4242 })
	print("caught", ok, type(problem), problem.code)
	error({ reason = "worker gave up" })
end)
print(coroutine.resume(worker, "alpha", nil, nil))
print(coroutine.status(worker))
local ok, problem = coroutine.resume(worker, "beta", "gamma")
print(ok, type(problem), problem.reason, coroutine.status(worker))
print(coroutine.resume(worker))

local function producer()
	return coroutine.create(function()
		for _, word in ipairs({ "apple", "banana", "cherry" }) do coroutine.yield(word) end
	end)
end
local function filter(source)
	return coroutine.create(function()
		while true do
			local alive, word = coroutine.resume(source)
			if not alive or word == nil then return end
			coroutine.yield(word:upper() .. "#" .. #word)
		end
	end)
end
local chain = filter(producer())
while true do
	local alive, word = coroutine.resume(chain)
	if not word then print("chain over", alive) break end
	print("chain", word)
end
print(coroutine.running() == nil or type(coroutine.running()))
print(select("#", coroutine.resume(coroutine.create(function() return nil, nil, nil end))))
