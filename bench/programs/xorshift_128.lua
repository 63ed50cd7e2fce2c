-- A xorshift generator as an object, splitmix-like seeding, dice statistics and a shuffle: a method call per number.
local bxor, lshift, rshift = bit32.bxor, bit32.lshift, bit32.rshift

local Random = {}
Random.__index = Random

local function mix(value)
    value = bxor(value, rshift(value, 16))
    value = (value * 0x21f0aaad) % 4294967296
    value = bxor(value, rshift(value, 15))
    value = (value * 0x735a2d97) % 4294967296
    return bxor(value, rshift(value, 15))
end

function Random.new(seed)
    local self = setmetatable({}, Random)
    self.x = mix(seed + 0x9e37)
    self.y = mix(self.x + 0x79b9)
    self.z = mix(self.y + 0x7f4a)
    self.w = mix(self.z + 0x7c15)
    return self
end

function Random:next()
    local t = bxor(self.x, lshift(self.x, 11))
    self.x, self.y, self.z = self.y, self.z, self.w
    self.w = bxor(self.w, rshift(self.w, 19), t, rshift(t, 8))
    return self.w
end

function Random:real()
    return self:next() / 4294967296
end

function Random:between(low, high)
    return low + math.floor(self:real() * (high - low + 1))
end

function Random:shuffle(list)
    for i = #list, 2, -1 do
        local j = self:between(1, i)
        list[i], list[j] = list[j], list[i]
    end
end

local random = Random.new(2024)
local faces = { 0, 0, 0, 0, 0, 0 }
for _ = 1, 90000 do
    local face = random:between(1, 6)
    faces[face] = faces[face] + 1
end
local deck = {}
for card = 1, 52 do
    deck[card] = card
end
local checksum = 0
for _ = 1, 400 do
    random:shuffle(deck)
    checksum = (checksum * 31 + deck[1] * 52 + deck[52]) % 1000003
end
print(table.concat(faces, " "), checksum, random:next())
