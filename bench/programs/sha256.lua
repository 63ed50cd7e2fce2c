-- SHA-256 with bit32 over a long message: 32-bit arithmetic in unrolled-looking loops.
local band, bxor, bnot, rrotate, rshift = bit32.band, bit32.bxor, bit32.bnot, bit32.rrotate, bit32.rshift

local function primes(count)
    local found, candidate = {}, 2
    while #found < count do
        local is_prime = true
        for _, prime in ipairs(found) do
            if prime * prime > candidate then
                break
            end
            if candidate % prime == 0 then
                is_prime = false
                break
            end
        end
        if is_prime then
            found[#found + 1] = candidate
        end
        candidate = candidate + 1
    end
    return found
end

local function fraction_bits(value)
    return math.floor((value - math.floor(value)) * 4294967296)
end

local K, INITIAL = {}, {}
for index, prime in ipairs(primes(64)) do
    K[index] = fraction_bits(prime ^ (1 / 3))
    if index <= 8 then
        INITIAL[index] = fraction_bits(prime ^ 0.5)
    end
end

local function padded(message)
    local length = #message
    local zeros = (55 - length) % 64
    local bits = length * 8
    local tail = {}
    for i = 8, 1, -1 do
        tail[i] = string.char(bits % 256)
        bits = math.floor(bits / 256)
    end
    return message .. "\128" .. string.rep("\0", zeros) .. table.concat(tail)
end

local function block(hash, text, at)
    local w = {}
    for i = 1, 16 do
        local a, b, c, d = string.byte(text, at + i * 4 - 4, at + i * 4 - 1)
        w[i] = a * 16777216 + b * 65536 + c * 256 + d
    end
    for i = 17, 64 do
        local x, y = w[i - 15], w[i - 2]
        local s0 = bxor(rrotate(x, 7), rrotate(x, 18), rshift(x, 3))
        local s1 = bxor(rrotate(y, 17), rrotate(y, 19), rshift(y, 10))
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) % 4294967296
    end
    local a, b, c, d, e, f, g, h = hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7], hash[8]
    for i = 1, 64 do
        local s1 = bxor(rrotate(e, 6), rrotate(e, 11), rrotate(e, 25))
        local choice = bxor(band(e, f), band(bnot(e), g))
        local one = (h + s1 + choice + K[i] + w[i]) % 4294967296
        local s0 = bxor(rrotate(a, 2), rrotate(a, 13), rrotate(a, 22))
        local majority = bxor(band(a, b), band(a, c), band(b, c))
        h, g, f, e = g, f, e, (d + one) % 4294967296
        d, c, b, a = c, b, a, (one + s0 + majority) % 4294967296
    end
    for i, value in ipairs({ a, b, c, d, e, f, g, h }) do
        hash[i] = (hash[i] + value) % 4294967296
    end
end

local function sha256(message)
    local text = padded(message)
    local hash = {}
    for i = 1, 8 do
        hash[i] = INITIAL[i]
    end
    for at = 1, #text, 64 do
        block(hash, text, at)
    end
    local digits = {}
    for i = 1, 8 do
        digits[i] = string.format("%08x", hash[i])
    end
    return table.concat(digits)
end

print(sha256("abc"))
local digest = ""
for _ = 1, 16 do
    digest = sha256(digest .. string.rep("moonlight", 2500))
end
print(digest)
