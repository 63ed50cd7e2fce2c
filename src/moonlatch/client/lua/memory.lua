-- Blocks of bytes that kernels work on: a buffer where there is one, else an array of 32-bit little-endian words.
-- The unused rest of a block is zero, up to a multiple of 64 bytes.
local memory = {}

local function words_for(length)
  return math.ceil(length / 64) * 16
end

local function has_buffer()
  kernel.detect()
  return kernel.memory == "buffer"
end

-- This and `little_endian` run once for every word of a payload.
local zeroes = LA_NO_VIRTUALIZE(function(words)
  local block = {}
  for i = 1, words do
    block[i] = 0
  end
  return block
end)

function memory.create(length)
  local words = words_for(length)
  if has_buffer() then
    return buffer.create(words * 4)
  end
  return zeroes(words)
end

-- Word `index`, counted from 0.
function memory.word(block, index)
  if has_buffer() then
    return buffer.readu32(block, index * 4)
  end
  return block[index + 1] % 4294967296
end

function memory.from_string(text)
  local block = memory.create(#text)
  if has_buffer() then
    buffer.writestring(block, 0, text)
    return block
  end
  for from = 1, #text, 4 do
    local b0, b1, b2, b3 = string.byte(text, from, from + 3)
    block[(from + 3) / 4] = b0 + (b1 or 0) * 256 + (b2 or 0) * 65536 + (b3 or 0) * 16777216
  end
  return block
end

-- Words as bytes, the least significant byte of each first.
memory.little_endian = LA_NO_VIRTUALIZE(function(words)
  local char, parts = string.char, {}
  for i = 1, #words do
    local word = words[i]
    local b0 = word % 256
    word = (word - b0) / 256
    local b1 = word % 256
    word = (word - b1) / 256
    local b2 = word % 256
    parts[i] = char(b0, b1, b2, (word - b2) / 256 % 256)
  end
  return table.concat(parts)
end)

-- The first `length` bytes.
function memory.to_string(block, length)
  if has_buffer() then
    return buffer.readstring(block, 0, length)
  end
  return string.sub(memory.little_endian(block), 1, length)
end

-- `count` bytes from byte `from` on, both any number.
function memory.bytes(block, from, count)
  local bytes = {}
  for at = from, from + count - 1 do
    local word = memory.word(block, math.floor(at / 4))
    bytes[#bytes + 1] = string.char(math.floor(word / 256 ^ (at % 4)) % 256)
  end
  return table.concat(bytes)
end

-- Sets the bytes from `from` up to, not including, `to` to zero.
function memory.clear(block, from, to)
  if has_buffer() then
    buffer.fill(block, from, 0, to - from)
    return
  end
  for at = from, to - 1 do
    local index, place = math.floor(at / 4) + 1, 256 ^ (at % 4)
    local word = block[index] % 4294967296
    block[index] = math.floor(word - math.floor(word / place) % 256 * place)
  end
end

return memory
