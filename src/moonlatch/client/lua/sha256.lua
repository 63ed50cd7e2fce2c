-- SHA-256 (FIPS 180-4) and HMAC (RFC 2104) of strings, as strings of 32 raw bytes.
local COMPRESS = [[
return function(state, constants, text)
  local byte = string.byte
  local w = {}
  local h0, h1, h2, h3 = state[1], state[2], state[3], state[4]
  local h4, h5, h6, h7 = state[5], state[6], state[7], state[8]
  for from = 1, #text, 64 do
    for i = 1, 16 do
      local b0, b1, b2, b3 = byte(text, from + i * 4 - 4, from + i * 4 - 1)
      w[i] = ((b0 * 256 + b1) * 256 + b2) * 256 + b3
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      x, y = clean(x), clean(y)
      local s0 = clean(bxor(bxor(ror(x, 7), ror(x, 18)), shr(x, 3)))
      local s1 = clean(bxor(bxor(ror(y, 17), ror(y, 19)), shr(y, 10)))
      w[i] = clean(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = h0, h1, h2, h3, h4, h5, h6, h7
    for i = 1, 64 do
      local s1 = clean(bxor(bxor(ror(e, 6), ror(e, 11)), ror(e, 25)))
      local t1 = h + s1 + bxor(g, band(e, bxor(f, g))) + constants[i] + w[i]
      local s0 = clean(bxor(bxor(ror(a, 2), ror(a, 13)), ror(a, 22)))
      local t2 = s0 + bxor(band(a, b), band(c, bxor(a, b)))
      h, g, f, e, d, c, b, a = g, f, e, clean(d + t1), c, b, a, clean(t1 + t2)
    end
    h0, h1, h2, h3 = clean(h0 + a), clean(h1 + b), clean(h2 + c), clean(h3 + d)
    h4, h5, h6, h7 = clean(h4 + e), clean(h5 + f), clean(h6 + g), clean(h7 + h)
  end
  return { h0, h1, h2, h3, h4, h5, h6, h7 }
end
]]

local compress, initial, constants

-- The constants are the first 32 fractional bits of roots of the first primes: shorter to compute than to list.
local function prepare()
  compress = kernel.compile(COMPRESS)
  initial, constants = {}, {}
  local primes, candidate = {}, 2
  while #primes < 64 do
    local prime = true
    for i = 1, #primes do
      if candidate % primes[i] == 0 then
        prime = false
      end
    end
    if prime then
      primes[#primes + 1] = candidate
      constants[#primes] = math.floor(candidate ^ (1 / 3) % 1 * 4294967296)
      if #primes <= 8 then
        initial[#primes] = math.floor(candidate ^ 0.5 % 1 * 4294967296)
      end
    end
    candidate = candidate + 1
  end
end

-- The number as `size` bytes, the most significant first.
local function big_endian(number, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

local function sha256(text)
  if not compress then
    prepare()
  end
  local padding = string.rep("\0", (55 - #text) % 64)
  local state = compress(initial, constants, text .. "\128" .. padding .. big_endian(#text * 8, 8))
  local words = {}
  for i = 1, 8 do
    words[i] = big_endian(state[i] % 4294967296, 4)
  end
  return table.concat(words)
end

local OUTER, INNER = string.rep("\92", 64), string.rep("\54", 64) -- 0x5c and 0x36, the pads of RFC 2104

-- Exclusive or of two texts of one length, byte by byte.
local function xor(text, pad)
  local bytes = {}
  for i = 1, #text do
    local left, right, bit, x = string.byte(text, i), string.byte(pad, i), 1, 0
    for _ = 1, 8 do
      if left % 2 ~= right % 2 then
        x = x + bit
      end
      left, right, bit = math.floor(left / 2), math.floor(right / 2), bit * 2
    end
    bytes[i] = string.char(x)
  end
  return table.concat(bytes)
end

local function hmac(key, message)
  if #key > 64 then
    key = sha256(key)
  end
  local block = key .. string.rep("\0", 64 - #key)
  return sha256(xor(block, OUTER) .. sha256(xor(block, INNER) .. message))
end

local function hex(bytes)
  return (string.gsub(bytes, ".", function(character)
    return string.format("%02x", string.byte(character))
  end))
end

local function unhex(text)
  return (string.gsub(text, "%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Whether two strings are equal, in a time that does not tell where they differ.
local function equal(one, other)
  if #one ~= #other then
    return false
  end
  local difference = 0
  for i = 1, #one do
    local distance = string.byte(one, i) - string.byte(other, i)
    difference = difference + distance * distance
  end
  return difference == 0
end

-- `derive` of the protocol: a key for one purpose.
local function derive(key, ...)
  return hmac(key, table.concat({ ... }, "\n"))
end

return { sha256 = sha256, hmac = hmac, hex = hex, equal = equal, derive = derive, xor = xor, big_endian = big_endian, unhex = unhex }
