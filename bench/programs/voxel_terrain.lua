-- Voxels: value noise, columns of blocks, and counting the faces that a mesh of them shows.
local SIZE, HEIGHT = 20, 20
local AIR, STONE, GRASS, WATER = 0, 1, 2, 3
local WATER_LEVEL = 7

local function lattice(x, z)
    local n = (x * 374761 + z * 668265) % 2147483
    n = (n * n * 15731 + 789221 * n) % 2147483
    return n / 2147483
end

local function smooth(t)
    return t * t * (3 - 2 * t)
end

local function lerp(a, b, t)
    return a + (b - a) * t
end

local function noise(x, z)
    local x0, z0 = math.floor(x), math.floor(z)
    local u, v = smooth(x - x0), smooth(z - z0)
    local near = lerp(lattice(x0, z0), lattice(x0 + 1, z0), u)
    local far = lerp(lattice(x0, z0 + 1), lattice(x0 + 1, z0 + 1), u)
    return lerp(near, far, v)
end

local function fractal(x, z)
    local sum, amplitude, frequency = 0, 1, 0.09
    for _ = 1, 4 do
        sum = sum + noise(x * frequency, z * frequency) * amplitude
        amplitude, frequency = amplitude / 2, frequency * 2
    end
    return sum / 1.875
end

local Chunk = {}
Chunk.__index = Chunk

function Chunk.new(cx, cz)
    local self = setmetatable({ cx = cx, cz = cz, blocks = {} }, Chunk)
    for x = 0, SIZE - 1 do
        for z = 0, SIZE - 1 do
            self:fill_column(x, z, 2 + math.floor(fractal(cx * SIZE + x, cz * SIZE + z) * (HEIGHT - 6)))
        end
    end
    return self
end

function Chunk:index(x, y, z)
    return (y * SIZE + z) * SIZE + x + 1
end

function Chunk:fill_column(x, z, top)
    for y = 0, HEIGHT - 1 do
        local block = AIR
        if y < top then
            block = STONE
        elseif y == top then
            block = y > WATER_LEVEL and GRASS or STONE
        elseif y <= WATER_LEVEL then
            block = WATER
        end
        self.blocks[self:index(x, y, z)] = block
    end
end

function Chunk:get(x, y, z)
    if x < 0 or x >= SIZE or z < 0 or z >= SIZE or y < 0 or y >= HEIGHT then
        return AIR
    end
    return self.blocks[self:index(x, y, z)]
end

local NEIGHBOURS = { { 1, 0, 0 }, { -1, 0, 0 }, { 0, 1, 0 }, { 0, -1, 0 }, { 0, 0, 1 }, { 0, 0, -1 } }

function Chunk:visible_faces()
    local faces = { [STONE] = 0, [GRASS] = 0, [WATER] = 0 }
    for y = 0, HEIGHT - 1 do
        for z = 0, SIZE - 1 do
            for x = 0, SIZE - 1 do
                local block = self:get(x, y, z)
                if block ~= AIR then
                    for _, d in ipairs(NEIGHBOURS) do
                        if self:get(x + d[1], y + d[2], z + d[3]) == AIR then
                            faces[block] = faces[block] + 1
                        end
                    end
                end
            end
        end
    end
    return faces
end

local stone, grass, water = 0, 0, 0
for cx = 0, 1 do
    for cz = 0, 1 do
        local faces = Chunk.new(cx, cz):visible_faces()
        stone, grass, water = stone + faces[STONE], grass + faces[GRASS], water + faces[WATER]
    end
end
print(stone, grass, water)
