-- SHA-256 (FIPS 180-4) and HMAC (RFC 2104) of strings, as strings of 32 raw bytes.
--
-- What the host compiles is given no key: states and keys come to it as numbers under masks that stand in this start's own
-- text, in an order of its own. That keeps off tools that watch what goes through the host; it is no wall.
local COMPRESS = [[
return function(state, constants, key, text)
  local byte = string.byte
  local w = {}
  LOAD
  for from = key and -63 or 1, #text, 64 do
    if from < 1 then
      local pad = clean(key[17] + PADMASK)
      for i = 1, 16 do
        w[i] = bxor(clean(key[i] + KEYMASK * i), pad)
      end
    else
      for i = 1, 16 do
        local b0, b1, b2, b3 = byte(text, from + i * 4 - 4, from + i * 4 - 1)
        w[i] = ((b0 * 256 + b1) * 256 + b2) * 256 + b3
      end
    end
    for i = 17, 64 do
      local x, y = w[i - 15], w[i - 2]
      x, y = clean(x), clean(y)
      local s0 = clean(bxor(bxor(ror(x, 7), ror(x, 18)), shr(x, 3)))
      local s1 = clean(bxor(bxor(ror(y, 17), ror(y, 19)), shr(y, 10)))
      w[i] = clean(total(w[i - 16], s0, w[i - 7], s1))
    end
    local a, b, c, d, e, f, g, h = h1, h2, h3, h4, h5, h6, h7, h8
    for i = 1, PART do
      ROUND
    end
    for i = PART + 1, 64 do
      ROUND
    end
    ADD
  end
  local result = {}
  STORE
  return result
end
]]

local ROUNDS = {
  [[local s1 = clean(bxor(bxor(ror(e, 6), ror(e, 11)), ror(e, 25)))
    local t1 = total(h, s1, bxor(g, band(e, bxor(f, g))), constants[i], w[i])
    local s0 = clean(bxor(bxor(ror(a, 2), ror(a, 13)), ror(a, 22)))
    local t2 = total(s0, bxor(band(a, b), band(c, bxor(a, b)))) ]],
  [[local s0 = clean(bxor(bxor(ror(a, 22), ror(a, 13)), ror(a, 2)))
    local t2 = total(bxor(a, band(bxor(a, b), bxor(a, c))), s0)
    local s1 = clean(bxor(bxor(ror(e, 25), ror(e, 11)), ror(e, 6)))
    local t1 = total(w[i], bxor(bxor(band(e, f), band(e, g)), g), h, constants[i], s1) ]],
}
-- What becomes what at the end of a round.
local TURN = {
  { "h", "g" },
  { "g", "f" },
  { "f", "e" },
  { "e", "clean(d + t1)" },
  { "d", "c" },
  { "c", "b" },
  { "b", "a" },
  { "a", "clean(total(t1, t2))" },
}
local LETTERS = "abcdefgh"

local compress, initial, constants
-- Word i of a state lies at places[i], less masks[i]; word i of a key is less key_mask * i, its padding less pad_mask.
local places, masks, key_mask, pad_mask

local function mask()
  return kernel.chance(65536) * 65536 - kernel.chance(65536)
end

local function masked(word, by)
  return (word - by) % 4294967296
end

-- `text` for each word of a state, in any order: J is its number, L its letter, P its place, M its mask.
local function each_word(text)
  local parts = {}
  for i = 1, 8 do
    local of = { J = i, L = string.sub(LETTERS, i, i), P = places[i], M = string.format("%.0f", masks[i]) }
    parts[i] = string.gsub(text, "[JLPM]", of)
  end
  return table.concat(kernel.shuffled(parts), " ")
end

local function round()
  local turn, left, right = kernel.shuffled(TURN), {}, {}
  for i = 1, #turn do
    left[i], right[i] = turn[i][1], turn[i][2]
  end
  return ROUNDS[kernel.chance(2)] .. table.concat(left, ", ") .. " = " .. table.concat(right, ", ")
end

local function source()
  local parts = {
    LOAD = each_word("local hJ = clean(state[P] + M)"),
    ADD = each_word("hJ = clean(hJ + L)"),
    STORE = each_word("result[P] = clean(hJ + 4294967296 - M)"),
    KEYMASK = string.format("%.0f", key_mask),
    PADMASK = string.format("%.0f", pad_mask),
    PART = tostring(kernel.chance(62)),
  }
  return (string.gsub(string.gsub(COMPRESS, "ROUND", round), "%u%u+", parts))
end

-- The constants are the first 32 fractional bits of roots of the first primes: shorter to compute than to list.
local function prepare()
  initial, constants, masks, places = {}, {}, {}, kernel.shuffled({ 1, 2, 3, 4, 5, 6, 7, 8 })
  for i = 1, 8 do
    masks[i] = mask()
  end
  key_mask, pad_mask = mask(), mask()
  compress = kernel.compile(source())
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
        initial[places[#primes]] = masked(math.floor(candidate ^ 0.5 % 1 * 4294967296), masks[#primes])
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

-- The hash of `text`, after a block of 64 bytes if `key` is one.
local function hash(key, text)
  local length = #text + (key and 64 or 0)
  local padding = string.rep("\0", (55 - #text) % 64)
  local state = compress(initial, constants, key, text .. "\128" .. padding .. big_endian(length * 8, 8))
  local words = {}
  for i = 1, 8 do
    words[i] = big_endian(masked(state[places[i]], -masks[i]), 4)
  end
  return table.concat(words)
end

local function sha256(text)
  if not compress then
    prepare()
  end
  return hash(nil, text)
end

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

-- A key's block for `compress`: its words, and what each is padded with.
local function block_of(words, pad)
  local block = {}
  for i = 1, 16 do
    block[i] = masked(words[i] or 0, key_mask * i)
  end
  block[17] = masked(pad, pad_mask)
  return block
end

local function words_of(text)
  local words = {}
  for i = 1, #text, 4 do
    local b0, b1, b2, b3 = string.byte(text, i, i + 3)
    words[#words + 1] = ((b0 * 256 + (b1 or 0)) * 256 + (b2 or 0)) * 256 + (b3 or 0)
  end
  return words
end

-- `key` is text, or its words of 32 bits.
local function hmac(key, message)
  if not compress then
    prepare()
  end
  if type(key) == "string" then
    key = words_of(#key > 64 and sha256(key) or key)
  end
  -- 0x36 and 0x5c, the pads of RFC 2104, in each byte.
  return hash(block_of(key, 1549556828), hash(block_of(key, 909522486), message))
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
