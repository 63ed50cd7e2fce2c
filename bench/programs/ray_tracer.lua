-- Vectors with metatables, as games use them: a ray tracer with spheres, shadows and reflections.
local Vector = {}
Vector.__index = Vector

local function vector(x, y, z)
    return setmetatable({ x = x, y = y, z = z }, Vector)
end

Vector.__add = function(a, b)
    return vector(a.x + b.x, a.y + b.y, a.z + b.z)
end
Vector.__sub = function(a, b)
    return vector(a.x - b.x, a.y - b.y, a.z - b.z)
end
Vector.__mul = function(a, b)
    if type(b) == "number" then
        return vector(a.x * b, a.y * b, a.z * b)
    end
    return vector(a.x * b.x, a.y * b.y, a.z * b.z)
end
Vector.__unm = function(a)
    return vector(-a.x, -a.y, -a.z)
end

function Vector:dot(other)
    return self.x * other.x + self.y * other.y + self.z * other.z
end

function Vector:magnitude()
    return math.sqrt(self:dot(self))
end

function Vector:unit()
    return self * (1 / self:magnitude())
end

local spheres = {
    { centre = vector(0, -101, 6), radius = 100, colour = vector(0.6, 0.7, 0.6), shine = 0.1 },
    { centre = vector(0, 0, 6), radius = 1, colour = vector(0.9, 0.2, 0.2), shine = 0.4 },
    { centre = vector(2, 0.2, 5), radius = 0.8, colour = vector(0.2, 0.3, 0.9), shine = 0.3 },
    { centre = vector(-2, 0.4, 7), radius = 1.3, colour = vector(0.3, 0.9, 0.4), shine = 0.2 },
}
local light = vector(-4, 6, -2)

local function intersection(origin, direction, sphere)
    local offset = origin - sphere.centre
    local b = offset:dot(direction)
    local c = offset:dot(offset) - sphere.radius * sphere.radius
    local discriminant = b * b - c
    if discriminant < 0 then
        return nil
    end
    local distance = -b - math.sqrt(discriminant)
    return distance > 0.001 and distance or nil
end

local function nearest(origin, direction)
    local best, found = math.huge, nil
    for _, sphere in ipairs(spheres) do
        local distance = intersection(origin, direction, sphere)
        if distance and distance < best then
            best, found = distance, sphere
        end
    end
    return found, best
end

local function colour(origin, direction, depth)
    local sphere, distance = nearest(origin, direction)
    if not sphere then
        return vector(0.4, 0.5, 0.7) * (1 - math.abs(direction.y))
    end
    local point = origin + direction * distance
    local normal = (point - sphere.centre):unit()
    local towards = (light - point):unit()
    local brightness = math.max(0, normal:dot(towards))
    if brightness > 0 and nearest(point, towards) then
        brightness = brightness * 0.3
    end
    local own = sphere.colour * (0.1 + 0.9 * brightness)
    if depth == 0 then
        return own
    end
    local mirrored = direction - normal * (2 * normal:dot(direction))
    return own * (1 - sphere.shine) + colour(point, mirrored, depth - 1) * sphere.shine
end

local total = vector(0, 0, 0)
for y = 1, 28 do
    for x = 1, 36 do
        local direction = vector((x - 18) / 24, (14 - y) / 24, 1):unit()
        total = total + colour(vector(0, 0, 0), direction, 2)
    end
end
print(string.format("%.6f %.6f %.6f", total.x, total.y, total.z))
