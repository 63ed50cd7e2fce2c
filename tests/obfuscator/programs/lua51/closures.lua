-- Every iteration owns its variable; captured variables are shared, not copied.
local makers = {}
for index = 1, 5 do
	local offset = index * 1000
	makers[index] = function(step)
		offset = offset + step
		return offset, index
	end
end
for index, maker in ipairs(makers) do
	print("maker", index, maker(1), maker(10))
end

local function counter(start)
	local value = start
	local function up(amount)
		value = value + (amount or 1)
		return value
	end
	local function down(amount)
		value = value - (amount or 1)
		return value
	end
	return up, down, function() return value end
end

local up, down, read = counter(12345)
up() up(5) down(2)
print("counter", read())

local pending = {}
local position = 0
while position < 3 do
	position = position + 1
	local here = position
	pending[#pending + 1] = function() here = here + 1 return here end
end
for _, thunk in ipairs(pending) do print("while closure", thunk(), thunk()) end

local holders = {}
local round = 0
repeat
	round = round + 1
	local inner = round * 2
	holders[round] = function() return inner end
until inner >= 8
for number = 1, #holders do print("repeat closure", holders[number]()) end

local function shadow(value)
	local value = value + 1
	do
		local value = value * 2
		print("inner", value)
	end
	return value
end
print("outer", shadow(20))

local recursive
recursive = function(depth) if depth == 0 then return "bottom" end return recursive(depth - 1) end
print(recursive(50))
