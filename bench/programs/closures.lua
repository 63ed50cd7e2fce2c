-- Functions that make functions: counters, composition, memoisation, map and reduce.
local function counter(step)
    local count = 0
    return function()
        count = count + step
        return count
    end, function()
        count = 0
    end
end

local function compose(f, g)
    return function(...)
        return f(g(...))
    end
end

local function map(list, f)
    local out = {}
    for i = 1, #list do
        out[i] = f(list[i], i)
    end
    return out
end

local function reduce(list, f, value)
    for i = 1, #list do
        value = f(value, list[i])
    end
    return value
end

local function memoised(f)
    local known = {}
    return function(n)
        local value = known[n]
        if value == nil then
            value = f(n)
            known[n] = value
        end
        return value
    end
end

local collatz
collatz = memoised(function(n)
    if n == 1 then
        return 0
    end
    return 1 + collatz(n % 2 == 0 and n / 2 or 3 * n + 1)
end)

local numbers = {}
for i = 1, 1000 do
    numbers[i] = i
end
local total = 0
for round = 1, 300 do
    local tick, reset = counter(round)
    local twice_plus_one = compose(function(x)
        return x + 1
    end, function(x)
        return x * 2
    end)
    local mapped = map(numbers, function(value, index)
        if index % 100 == 0 then
            reset()
        end
        return twice_plus_one(value) + tick() % 7
    end)
    total = (total + reduce(mapped, function(a, b)
        return a + b
    end, 0)) % 1000000007
end
local longest = 0
for i = 1, 20000 do
    longest = math.max(longest, collatz(i))
end
print(total, longest)
