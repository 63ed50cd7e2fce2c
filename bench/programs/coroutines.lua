-- Generators, a round-robin scheduler and permutations by coroutine.
local function range(first, last)
    return coroutine.wrap(function()
        for i = first, last do
            coroutine.yield(i)
        end
    end)
end

local function filtered(source, predicate)
    return coroutine.wrap(function()
        for value in source do
            if predicate(value) then
                coroutine.yield(value)
            end
        end
    end)
end

local function permutations(list, n)
    if n == 0 then
        coroutine.yield(list)
        return
    end
    for i = 1, n do
        list[n], list[i] = list[i], list[n]
        permutations(list, n - 1)
        list[n], list[i] = list[i], list[n]
    end
end

local function schedule(tasks)
    local steps, alive = 0, #tasks
    while alive > 0 do
        for i = #tasks, 1, -1 do
            local ok, value = coroutine.resume(tasks[i])
            if not ok then
                error(value)
            end
            steps = steps + (value or 0)
            if coroutine.status(tasks[i]) == "dead" then
                table.remove(tasks, i)
                alive = alive - 1
            end
        end
    end
    return steps
end

local sum = 0
for value in filtered(range(1, 240000), function(value)
    return value % 3 == 0
end) do
    sum = sum + value
end

local count = 0
local walk = coroutine.wrap(function()
    permutations({ 1, 2, 3, 4, 5, 6, 7, 8 }, 8)
end)
for list in walk do
    count = count + list[1]
end

local tasks = {}
for i = 1, 60 do
    tasks[i] = coroutine.create(function()
        for round = 1, i * 60 do
            coroutine.yield(round % 5)
        end
    end)
end
print(sum, count, schedule(tasks))
