-- SHA-512 (FIPS 180-4) of strings, in halves of 32 bits: not every Lua has a number that holds 64.
local ROUND_CONSTANTS = "428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b53859f111f1b605d019923f82a4af194f9b" ..
  "ab1c5ed5da6d8118d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b1" ..
  "9bdc06a725c71235c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c652de92c6f592b0275" ..
  "4a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4" ..
  "c6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed" ..
  "53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353ba2bfe8a14cf10364a81a664bbc423001" ..
  "c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c8" ..
  "1e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3" ..
  "748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915" ..
  "c67178f2e372532bca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6" ..
  "113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c4cc5d4becb3e42b6" ..
  "597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817"
local INITIAL = "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b" ..
  "5be0cd19137e2179"

-- R(x, y, n) is the half x of a number, y being its other one, after a rotation to the right by n < 32 bits.
local COMPRESS = [[
return function(initial, constants, text)
  local byte, floor, w, s, m = string.byte, math.floor, {}, {}, 4294967296
  for i = 1, 16 do
    s[i] = initial[i]
  end
  for from = 1, #text, 128 do
    for i = 1, 32 do
      local b0, b1, b2, b3 = byte(text, from + i * 4 - 4, from + i * 4 - 1)
      w[i] = ((b0 * 256 + b1) * 256 + b2) * 256 + b3
    end
    for i = 33, 159, 2 do
      local a, b, c, d = w[i - 30], w[i - 29], w[i - 4], w[i - 3]
      local l = bxor(bxor(R(b, a, 1), R(b, a, 8)), R(b, a, 7)) % m
        + bxor(bxor(R(d, c, 19), R(c, d, 29)), R(d, c, 6)) % m + w[i - 13] + w[i - 31]
      local h = bxor(bxor(R(a, b, 1), R(a, b, 8)), shr(a, 7)) % m
        + bxor(bxor(R(c, d, 19), R(d, c, 29)), shr(c, 6)) % m + w[i - 14] + w[i - 32] + floor(l / m)
      w[i], w[i + 1] = h % m, l % m
    end
    local a, b, c, d, e, f, g, h = s[1], s[3], s[5], s[7], s[9], s[11], s[13], s[15]
    local A, B, C, D, E, F, G, H = s[2], s[4], s[6], s[8], s[10], s[12], s[14], s[16]
    for i = 1, 159, 2 do
      local L = H + bxor(bxor(R(E, e, 14), R(E, e, 18)), R(e, E, 9)) % m
        + bxor(G, band(E, bxor(F, G))) % m + constants[i + 1] + w[i + 1]
      local t = h + bxor(bxor(R(e, E, 14), R(e, E, 18)), R(E, e, 9)) % m
        + bxor(g, band(e, bxor(f, g))) % m + constants[i] + w[i] + floor(L / m)
      L, t = L % m, t % m
      local X = bxor(bxor(R(A, a, 28), R(a, A, 2)), R(a, A, 7)) % m + bxor(band(A, B), band(C, bxor(A, B))) % m + L
      local x = bxor(bxor(R(a, A, 28), R(A, a, 2)), R(A, a, 7)) % m + bxor(band(a, b), band(c, bxor(a, b))) % m
        + t + floor(X / m)
      L = D + L
      h, g, f, e, d, c, b, a = g, f, e, (d + t + floor(L / m)) % m, c, b, a, x % m
      H, G, F, E, D, C, B, A = G, F, E, L % m, C, B, A, X % m
    end
    local t = { a, A, b, B, c, C, d, D, e, E, f, F, g, G, h, H }
    for i = 15, 1, -2 do
      local l = s[i + 1] + t[i + 1]
      s[i], s[i + 1] = (s[i] + t[i] + floor(l / m)) % m, l % m
    end
  end
  return s
end
]]

local compress, initial, constants

local function words(hex)
  local list = {}
  for i = 1, #hex, 8 do
    list[#list + 1] = tonumber(string.sub(hex, i, i + 7), 16)
  end
  return list
end

-- The hash of a string, as a string of 64 raw bytes.
return function(text)
  if not compress then
    initial, constants = words(INITIAL), words(ROUND_CONSTANTS)
    compress = kernel.compile((string.gsub(COMPRESS, "R%((%w), (%w), (%d+)%)", function(one, other, bits)
      return string.format("(shr(%s, %s) + low(%s, %s) * %.0f)", one, bits, other, bits, 2 ^ (32 - bits))
    end)))
  end
  local hash = compress(initial, constants, text .. "\128" .. string.rep("\0", (111 - #text) % 128 + 8) .. sha256.big_endian(#text * 8, 8))
  local parts = {}
  for i = 1, 16 do
    parts[i] = sha256.big_endian(hash[i], 4)
  end
  return table.concat(parts)
end
