-- Ed25519 (RFC 8032 section 5.1.7), the verifying half: of public values, so nothing here takes the same time for all of them.
local D = "a3785913ca4deb75abd841414d0a700098e879777940c78c73fe6f2bee6c0352"
local ROOT = "b0a00e4a271beec478e42fad0618432fa7d7fb3d99004d2b0bdfc14f8024832b"
local BASE_X = "1ad5258f602d56c9b2a7259560c72c695cdcd6fd31e2a4c0fe536ecdd3366921"
local BASE_Y = "5866666666666666666666666666666666666666666666666666666666666666"
-- The group's order, from its least significant byte on.
local ORDER = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

local CURVE = [[
local field, constants = select(3, ...)
local mul, sqr, add, sub, squared, chain = field.mul, field.sqr, field.add, field.sub, field.squared, field.chain
local unpack_element, pack_element, zero = field.unpack, field.pack, field.zero
local order, one, d, root = constants[1], unpack_element(constants[2]), unpack_element(constants[3]), unpack_element(constants[4])
local base_x, base_y = unpack_element(constants[5]), unpack_element(constants[6])
local d2 = add(d, d)

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

local check

local function compile()
  local constants = { ORDER, "01" .. string.rep("00", 31), D, ROOT, BASE_X, BASE_Y }
  for i = 1, #constants do
    constants[i] = field.bytes_of_hex(constants[i])
  end
  return kernel.compile(CURVE, field.operations(), constants)
end

-- Whether `signature`, 64 raw bytes, is one of `message` by the holder of the key, 32 raw bytes.
return function(key, message, signature)
  if #key ~= 32 or #signature ~= 64 then
    return false
  end
  check = check or compile()
  local r = string.sub(signature, 1, 32)
  local bytes = field.byte_list
  return check(bytes(key), bytes(r), bytes(string.sub(signature, 33)), bytes(sha512(r .. key .. message)))
end
