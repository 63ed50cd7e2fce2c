-- Rays through a grid of voxels, cell by cell (Amanatides and Woo): lines of sight and the light that reaches the floor.
local WIDTH = 32

local function solid(x, y, z)
    if y < 0 then
        return true
    end
    return (x * 7 + y * 13 + z * 29 + x * y * z) % 37 == 0
end

local function sign(value)
    if value > 0 then
        return 1
    elseif value < 0 then
        return -1
    end
    return 0
end

local function axis(position, direction)
    local step = sign(direction)
    if step == 0 then
        return step, math.huge, math.huge
    end
    local cell = math.floor(position)
    local boundary = step > 0 and cell + 1 or cell
    return step, (boundary - position) / direction, step / direction
end

local function cast(px, py, pz, dx, dy, dz, reach)
    local x, y, z = math.floor(px), math.floor(py), math.floor(pz)
    local sx, tx, ex = axis(px, dx)
    local sy, ty, ey = axis(py, dy)
    local sz, tz, ez = axis(pz, dz)
    local steps = 0
    while steps < reach do
        if solid(x, y, z) then
            return steps, x, y, z
        end
        if tx < ty and tx < tz then
            x, tx = x + sx, tx + ex
        elseif ty < tz then
            y, ty = y + sy, ty + ey
        else
            z, tz = z + sz, tz + ez
        end
        steps = steps + 1
    end
    return nil
end

local function direction(index, count)
    local angle = index / count * 2 * math.pi
    local pitch = (index % 7 - 3) / 5
    return math.cos(angle) * math.cos(pitch), math.sin(pitch), math.sin(angle) * math.cos(pitch)
end

local function visibility(px, py, pz, rays)
    local open, distance = 0, 0
    for index = 1, rays do
        local dx, dy, dz = direction(index, rays)
        local steps = cast(px, py, pz, dx, dy, dz, 48)
        if steps then
            distance = distance + steps
        else
            open = open + 1
        end
    end
    return open, distance
end

local open, distance = 0, 0
for x = 0, WIDTH - 1, 4 do
    for z = 0, WIDTH - 1, 4 do
        local o, d = visibility(x + 0.5, 3.5, z + 0.25, 60)
        open, distance = open + o, distance + d
    end
end
print(open, distance)
