-- Base64 (RFC 4648 section 4) into a block of memory, strictly: standard alphabet, padded, nothing else.
local base64 = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- Every character of a group of four adds its bits to the group's 24-bit little-endian number. With a buffer, two
-- characters are looked up at once; without one, there is a table for each position in the group.
local GROUPS_TO_BUFFER = [[
return function(block, text, front, back)
  local readu16 = buffer.readu16
  local input = buffer.fromstring(text)
  local p = 0
  for i = 0, #text - 1, 16 do
    writeu32(block, p, front[readu16(input, i)] + back[readu16(input, i + 2)])
    writeu32(block, p + 3, front[readu16(input, i + 4)] + back[readu16(input, i + 6)])
    writeu32(block, p + 6, front[readu16(input, i + 8)] + back[readu16(input, i + 10)])
    writeu32(block, p + 9, front[readu16(input, i + 12)] + back[readu16(input, i + 14)])
    p = p + 12
  end
end
]]

local GROUPS_TO_TABLE = [[
return function(block, text, first, second, third, fourth)
  local byte, floor = string.byte, math.floor
  local p = 1
  for i = 1, #text, 16 do
    local a, b, c, d, e, f, g, h, j, k, l, m, n, o, q, r = byte(text, i, i + 15)
    local g0 = first[a] + second[b] + third[c] + fourth[d]
    local g1 = first[e] + second[f] + third[g] + fourth[h]
    local g2 = first[j] + second[k] + third[l] + fourth[m]
    local g3 = first[n] + second[o] + third[q] + fourth[r]
    block[p] = g0 + g1 % 256 * 16777216
    block[p + 1] = floor(g1 / 256) + g2 % 65536 * 65536
    block[p + 2] = floor(g2 / 65536) + g3 * 256
    p = p + 3
  end
end
]]

local decode_groups, tables

local pair_table = LA_NO_VIRTUALIZE(function(left, right)
  local pairs_of_characters = {}
  -- Filled from the start, so that it is an array.
  for code = 1, 31354 do -- "zz"
    pairs_of_characters[code] = 0
  end
  for right_code, right_bits in pairs(right) do
    for left_code, left_bits in pairs(left) do
      pairs_of_characters[right_code * 256 + left_code] = left_bits + right_bits
    end
  end
  return pairs_of_characters
end)

local function prepare()
  kernel.detect()
  local first, second, third, fourth = {}, {}, {}, {}
  for value = 0, 63 do
    local code = string.byte(ALPHABET, value + 1)
    first[code] = value * 4
    second[code] = math.floor(value / 16) + value % 16 * 4096
    third[code] = math.floor(value / 4) * 256 + value % 4 * 4194304
    fourth[code] = value * 65536
  end
  if kernel.memory == "buffer" then
    decode_groups = kernel.compile(GROUPS_TO_BUFFER)
    tables = { pair_table(first, second), pair_table(third, fourth) }
  else
    decode_groups = kernel.compile(GROUPS_TO_TABLE)
    tables = { first, second, third, fourth }
  end
end

-- The block and its length in bytes, or nil when `text` is not base64.
function base64.decode(text)
  if #text % 4 ~= 0 or not string.find(text, "^[A-Za-z0-9+/]*=?=?$") then
    return nil
  end
  if not decode_groups then
    prepare()
  end
  local padding = #string.match(string.sub(text, -2), "=*$")
  local length = #text / 4 * 3 - padding
  -- The kernels take 16 characters at a time; "A" is all zero bits, so what they write too much is the block's zero rest.
  local filled = string.sub(text, 1, #text - padding)
  filled = filled .. string.rep("A", -#filled % 16)
  local block = memory.create(length + 16)
  decode_groups(block, filled, tables[1], tables[2], tables[3], tables[4])
  return block, math.floor(length)
end

return base64
