-- X25519 (RFC 7748 section 5): what two sides agree on when each knows the other's public value.
local LADDER = [[
local field, constants = select(3, ...)
local mul, sqr, sum, difference, scaled = field.mul, field.sqr, field.sum, field.difference, field.scaled
local squared, chain, unpack_element, pack_element, zero = field.squared, field.chain, field.unpack, field.pack, field.zero
local one = unpack_element(constants)

-- Of a scalar and the u-coordinate of a point, lists of 32 bytes, the least significant first.
return function(scalar, point)
  local floor = math.floor
  local u = unpack_element(point)
  local x2, z2, x3, z3, swapped = one, zero, u, one, 0
  for t = 254, 0, -1 do
    local bit = floor(scalar[floor(t / 8) + 1] / 2 ^ (t % 8)) % 2
    if bit ~= swapped then
      x2, z2, x3, z3, swapped = x3, z3, x2, z2, bit
    end
    local a, b, c, d = sum(x2, z2), difference(x2, z2), sum(x3, z3), difference(x3, z3)
    local aa, bb, da, cb = sqr(a), sqr(b), mul(d, a), mul(c, b)
    local e = difference(aa, bb)
    x3, z3 = sqr(sum(da, cb)), mul(u, sqr(difference(da, cb)))
    x2, z2 = mul(aa, bb), mul(e, scaled(aa, e))
  end
  if swapped == 1 then
    x2, z2 = x3, z3
  end
  local inverse, eleventh = chain(z2)
  return pack_element(mul(x2, mul(squared(inverse, 5), eleventh)))
end
]]

local multiply

-- `secret` and `public` are 32 raw bytes, as is what they agree on; for the public value of a secret, `public` is the number 9.
return function(secret, public)
  multiply = multiply or kernel.compile(LADDER, field.operations(), field.bytes_of_hex("01" .. string.rep("00", 31)))
  local scalar, point, characters = field.byte_list(secret), field.byte_list(public), {}
  scalar[1] = scalar[1] - scalar[1] % 8
  scalar[32] = scalar[32] % 64 + 64
  point[32] = point[32] % 128
  local found = multiply(scalar, point)
  for i = 1, 32 do
    characters[i] = string.char(found[i])
  end
  return table.concat(characters)
end
