-- Arithmetic in the field of 2^255 - 19, which signatures and key agreement share. Nothing here takes the same time for all values.
--
-- An element of the field is twelve doubles: limb i is a multiple of 2^e, e = ceil(21.25 i), so that products need no shifts.
-- Adding and subtracting 3 * 2^51 times the next limb's unit rounds a limb to a multiple of that unit: the carry. Products of
-- sums of up to three elements by sums of two stay exact; `sum` and `difference` leave the carry out for them.
local field = {}

local function exponent(i)
  return math.ceil(21.25 * i)
end

local function power(bits)
  return string.format("%.17g", 2 ^ bits)
end

-- `K` in text, for K from `first` to `last`.
local function each(first, last, text, separator)
  local parts = {}
  for k = first, last do
    parts[#parts + 1] = string.gsub(text, "K", tostring(k))
  end
  return table.concat(parts, separator or " ")
end

local function carries()
  local parts = {}
  local function carry(k)
    local unit = string.format("%.17g", 3 * 2 ^ (exponent(k + 1) + 51))
    local into = k < 11 and "hJ = hJ + c" or "h0 = h0 + c * " .. power(-255) .. " * 19"
    parts[#parts + 1] = (string.gsub("c = hK + " .. unit .. " - " .. unit .. " hK = hK - c " .. into, "[KJ]", { K = k, J = k + 1 }))
  end
  for k = 0, 11 do
    carry(k)
  end
  carry(0)
  return "local c " .. table.concat(parts, " ")
end

-- A function of elements: its parameters, then what makes h0 to h11 of a0 to a11 and b0 to b11.
local function operation(name, parameters, body)
  local loads = ""
  for parameter in string.gmatch(parameters, "%a") do
    loads = loads .. "local " .. each(0, 11, parameter .. "K", ", ") .. " = " .. each(1, 12, parameter .. "[K]", ", ") .. " "
  end
  return "function " .. name .. "(" .. parameters .. ") " .. loads .. body .. " return { " .. each(0, 11, "hK", ", ") .. " } end "
end

local function product(is_square)
  local parts = { each(0, 11, "local wK = " .. (is_square and "a" or "b") .. "K * " .. power(-255) .. " * 19") }
  if is_square then
    parts[2] = each(0, 11, "local dK = aK + aK")
  end
  for k = 0, 11 do
    local terms = {}
    for i = 0, 11 do
      local j = (k - i) % 12
      local other = i > k and "w" .. j or (is_square and "a" or "b") .. j
      if not is_square then
        terms[#terms + 1] = "a" .. i .. " * " .. other
      elseif i < j then
        terms[#terms + 1] = "d" .. i .. " * " .. (i + j > 11 and "w" or "a") .. j
      elseif i == j then
        terms[#terms + 1] = "a" .. i .. " * " .. (i + j > 11 and "w" or "a") .. j
      end
    end
    parts[#parts + 1] = "local h" .. k .. " = " .. table.concat(kernel.shuffled(terms), " + ")
  end
  return table.concat(parts, " ") .. " " .. carries()
end

local ELEMENTS = [[
local function squared(a, times)
  for _ = 1, times do
    a = sqr(a)
  end
  return a
end

-- a to the power of 2^250 - 1, and a^11, from which both exponents that are needed are near.
local function chain(a)
  local a2 = sqr(a)
  local a9 = mul(squared(a2, 2), a)
  local a11 = mul(a9, a2)
  local a5 = mul(sqr(a11), a9)
  local a10 = mul(squared(a5, 5), a5)
  local a20 = mul(squared(a10, 10), a10)
  local a50 = mul(squared(mul(squared(a20, 20), a20), 10), a10)
  local a100 = mul(squared(a50, 50), a50)
  return mul(squared(mul(squared(a100, 100), a100), 50), a50), a11
end

local function unpack_element(bytes)
  local h = {}
  for i = 1, 12 do
    h[i] = 0 * 0.5
  end
  local k = 1
  for i = 1, 32 do
    while k < 12 and exponents[k + 1] <= i * 8 - 8 do
      k = k + 1
    end
    h[k] = h[k] + bytes[i] * 2 ^ (i * 8 - 8)
  end
  return add(h, zero)
end

local function pack_element(a)
  local h, floor = {}, math.floor
  a = add(a, zero)
  for i = 1, 12 do
    h[i] = a[i] / 2 ^ exponents[i]
  end
  local function settle()
    for i = 1, 12 do
      local unit = 2 ^ (exponents[i + 1] - exponents[i])
      local c = floor(h[i] / unit)
      h[i] = h[i] - c * unit
      if i < 12 then
        h[i + 1] = h[i + 1] + c
      else
        h[1] = h[1] + c * 19
      end
    end
  end
  settle()
  settle()
  settle()
  -- Between 2^255 - 19 and 2^255 it must be reduced once more: then adding 19 carries out at the top.
  h[1] = h[1] + 19
  local top = 0
  for i = 1, 12 do
    top = floor((h[i] + top) / 2 ^ (exponents[i + 1] - exponents[i]))
  end
  if top == 0 then
    h[1] = h[1] - 19
  end
  local bytes, held, bits, k = {}, 0, 0, 1
  for i = 1, 32 do
    while bits < 8 and k <= 12 do
      held = held + h[k] * 2 ^ bits
      bits = exponents[k + 1] - exponents[1] - i * 8 + 8
      k = k + 1
    end
    bytes[i] = held % 256
    held = floor(held / 256)
    bits = bits - 8
  end
  bytes[32] = bytes[32] % 128
  return bytes
end

return {
  mul = mul, sqr = sqr, add = add, sub = sub, sum = sum, difference = difference, scaled = scaled,
  squared = squared, chain = chain, unpack = unpack_element, pack = pack_element, zero = zero,
}
]]

-- Bytes as numbers in a list, as `unpack` and `pack` have them.
function field.bytes_of_hex(hex)
  local bytes = {}
  for i = 1, #hex, 2 do
    bytes[#bytes + 1] = tonumber(string.sub(hex, i, i + 1), 16)
  end
  return bytes
end

function field.byte_list(text)
  local bytes = {}
  for i = 1, #text do
    bytes[i] = string.byte(text, i)
  end
  return bytes
end

local function source()
  local exponents = {}
  for i = 0, 12 do
    exponents[i + 1] = exponent(i)
  end
  return "local exponents, zero = { "
    .. table.concat(exponents, ", ")
    .. " }, { "
    .. each(1, 12, "0.0", ", ")
    .. " } local mul, sqr, add, sub, sum, difference, scaled "
    .. operation("mul", "a, b", product(false))
    .. operation("sqr", "a", product(true))
    .. operation("add", "a, b", each(0, 11, "local hK = aK + bK") .. " " .. carries())
    .. operation("sub", "a, b", each(0, 11, "local hK = aK - bK") .. " " .. carries())
    .. operation("sum", "a, b", each(0, 11, "local hK = aK + bK"))
    .. operation("difference", "a, b", each(0, 11, "local hK = aK - bK"))
    .. operation("scaled", "a, b", each(0, 11, "local hK = aK + bK * 121665") .. " " .. carries())
    .. ELEMENTS
end

local operations

-- The operations on elements, for kernels.
function field.operations()
  operations = operations or kernel.compile(source())
  return operations
end

return field
