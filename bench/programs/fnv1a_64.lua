-- FNV-1a with 64 bits as four limbs of 16: products and carries in plain numbers, a hash table of counts by hash.
local function multiplied(a, b)
    local a1, a2, a3, a4 = a[1], a[2], a[3], a[4]
    local b1, b2, b3, b4 = b[1], b[2], b[3], b[4]
    local low = a1 * b1
    local second = a1 * b2 + a2 * b1 + math.floor(low / 65536)
    local third = a1 * b3 + a2 * b2 + a3 * b1 + math.floor(second / 65536)
    local fourth = a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + math.floor(third / 65536)
    a[1], a[2], a[3], a[4] = low % 65536, second % 65536, third % 65536, fourth % 65536
end

local function xor_byte(value, byte)
    local result, bit = 0, 1
    for _ = 1, 8 do
        if value % 2 ~= byte % 2 then
            result = result + bit
        end
        value, byte, bit = math.floor(value / 2), math.floor(byte / 2), bit * 2
    end
    return value * 256 + result
end

local OFFSET = { 0x2325, 0x8422, 0x9ce4, 0xcbf2 }
local PRIME = { 0x01b3, 0x0000, 0x0100, 0x0000 }

local function fnv1a(text)
    local hash = { OFFSET[1], OFFSET[2], OFFSET[3], OFFSET[4] }
    for i = 1, #text do
        hash[1] = xor_byte(hash[1], string.byte(text, i))
        multiplied(hash, PRIME)
    end
    return hash
end

local function hex(hash)
    return string.format("%04x%04x%04x%04x", hash[4], hash[3], hash[2], hash[1])
end

local buckets = {}
for index = 1, 101 do
    buckets[index] = 0
end
local words = { "sword", "shield", "potion", "torch", "arrow", "bow", "helmet" }
for round = 1, 3200 do
    local word = words[round % #words + 1] .. ":" .. round
    local hash = fnv1a(word)
    local bucket = (hash[1] + hash[2] * 65536) % 101 + 1
    buckets[bucket] = buckets[bucket] + 1
end
local fullest = 0
for _, count in ipairs(buckets) do
    fullest = math.max(fullest, count)
end
print(hex(fnv1a("")), hex(fnv1a("a")), hex(fnv1a("foobar")), fullest)
