-- ChaCha20 (RFC 8439 section 2.4): XORs a block of memory with the key stream, in place.
local chacha20 = {}

local function quarter_round(a, b, c, d)
  local text = "xA = xA + xB mix(xD, xA, 16) xC = xC + xD mix(xB, xC, 12) xA = xA + xB mix(xD, xA, 8) xC = xC + xD mix(xB, xC, 7) "
  local names = { A = a, B = b, C = c, D = d }
  return (string.gsub(text, "x([ABCD])", function(name)
    return "x" .. names[name]
  end))
end

local function source()
  local start, rounds, finish = {}, {}, {}
  for i = 0, 15 do
    start[#start + 1] = "local x" .. i .. " = s" .. i .. " "
    finish[#finish + 1] = string.gsub("put(block, p, I, mask(word(block, p, I), xI + sI)) ", "I", i)
  end
  for half = 0, 1 do
    local quarters = {}
    for i = 0, 3 do
      quarters[i + 1] = quarter_round(i, (i + half) % 4 + 4, (i + half * 2) % 4 + 8, (i + half * 3) % 4 + 12)
    end
    rounds[half + 1] = table.concat(kernel.shuffled(quarters))
  end
  return "return function(block, blocks, counter, key, nonce) "
    .. "local s0, s1, s2, s3 = 1634760805, 857760878, 2036477234, 1797285236 "
    .. "local s4, s5, s6, s7 = key[1], key[2], key[3], key[4] "
    .. "local s8, s9, s10, s11 = key[5], key[6], key[7], key[8] "
    .. "local s13, s14, s15 = nonce[1], nonce[2], nonce[3] "
    .. "local p, t = place(0), 0 "
    .. "for s12 = counter, counter + blocks - 1 do "
    .. table.concat(kernel.shuffled(start))
    .. "for _ = 1, 10 do "
    .. table.concat(rounds)
    .. "end "
    .. table.concat(kernel.shuffled(finish))
    .. "p = p + step(16) end end"
end

local apply

-- Encrypts or decrypts the first `length` bytes; whatever follows them in their last 64 is garbage afterwards.
-- `key` is a block of 32 bytes, `nonce` one of 12; `counter` numbers the first 64 bytes.
function chacha20.apply(block, length, counter, key, nonce)
  apply = apply or kernel.compile(source())
  local key_words, nonce_words = {}, {}
  for i = 1, 8 do
    key_words[i] = memory.word(key, i - 1)
  end
  for i = 1, 3 do
    nonce_words[i] = memory.word(nonce, i - 1)
  end
  apply(block, math.ceil(length / 64), counter, key_words, nonce_words)
end

return chacha20
