-- Poly1305 (RFC 8439 section 2.5) in doubles: six limbs of 22 bits keep every sum of products below 2^53, and adding and
-- subtracting 3 * 2^73 rounds to a multiple of 2^22, which is a carry without a function call.
local poly1305 = {}

local function product(i)
  local terms = {}
  for j = 0, 5 do
    local k = i - j
    -- 2^132 is 20 modulo 2^130 - 5, hence s = 20 r for what wraps around.
    terms[#terms + 1] = "h" .. j .. " * " .. (k >= 0 and "r" .. k or "s" .. k + 6)
  end
  return "local d" .. i .. " = " .. table.concat(terms, " + ") .. " "
end

local function source()
  local products, carries = {}, {}
  for i = 0, 5 do
    products[#products + 1] = product(i)
  end
  for i = 0, 4 do
    carries[#carries + 1] = (string.gsub("c = dI + M - M hI = dI - c dJ = dJ + c * m ", "[IJ]", { I = tostring(i), J = tostring(i + 1) }))
  end
  return "return function(state, block, first, blocks, high) "
    .. "local r0, r1, r2, r3, r4, r5 = state.r0, state.r1, state.r2, state.r3, state.r4, state.r5 "
    .. "local s1, s2, s3, s4, s5 = r1 * 20, r2 * 20, r3 * 20, r4 * 20, r5 * 20 "
    .. "local h0, h1, h2, h3, h4, h5 = state.h0, state.h1, state.h2, state.h3, state.h4, state.h5 "
    .. "local M, m, c, p = 3 * 2 ^ 73, 2 ^ -22, 0, place(first) "
    .. "for _ = 1, blocks do "
    .. "local w0, w1, w2, w3 = word(block, p, 0), word(block, p, 1), word(block, p, 2), word(block, p, 3) "
    .. "h0 = h0 + low(w0, 22) "
    .. "h1 = h1 + shr(w0, 22) + low(w1, 12) * 1024 "
    .. "h2 = h2 + shr(w1, 12) + low(w2, 2) * 1048576 "
    .. "h3 = h3 + low(shr(w2, 2), 22) "
    .. "h4 = h4 + shr(w2, 24) + low(w3, 14) * 256 "
    .. "h5 = h5 + shr(w3, 14) + high "
    .. table.concat(products)
    .. table.concat(carries)
    .. "c = d5 + M - M h5 = d5 - c h0 = h0 + c * m * 20 "
    .. "c = h0 + M - M h0 = h0 - c h1 = h1 + c * m "
    .. "p = p + step(4) end "
    .. "state.h0, state.h1, state.h2, state.h3, state.h4, state.h5 = h0, h1, h2, h3, h4, h5 end"
end

local absorb

-- A fresh authenticator under the 32 bytes at the start of the block `key`.
function poly1305.create(key)
  -- The clamp of section 2.5: the top four bits of every word, and the low two of all but the first, are zero.
  local w0 = memory.word(key, 0) % 268435456
  local w1, w2, w3 = memory.word(key, 1) % 268435456, memory.word(key, 2) % 268435456, memory.word(key, 3) % 268435456
  w1, w2, w3 = w1 - w1 % 4, w2 - w2 % 4, w3 - w3 % 4
  local floor = math.floor
  return {
    r0 = w0 % 4194304,
    r1 = floor(w0 / 4194304) + w1 % 4096 * 1024,
    r2 = floor(w1 / 4096) + w2 % 4 * 1048576,
    r3 = floor(w2 / 4) % 4194304,
    r4 = floor(w2 / 16777216) + w3 % 16384 * 256,
    r5 = floor(w3 / 16384),
    h0 = 0,
    h1 = 0,
    h2 = 0,
    h3 = 0,
    h4 = 0,
    h5 = 0,
    key = key,
  }
end

-- Adds 16-byte pieces of a block of memory, from its word `first` on. `high` is 2^128 in the top limb's measure for
-- whole pieces, 0 for a last one that was shorter and already got its closing 1.
function poly1305.absorb(state, block, first, pieces, high)
  absorb = absorb or kernel.compile(source())
  absorb(state, block, first, pieces, high or 262144)
end

-- The tag: four 32-bit words.
function poly1305.finish(state)
  local floor = math.floor
  local h = { state.h0, state.h1, state.h2, state.h3, state.h4, state.h5 }
  local function carry()
    for i = 1, 5 do
      local over = floor(h[i] / 4194304)
      h[i], h[i + 1] = h[i] - over * 4194304, h[i + 1] + over
    end
    local over = floor(h[6] / 1048576)
    h[6], h[1] = h[6] - over * 1048576, h[1] + over * 5
  end
  for _ = 1, 4 do
    carry()
  end
  -- Between 2^130 - 5 and 2^130 it must be reduced once more.
  if h[1] >= 4194299 and h[2] + h[3] + h[4] + h[5] == 4 * 4194303 and h[6] == 1048575 then
    h = { h[1] - 4194299, 0, 0, 0, 0, 0 }
  end
  local words = {
    h[1] + h[2] % 1024 * 4194304,
    floor(h[2] / 1024) + h[3] % 1048576 * 4096,
    floor(h[3] / 1048576) + h[4] * 4 + h[5] % 256 * 16777216,
    floor(h[5] / 256) + h[6] * 16384,
  }
  local over = 0
  for i = 1, 4 do
    local sum = words[i] + memory.word(state.key, i + 3) + over
    words[i], over = sum % 4294967296, floor(sum / 4294967296)
  end
  return words
end

return poly1305
