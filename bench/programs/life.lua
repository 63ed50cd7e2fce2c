-- Conway's game of life on a torus: branches in a triple loop.
local WIDTH, HEIGHT = 64, 48

local function empty()
    local grid = {}
    for y = 1, HEIGHT do
        grid[y] = {}
        for x = 1, WIDTH do
            grid[y][x] = 0
        end
    end
    return grid
end

local function neighbours(grid, x, y)
    local count = 0
    for dy = -1, 1 do
        local row = grid[(y + dy - 1) % HEIGHT + 1]
        for dx = -1, 1 do
            if dx ~= 0 or dy ~= 0 then
                count = count + row[(x + dx - 1) % WIDTH + 1]
            end
        end
    end
    return count
end

local function step(grid)
    local out = empty()
    for y = 1, HEIGHT do
        for x = 1, WIDTH do
            local count = neighbours(grid, x, y)
            if count == 3 or (count == 2 and grid[y][x] == 1) then
                out[y][x] = 1
            end
        end
    end
    return out
end

local grid = empty()
local seed = 7
for y = 1, HEIGHT do
    for x = 1, WIDTH do
        seed = (seed * 16807) % 2147483647
        grid[y][x] = seed % 3 == 0 and 1 or 0
    end
end
for generation = 1, 80 do
    grid = step(grid)
    if generation % 40 == 0 then
        local alive = 0
        for y = 1, HEIGHT do
            for x = 1, WIDTH do
                alive = alive + grid[y][x]
            end
        end
        print(generation, alive)
    end
end
