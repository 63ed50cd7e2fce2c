-- The server's time, as well as it can be told here: by the device's clock until the server has said what time it is. All
-- that is asked of the server names such a time in milliseconds, each another, so that nothing recorded is taken again.
local moments = {}

local CLOCKS = {
  function()
    return DateTime.now().UnixTimestampMillis
  end,
  function()
    return os.time() * 1000
  end,
}

local told, told_at, clock
local latest = -1

local function plausible(time)
  time = tonumber(time)
  return time and time >= 0 and time < 2 ^ 44 and math.floor(time)
end

-- The server says that it is `time`; `read` gives seconds. Whether it was the server, is for the caller to know.
function moments.tell(time, read)
  time = plausible(time)
  if time then
    told, told_at, clock, latest = time, read(), read, time
  end
  return time
end

-- By this device's own clock, or nil when it has none.
function moments.by_device()
  return finding.first(CLOCKS, plausible)
end

function moments.next()
  local now = told and told + (clock() - told_at) * 1000 or moments.by_device() or 0
  latest = math.max(latest + 1, math.floor(now))
  return latest
end

return moments
