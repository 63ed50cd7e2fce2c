-- Quaternions and a hierarchy of parts whose world positions follow from their parents': flat vector math in functions.
local function rotation(x, y, z, angle)
    local s = math.sin(angle / 2)
    return x * s, y * s, z * s, math.cos(angle / 2)
end

local function combined(ax, ay, az, aw, bx, by, bz, bw)
    return aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz
end

local function rotated(qx, qy, qz, qw, x, y, z)
    local tx = 2 * (qy * z - qz * y)
    local ty = 2 * (qz * x - qx * z)
    local tz = 2 * (qx * y - qy * x)
    return x + qw * tx + qy * tz - qz * ty, y + qw * ty + qz * tx - qx * tz, z + qw * tz + qx * ty - qy * tx
end

local function clamp(value, low, high)
    return math.max(low, math.min(high, value))
end

local Part = {}
Part.__index = Part

function Part.new(parent, x, y, z)
    local self = setmetatable({ parent = parent, children = {}, position = { x, y, z }, spin = 0 }, Part)
    if parent then
        table.insert(parent.children, self)
    end
    return self
end

function Part:update(delta)
    self.spin = self.spin + delta
    local lx, ly, lz, lw = rotation(0, 1, 0, self.spin)
    local px, py, pz, qx, qy, qz, qw = 0, 0, 0, 0, 0, 0, 1
    if self.parent then
        local world, turn = self.parent.world, self.parent.turn
        px, py, pz = world[1], world[2], world[3]
        qx, qy, qz, qw = turn[1], turn[2], turn[3], turn[4]
    end
    local x, y, z = rotated(qx, qy, qz, qw, self.position[1], self.position[2], self.position[3])
    local nx, ny, nz, nw = combined(qx, qy, qz, qw, lx, ly, lz, lw)
    self.world = { clamp(px + x, -100, 100), clamp(py + y, -100, 100), clamp(pz + z, -100, 100) }
    self.turn = { nx, ny, nz, nw }
    for _, child in ipairs(self.children) do
        child:update(delta * 1.5)
    end
end

local root = Part.new(nil, 0, 1, 0)
local parts = { root }
for index = 2, 40 do
    parts[index] = Part.new(parts[math.floor(index / 2)], index % 3 - 1, 0.5, index % 5 / 4)
end
for _ = 1, 700 do
    root:update(1 / 60)
end
local sum = 0
for index, part in ipairs(parts) do
    sum = sum + (part.world[1] + part.world[2] * 2 + part.world[3] * 3) * index
end
print(string.format("%.5f", sum))
