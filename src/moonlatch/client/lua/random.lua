-- Nonces and jitter from whatever unpredictable things the host offers. What the server relies on is that no nonce comes
-- twice; that is ensured by the clock, memory addresses and the counter even where there is no randomness at all.
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

-- 64 lower-case hexadecimal digits, never the same twice.
function random.token()
  counter = counter + 1
  local token = sha256.hmac(pool, "token " .. counter .. " " .. tostring({}))
  pool = sha256.hmac(pool, "next " .. token)
  return sha256.hex(token)
end

local CLOCKS = {
  function()
    return DateTime.now().UnixTimestampMillis
  end,
  function()
    return os.time() * 1000
  end,
}

local function plausible(time)
  time = tonumber(time)
  return time and time >= 0 and time < 2 ^ 44 and math.floor(time)
end

-- Unix time in milliseconds, as well as the host tells it; only the order of what the server stores rests on it.
local function unix_time()
  return finding.first(CLOCKS, plausible) or 0
end

-- A token that begins with the time as 11 hexadecimal digits: 64 in all.
function random.nonce()
  local time = unix_time()
  -- In two parts: not every Lua formats integers of more than 32 bits.
  return string.format("%05x%06x", math.floor(time / 2 ^ 24), time % 2 ^ 24) .. string.sub(random.token(), 12)
end

-- A number from 0 up to, not including, 1.
function random.fraction()
  return tonumber(string.sub(random.token(), 1, 6), 16) / 16777216
end

return random
