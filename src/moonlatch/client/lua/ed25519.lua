-- Ed25519 (RFC 8032 section 5.1.7), the verifying half: of public values, so nothing here takes the same time for all of them.
--
-- An element of the field is twelve doubles: limb i is a multiple of 2^e, e = ceil(21.25 i), so that products need no shifts.
-- Adding and subtracting 3 * 2^51 times the next limb's unit rounds a limb to a multiple of that unit: the carry. Products of
-- sums of up to three elements by sums of two stay exact.
local P_CONSTANTS = {
  d = "a3785913ca4deb75abd841414d0a700098e879777940c78c73fe6f2bee6c0352",
  root = "b0a00e4a271beec478e42fad0618432fa7d7fb3d99004d2b0bdfc14f8024832b",
  x = "1ad5258f602d56c9b2a7259560c72c695cdcd6fd31e2a4c0fe536ecdd3366921",
  y = "5866666666666666666666666666666666666666666666666666666666666666",
}
-- The group's order, from its least significant byte on.
local ORDER = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

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
    parts[#parts + 1] = "local h" .. k .. " = " .. table.concat(terms, " + ")
  end
  return table.concat(parts, " ") .. " " .. carries()
end

local CURVE = [[
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

local function equal(a, b)
  a, b = pack_element(a), pack_element(b)
  for i = 1, 32 do
    if a[i] ~= b[i] then
      return false
    end
  end
  return true
end

-- Points are { X, Y, Z, T } with x = X / Z, y = Y / Z, x y = T / Z; what is added is { Y + X, Y - X, 2 Z, 2 d T }.
local function prepared(p)
  return { add(p[2], p[1]), sub(p[2], p[1]), add(p[3], p[3]), mul(p[4], d2) }
end

local function from_parts(e, f, g, h)
  return { mul(e, f), mul(g, h), mul(f, g), mul(e, h) }
end

local function plus(p, q, negated)
  local a = mul(sub(p[2], p[1]), q[negated and 1 or 2])
  local b = mul(add(p[2], p[1]), q[negated and 2 or 1])
  local c, e = mul(p[4], q[4]), mul(p[3], q[3])
  if negated then
    return from_parts(sub(b, a), add(e, c), sub(e, c), add(b, a))
  end
  return from_parts(sub(b, a), sub(e, c), add(e, c), add(b, a))
end

local function double(p)
  local a, b, z = sqr(p[1]), sqr(p[2]), sqr(p[3])
  local h, g = add(a, b), sub(a, b)
  return from_parts(sub(h, sqr(add(p[1], p[2]))), add(add(z, z), g), g, h)
end

local function odd_multiples(p)
  local twice, list = prepared(double(p)), { prepared(p) }
  for i = 2, 8 do
    p = plus(p, twice)
    list[i] = prepared(p)
  end
  return list
end

-- A scalar's bits as odd digits from -15 to 15 far apart from each other.
local function digits_of(bytes)
  local r = {}
  for i = 0, 255 do
    r[i] = math.floor(bytes[math.floor(i / 8) + 1] / 2 ^ (i % 8)) % 2
  end
  for i = 0, 255 do
    if r[i] ~= 0 then
      for b = 1, math.min(5, 255 - i) do
        local more = r[i + b] * 2 ^ b
        if more ~= 0 then
          if r[i] + more <= 15 then
            r[i], r[i + b] = r[i] + more, 0
          elseif r[i] - more >= -15 then
            r[i] = r[i] - more
            for k = i + b, 255 do
              if r[k] == 0 then
                r[k] = 1
                break
              end
              r[k] = 0
            end
          else
            break
          end
        end
      end
    end
  end
  return r
end

-- The point whose encoding these bytes are, with the other sign of x; nil when it is none, or written in another way than its own.
local function negated_point(bytes)
  local sign = bytes[32] >= 128 and 1 or 0
  local y_bytes = {}
  for i = 1, 32 do
    y_bytes[i] = bytes[i]
  end
  y_bytes[32] = bytes[32] % 128
  local y = unpack_element(y_bytes)
  local again = pack_element(y)
  for i = 1, 32 do
    if again[i] ~= y_bytes[i] then
      return nil
    end
  end
  local yy = sqr(y)
  local u, v = sub(yy, one), add(mul(yy, d), one)
  local v3 = mul(sqr(v), v)
  local uv7 = mul(mul(sqr(v3), v), u)
  local x = mul(mul(squared((chain(uv7)), 2), uv7), mul(u, v3))
  local vxx = mul(sqr(x), v)
  if not equal(vxx, u) then
    if not equal(vxx, sub(zero, u)) then
      return nil
    end
    x = mul(x, root)
  end
  local parity = pack_element(x)[1] % 2
  if parity == 1 or sign == 0 then
    -- fine: an x of zero has the sign 0 alone
  elseif equal(x, zero) then
    return nil
  end
  if parity == sign then
    x = sub(zero, x)
  end
  return { x, y, one, mul(x, y) }
end

-- 64 bytes, the least significant first, modulo the order.
local function reduced(x)
  local floor = math.floor
  x[65] = 0
  for i = 64, 33, -1 do
    local carry = 0
    for j = i - 32, i - 13 do
      x[j] = x[j] + carry - 16 * x[i] * order[j - i + 33]
      carry = floor((x[j] + 128) / 256)
      x[j] = x[j] - carry * 256
    end
    x[i - 12] = x[i - 12] + carry
    x[i] = 0
  end
  local carry, top = 0, floor(x[32] / 16)
  for j = 1, 32 do
    x[j] = x[j] + carry - top * order[j]
    carry = floor(x[j] / 256)
    x[j] = x[j] % 256
  end
  for j = 1, 32 do
    x[j] = x[j] - carry * order[j]
  end
  for j = 1, 32 do
    x[j + 1] = x[j + 1] + floor(x[j] / 256)
    x[j] = x[j] % 256
  end
  return x
end

local function below_order(s)
  for i = 32, 1, -1 do
    if s[i] ~= order[i] then
      return s[i] < order[i]
    end
  end
  return false
end

-- Whether s B = R + h A: public key, R and s as lists of 32 bytes, h as one of 64.
local base
return function(key, r, s, h)
  local a = below_order(s) and negated_point(key)
  if not a then
    return false
  end
  local small = double(double(double(a)))
  if equal(small[1], zero) then
    return false -- under a key of small order anybody can sign
  end
  if not base then
    base = odd_multiples({ base_x, base_y, one, mul(base_x, base_y) })
  end
  local keys, hs, ss = odd_multiples(a), digits_of(reduced(h)), digits_of(s)
  local sum = { zero, one, one, zero }
  for i = 255, 0, -1 do
    sum = double(sum)
    if hs[i] ~= 0 then
      sum = plus(sum, keys[(math.abs(hs[i]) + 1) / 2], hs[i] < 0)
    end
    if ss[i] ~= 0 then
      sum = plus(sum, base[(math.abs(ss[i]) + 1) / 2], ss[i] < 0)
    end
  end
  local inverse, eleventh = chain(sum[3])
  inverse = mul(squared(inverse, 5), eleventh)
  local found = pack_element(mul(sum[2], inverse))
  found[32] = found[32] + pack_element(mul(sum[1], inverse))[1] % 2 * 128
  for i = 1, 32 do
    if found[i] ~= r[i] then
      return false
    end
  end
  return true
end
]]

local function bytes_of_hex(hex)
  local bytes = {}
  for i = 1, #hex, 2 do
    bytes[#bytes + 1] = tonumber(string.sub(hex, i, i + 1), 16)
  end
  return bytes
end

local function listed(bytes)
  return "{ " .. table.concat(bytes, ", ") .. " }"
end

local function source()
  local exponents = {}
  for i = 0, 12 do
    exponents[i + 1] = exponent(i)
  end
  local constants = ""
  for name, hex in next, P_CONSTANTS do
    constants = constants .. name .. " = unpack_element(" .. listed(bytes_of_hex(hex)) .. ") "
  end
  constants = string.gsub(constants, "([xy]) = ", "base_%1 = ")
  local at = string.find(CURVE, "local function pack_element", 1, true)
  return "local exponents, order = "
    .. listed(exponents)
    .. ", "
    .. listed(bytes_of_hex(ORDER))
    .. " local zero, one, d, d2, root, base_x, base_y local mul, sqr, add, sub "
    .. operation("mul", "a, b", product(false))
    .. operation("sqr", "a", product(true))
    .. operation("add", "a, b", each(0, 11, "local hK = aK + bK") .. " " .. carries())
    .. operation("sub", "a, b", each(0, 11, "local hK = aK - bK") .. " " .. carries())
    .. "zero = "
    .. "{ " .. each(1, 12, "0.0", ", ") .. " } "
    .. string.sub(CURVE, 1, at - 1)
    .. "one = unpack_element({ 1, "
    .. each(2, 32, "0", ", ")
    .. " }) "
    .. constants
    .. "d2 = add(d, d) "
    .. string.sub(CURVE, at)
end

local check

local function byte_list(text)
  local bytes = {}
  for i = 1, #text do
    bytes[i] = string.byte(text, i)
  end
  return bytes
end

-- Whether `signature`, 64 raw bytes, is one of `message` by the holder of the key, 32 raw bytes.
return function(key, message, signature)
  if #key ~= 32 or #signature ~= 64 then
    return false
  end
  check = check or kernel.compile(source())
  local r = string.sub(signature, 1, 32)
  return check(byte_list(key), byte_list(r), byte_list(string.sub(signature, 33)), byte_list(sha512(r .. key .. message)))
end
