-- Builds and walks many short-lived trees: recursion and allocation.
local function bottom_up(depth)
    if depth == 0 then
        return {}
    end
    return { left = bottom_up(depth - 1), right = bottom_up(depth - 1) }
end

local function count(tree)
    if tree.left then
        return 1 + count(tree.left) + count(tree.right)
    end
    return 1
end

local smallest, deepest = 4, 12
local long_lived = bottom_up(deepest)
for depth = smallest, deepest, 2 do
    local iterations = 2 ^ (deepest - depth + smallest)
    local check = 0
    for _ = 1, iterations do
        check = check + count(bottom_up(depth))
    end
    print(string.format("%d\t trees of depth %d\t check: %d", iterations, depth, check))
end
print("long lived tree of depth " .. deepest, "check: " .. count(long_lived))
