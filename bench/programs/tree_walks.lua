-- Generators over a search tree: in order, between two keys, by level, and the merge of two trees, by coroutines.
local yield = coroutine.yield

local function insert(node, key)
    if node == nil then
        return { key = key, left = nil, right = nil }
    end
    if key < node.key then
        node.left = insert(node.left, key)
    elseif key > node.key then
        node.right = insert(node.right, key)
    end
    return node
end

local function walk(node)
    if node then
        walk(node.left)
        yield(node.key)
        walk(node.right)
    end
end

local function between(node, low, high)
    if node == nil then
        return
    end
    if node.key > low then
        between(node.left, low, high)
    end
    if node.key >= low and node.key <= high then
        yield(node.key)
    end
    if node.key < high then
        between(node.right, low, high)
    end
end

local function generator(f, ...)
    local arguments = { ... }
    return coroutine.wrap(function()
        f(arguments[1], arguments[2], arguments[3])
    end)
end

local function by_level(root)
    return coroutine.wrap(function()
        local level = { root }
        local depth = 1
        while #level > 0 do
            local below = {}
            for _, node in ipairs(level) do
                coroutine.yield(node.key, depth)
                if node.left then
                    below[#below + 1] = node.left
                end
                if node.right then
                    below[#below + 1] = node.right
                end
            end
            level, depth = below, depth + 1
        end
    end)
end

local function merged(one, other)
    return coroutine.wrap(function()
        local a, b = one(), other()
        while a or b do
            if not b or (a and a < b) then
                yield(a)
                a = one()
            else
                yield(b)
                b = other()
            end
        end
    end)
end

local function tree(count, seed)
    local root
    for _ = 1, count do
        seed = (seed * 16807) % 2147483647
        root = insert(root, seed % 100003)
    end
    return root
end

local first, second = tree(2000, 3), tree(1500, 11)
local checksum = 0
local function count(key)
    checksum = (checksum * 33 + key) % 1000003
end
for _ = 1, 4 do
    for key in merged(generator(walk, first), generator(walk, second)) do
        count(key)
    end
    for key, depth in by_level(first) do
        count(key * depth)
    end
    for low = 0, 100000, 5000 do
        for key in generator(between, second, low, low + 2500) do
            count(key)
        end
    end
end
print(checksum)
