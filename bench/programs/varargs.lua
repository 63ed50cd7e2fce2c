-- Argument lists of every length: select, packing, unpacking and truncation.
local unpack = table.unpack or unpack

local function sum(...)
    local total = 0
    for i = 1, select("#", ...) do
        total = total + (select(i, ...) or 0)
    end
    return total
end

local function pack(...)
    return { n = select("#", ...), ... }
end

local function reversed(...)
    local values = pack(...)
    for i = 1, math.floor(values.n / 2) do
        values[i], values[values.n - i + 1] = values[values.n - i + 1], values[i]
    end
    return unpack(values, 1, values.n)
end

local function bind(f, ...)
    local bound = pack(...)
    return function(...)
        local all = { unpack(bound, 1, bound.n) }
        local more = pack(...)
        for i = 1, more.n do
            all[bound.n + i] = more[i]
        end
        return f(unpack(all, 1, bound.n + more.n))
    end
end

local function first_and_rest(first, ...)
    return first, select("#", ...), (...)
end

local total = 0
for round = 1, 45000 do
    local add = bind(sum, round, nil, 3)
    total = total + add(1, 2, 3) + sum(reversed(round, 2, nil, 4, 5))
    local first, rest, second = first_and_rest(round, round + 1, round + 2)
    total = total + first * rest - second
    total = (total + sum(reversed((reversed(1, 2, 3)), 7))) % 1000000007
end
print(total, sum(), (reversed(1, 2, 3)))
