-- xxHash64-like mixing on pairs of 32-bit halves with bit32: small functions that return two values each.
local band, bxor, bor = bit32.band, bit32.bxor, bit32.bor
local lshift, rshift = bit32.lshift, bit32.rshift

local function add(ah, al, bh, bl)
    local low = al + bl
    local carry = low >= 4294967296 and 1 or 0
    return (ah + bh + carry) % 4294967296, low % 4294967296
end

local function multiply(ah, al, bh, bl)
    local a0, a1 = band(al, 0xffff), rshift(al, 16)
    local b0, b1 = band(bl, 0xffff), rshift(bl, 16)
    local p00, p01, p10, p11 = a0 * b0, a0 * b1, a1 * b0, a1 * b1
    local middle = p01 + p10 + math.floor(p00 / 65536)
    local low = (middle % 65536) * 65536 + p00 % 65536
    local high = p11 + math.floor(middle / 65536)
    local cross_a = (band(ah, 0xffff) * bl + (rshift(ah, 16) * b0 % 65536) * 65536) % 4294967296
    local cross_b = (band(bh, 0xffff) * al + (rshift(bh, 16) * a0 % 65536) * 65536) % 4294967296
    return (high + cross_a + cross_b) % 4294967296, low
end

local function rotate_left(high, low, count)
    if count >= 32 then
        high, low, count = low, high, count - 32
    end
    if count == 0 then
        return high, low
    end
    return bor(lshift(high, count), rshift(low, 32 - count)), bor(lshift(low, count), rshift(high, 32 - count))
end

local P1H, P1L = 0x9e3779b1, 0x85ebca87
local P2H, P2L = 0xc2b2ae3d, 0x27d4eb4f
local P3H, P3L = 0x165667b1, 0x9e3779f9

local function round(sh, sl, wh, wl)
    local mh, ml = multiply(wh, wl, P2H, P2L)
    sh, sl = add(sh, sl, mh, ml)
    sh, sl = rotate_left(sh, sl, 31)
    return multiply(sh, sl, P1H, P1L)
end

local function avalanche(high, low)
    high, low = bxor(high, 0), bxor(low, rshift(high, 1))
    high, low = multiply(high, low, P2H, P2L)
    high, low = bxor(high, rshift(high, 29)), bxor(low, bor(rshift(low, 29), lshift(high, 3)))
    high, low = multiply(high, low, P3H, P3L)
    return high, bxor(low, high)
end

local function word(text, at)
    local a, b, c, d = string.byte(text, at, at + 3)
    return (a or 0) + (b or 0) * 256 + (c or 0) * 65536 + (d or 0) * 16777216
end

local function hash(text, seed)
    local high, low = add(P3H, P3L, 0, seed)
    for at = 1, #text, 8 do
        high, low = round(high, low, word(text, at + 4), word(text, at))
    end
    high, low = add(high, low, 0, #text)
    return avalanche(high, low)
end

local text = string.rep("the quick brown fox jumps over the lazy dog; ", 24)
local high, low = 0, 0
for seed = 1, 170 do
    local h, l = hash(text, seed)
    high, low = bxor(high, h), bxor(low, l)
end
print(string.format("%08x%08x", high, low))
