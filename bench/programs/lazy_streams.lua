-- Iterators as closures on closures: ranges, maps, filters, zips, folds, curried functions and a memo.
local function range(first, last)
    local at = first - 1
    return function()
        if at < last then
            at = at + 1
            return at
        end
    end
end

local function map(source, f)
    return function()
        local value = source()
        if value ~= nil then
            return f(value)
        end
    end
end

local function filter(source, keep)
    return function()
        local value = source()
        while value ~= nil and not keep(value) do
            value = source()
        end
        return value
    end
end

local function zip(one, other, join)
    return function()
        local a, b = one(), other()
        if a ~= nil and b ~= nil then
            return join(a, b)
        end
    end
end

local function take(source, count)
    return function()
        if count > 0 then
            count = count - 1
            return source()
        end
    end
end

local function fold(source, value, f)
    for item in source do
        value = f(value, item)
    end
    return value
end

local function curry(f)
    return function(a)
        return function(b)
            return f(a, b)
        end
    end
end

local add = curry(function(a, b)
    return a + b
end)
local times = curry(function(a, b)
    return a * b
end)
local function divides(by)
    return function(value)
        return value % by == 0
    end
end

local total = 0
for round = 1, 50 do
    local squares = map(range(1, 400), function(value)
        return value * value
    end)
    local shifted = map(filter(range(1, 900), divides(2)), add(round))
    local scaled = map(take(shifted, 350), times(3))
    local joined = zip(squares, scaled, function(a, b)
        return (a + b) % 9973
    end)
    total = fold(filter(joined, divides(3)), total, function(sum, value)
        return (sum * 31 + value) % 1000003
    end)
end
local adders = {}
for index = 1, 30000 do
    adders[index % 100 + 1] = add(index)
end
print(total, adders[1](5), adders[100](7))
