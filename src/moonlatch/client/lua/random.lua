-- Nonces, jitter and a copy's secret from whatever unpredictable things the host offers. What the server relies on is that no
-- nonce comes twice; that is ensured by the clock, memory addresses and the counter even where there is no randomness at all.
local random = {}

local pool, counter = "", 0

-- Mixes in the host's sources. The script's own math.random is touched only here, before the script starts.
function random.stir(sources)
  local parts = { pool, tostring({}), tostring(function() end), tostring(coroutine.create(function() end)) }
  for i = 1, #sources do
    local ok, value = attempt(sources[i])
    parts[#parts + 1] = ok and tostring(value) or ""
  end
  pool = sha256.sha256(table.concat(parts, "\n"))
end

-- What a clock says while memory is asked for, again and again.
function random.of_jitter()
  local parts = {}
  for i = 1, 64 do
    parts[i] = tostring({}) .. os.clock()
  end
  return table.concat(parts)
end

-- The system's own random bytes, where scripts may read files of a Unix.
function random.of_system()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file:read(32)
  file:close()
  return bytes
end

-- 64 lower-case hexadecimal digits, never the same twice.
function random.token()
  counter = counter + 1
  local token = sha256.hmac(pool, "token " .. counter .. " " .. tostring({}))
  pool = sha256.hmac(pool, "next " .. token)
  return sha256.hex(token)
end

-- A token that begins with a time in milliseconds as 11 hexadecimal digits: 64 in all.
function random.nonce(time)
  -- In two parts: not every Lua formats integers of more than 32 bits.
  return string.format("%05x%06x", math.floor(time / 2 ^ 24), time % 2 ^ 24) .. string.sub(random.token(), 12)
end

-- A number from 0 up to, not including, 1.
function random.fraction()
  return tonumber(string.sub(random.token(), 1, 6), 16) / 16777216
end

return random
