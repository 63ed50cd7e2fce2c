-- Planets pulling at each other: floating point and field access in nested loops.
local PI = 3.141592653589793
local SOLAR_MASS = 4 * PI * PI
local DAYS = 365.24

local function body(x, y, z, vx, vy, vz, mass)
    return { x = x, y = y, z = z, vx = vx * DAYS, vy = vy * DAYS, vz = vz * DAYS, mass = mass * SOLAR_MASS }
end

local bodies = {
    body(0, 0, 0, 0, 0, 0, 1),
    body(4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023, 0.000954791938424326609),
    body(8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411145, 0.00499852801234917238, 0.0000230417297573763929, 0.000285885980666130812),
    body(12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556, 0.0000436624404335156298),
    body(15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870, 0.0000515138902046611451),
}

local function offset_momentum(list)
    local px, py, pz = 0, 0, 0
    for _, one in ipairs(list) do
        px = px + one.vx * one.mass
        py = py + one.vy * one.mass
        pz = pz + one.vz * one.mass
    end
    list[1].vx, list[1].vy, list[1].vz = -px / SOLAR_MASS, -py / SOLAR_MASS, -pz / SOLAR_MASS
end

local function energy(list)
    local sum = 0
    for i = 1, #list do
        local one = list[i]
        sum = sum + 0.5 * one.mass * (one.vx * one.vx + one.vy * one.vy + one.vz * one.vz)
        for j = i + 1, #list do
            local other = list[j]
            local dx, dy, dz = one.x - other.x, one.y - other.y, one.z - other.z
            sum = sum - one.mass * other.mass / math.sqrt(dx * dx + dy * dy + dz * dz)
        end
    end
    return sum
end

local function advance(list, count, dt)
    for i = 1, count do
        local one = list[i]
        for j = i + 1, count do
            local other = list[j]
            local dx, dy, dz = one.x - other.x, one.y - other.y, one.z - other.z
            local squared = dx * dx + dy * dy + dz * dz
            local magnitude = dt / (squared * math.sqrt(squared))
            one.vx = one.vx - dx * other.mass * magnitude
            one.vy = one.vy - dy * other.mass * magnitude
            one.vz = one.vz - dz * other.mass * magnitude
            other.vx = other.vx + dx * one.mass * magnitude
            other.vy = other.vy + dy * one.mass * magnitude
            other.vz = other.vz + dz * one.mass * magnitude
        end
    end
    for i = 1, count do
        local one = list[i]
        one.x = one.x + dt * one.vx
        one.y = one.y + dt * one.vy
        one.z = one.z + dt * one.vz
    end
end

offset_momentum(bodies)
print(string.format("%0.9f", energy(bodies)))
for _ = 1, 30000 do
    advance(bodies, #bodies, 0.01)
end
print(string.format("%0.9f", energy(bodies)))
