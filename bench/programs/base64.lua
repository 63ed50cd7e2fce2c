-- Base64 there and back: bytes, characters and look-up tables.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local SYMBOLS, VALUES = {}, {}
for i = 1, #ALPHABET do
    local symbol = ALPHABET:sub(i, i)
    SYMBOLS[i - 1] = symbol
    VALUES[symbol:byte()] = i - 1
end

local function encode(text)
    local out = {}
    for at = 1, #text, 3 do
        local a, b, c = string.byte(text, at, at + 2)
        local bits = a * 65536 + (b or 0) * 256 + (c or 0)
        out[#out + 1] = SYMBOLS[math.floor(bits / 262144)]
        out[#out + 1] = SYMBOLS[math.floor(bits / 4096) % 64]
        out[#out + 1] = b and SYMBOLS[math.floor(bits / 64) % 64] or "="
        out[#out + 1] = c and SYMBOLS[bits % 64] or "="
    end
    return table.concat(out)
end

local function decode(text)
    local out = {}
    for at = 1, #text, 4 do
        local a, b, c, d = text:byte(at, at + 3)
        local bits = VALUES[a] * 262144 + VALUES[b] * 4096 + (VALUES[c] or 0) * 64 + (VALUES[d] or 0)
        out[#out + 1] = string.char(math.floor(bits / 65536))
        if VALUES[c] then
            out[#out + 1] = string.char(math.floor(bits / 256) % 256)
        end
        if VALUES[d] then
            out[#out + 1] = string.char(bits % 256)
        end
    end
    return table.concat(out)
end

local pieces = {}
for i = 1, 24000 do
    pieces[i] = string.char(32 + (i * 7919) % 90)
end
local text = table.concat(pieces)
local length = 0
for round = 1, 12 do
    local sample = text:sub(round)
    local encoded = encode(sample)
    length = length + #encoded
    if decode(encoded) ~= sample then
        error("round trip failed")
    end
end
print(length, encode("any carnal pleas"))
