-- Finds out where the loader runs and what it can do there, as one table of the shape `docs/reference/host-table.md` gives.
local hosts = {}

local probe, is_callable = finding.probe, finding.is_callable

local LARGEST_INTEGER = 9007199254740992
local LOADING_SECONDS = 20 -- for the player of a game that has not loaded
local FINGERPRINT_SECONDS = 5 -- for a fingerprint that the host does not know yet
local POLL_SECONDS = 0.1

local function integer(value)
  value = tonumber(value)
  if value and value >= 0 and value <= LARGEST_INTEGER and value == math.floor(value) then
    return value
  end
  return nil
end

-- Text the protocol can carry: printable ASCII, cut to `limit`.
local function plain_text(value, limit)
  if type(value) ~= "string" or value == "" then
    return nil
  end
  local text = string.gsub(value, "[^\32-\126]", "?")
  return string.sub(text, 1, limit)
end

-- Luau's os.clock is real time in fractions of a second; elsewhere it is processor time, and os.time has to do.
local CLOCKS = {
  function()
    return _VERSION == "Luau" and os.clock or nil
  end,
  function()
    return os.time
  end,
}

local function gives_a_number(clock)
  local ok, time = attempt(clock)
  return ok and type(time) == "number" and clock
end

local FUNCTIONS = { "request", "websocket", "kick", "spawn", "wait", "load", "random", "clock", "store", "recall", "errors" }
local OTHERS = { "fingerprint", "executor", "player", "place", "job", "is_loaded" }

-- The host's table as a plain one, which reading cannot make fail.
local function checked(given)
  local host = {}
  for i = 1, #FUNCTIONS do
    local name = FUNCTIONS[i]
    host[name] = probe(function()
      return given[name]
    end)
    if host[name] ~= nil and not is_callable(host[name]) then
      error("moonlatch_host." .. name .. " must be a function", 0)
    end
  end
  for i = 1, #OTHERS do
    local name = OTHERS[i]
    host[name] = probe(function()
      return given[name]
    end)
  end
  local fingerprint = host.fingerprint
  if fingerprint ~= nil and type(fingerprint) ~= "string" and type(fingerprint) ~= "number" and not is_callable(fingerprint) then
    error("moonlatch_host.fingerprint must be text, or a function that gives text", 0)
  end
  host.has_http = host.request ~= nil
  if not host.has_http and (not leases or not (host.recall or leases.given())) then
    error("moonlatch_host.request is missing", 0)
  end
  return host
end

-- A field that may be a function which knows the value when it is needed.
local function value_of(field)
  if is_callable(field) then
    local ok, value = attempt(field)
    return ok and value or nil
  end
  return field
end

local function fingerprint_of(field)
  local value = value_of(field)
  if type(value) == "number" then
    value = integer(value) and string.format("%.0f", value)
  end
  if type(value) ~= "string" or value == "" then
    return nil
  end
  -- The server keeps a keyed hash of it, so a hash of what it could not carry identifies the device as well.
  if #value > 512 or string.find(value, "[^\32-\126]") then
    return sha256.hex(sha256.sha256(value))
  end
  return value
end

-- The first global `sources` find that is of the type `kind` and not blank. Fails with `message` when there are others only.
local function global_of(kind, sources, message)
  local other
  local found = finding.first(sources, function(value)
    local is_blank = type(value) == "string" and not string.find(value, "%S")
    if type(value) == kind and not is_blank then
      return value
    end
    other = other or not is_blank
    return nil
  end)
  if not found and other then
    error(message, 0)
  end
  return found
end

local GIVEN = {
  function()
    return moonlatch_host
  end,
  function()
    return finding.shared("moonlatch_host")
  end,
  function()
    return _G.moonlatch_host
  end,
}

-- The host's table. Fails with a readable message when there is none or it is not usable.
function hosts.find()
  local given, requests = global_of("table", GIVEN, "moonlatch_host must be a table"), {}
  if not given then
    given, requests = roblox()
  end
  if not given then
    error("this program cannot make HTTP requests by itself: give it a moonlatch_host table (see Moonlatch's documentation)", 0)
  end
  given = checked(given)
  local has_threads = given.spawn ~= nil and given.wait ~= nil
  local host = {
    has_http = given.has_http,
    request = given.request or function()
      return nil, "this program makes no HTTP requests"
    end,
    store = given.store,
    recall = given.recall,
    kick = given.kick,
    load = given.load or kernel.load,
    random = given.random,
    has_threads = has_threads,
    spawn = given.spawn,
    wait = given.wait,
    errors = given.errors,
    -- A session needs a thread that brings it back, so sockets are of no use without threads.
    websocket = has_threads and given.websocket or nil,
  }
  if not host.load then
    error("this program cannot run Lua text: it has neither loadstring nor load", 0)
  end
  kernel.load = host.load
  host.hooked = is_hooked(not given.load and host.load, requests)
  if given.clock then
    host.clock = gives_a_number(given.clock) or error("moonlatch_host.clock must give a number", 0)
  else
    host.clock = finding.first(CLOCKS, gives_a_number) or error("this program has no os.time: give moonlatch_host a clock", 0)
  end

  -- Waits where the host can; gives whether it did. A scheduler of Lua 5.1 may resume the thread that waits by itself, so
  -- no other may stand between them.
  function host.pause(seconds)
    if not host.wait then
      return false
    elseif attempt == pcall or not coroutine.running() then
      return (pcall(host.wait, seconds))
    end
    host.wait(seconds)
    return true
  end

  local function wait_until(holds, seconds)
    for _ = 1, seconds / POLL_SECONDS do
      if holds() or not host.pause(POLL_SECONDS) then
        return
      end
    end
  end

  -- Gives a host that has only just started the time to find out who and where it is.
  function host.settle(needs_fingerprint)
    if given.is_loaded then
      wait_until(given.is_loaded, LOADING_SECONDS)
    end
    if needs_fingerprint and is_callable(given.fingerprint) then
      wait_until(function()
        host.fingerprint = fingerprint_of(given.fingerprint)
        return host.fingerprint ~= nil
      end, FINGERPRINT_SECONDS)
    end
  end

  -- Who and where this is, as far as the host knows it by now.
  function host.look()
    host.fingerprint = host.fingerprint or fingerprint_of(given.fingerprint)
    host.executor = plain_text(value_of(given.executor), 64)
    host.player = integer(value_of(given.player))
    host.place = integer(value_of(given.place))
    host.job = plain_text(value_of(given.job), 128)
  end

  return host
end

local KEYS = {
  function()
    return script_key
  end,
  function()
    return finding.shared("script_key")
  end,
  function()
    return _G.script_key
  end,
}

-- The user's key, or nil.
function hosts.key()
  local key = global_of("string", KEYS, "script_key must be text")
  if not key then
    return nil
  end
  key = string.match(key, "^%s*(.-)%s*$")
  if #key > 128 or string.find(key, "[^\32-\126]") then
    error("script_key is not a key", 0)
  end
  return key
end

local PINS = {
  function()
    return moonlatch_key
  end,
  function()
    return finding.shared("moonlatch_key")
  end,
  function()
    return _G.moonlatch_key
  end,
}

-- Fails where the user's line names other installations than the one that this loader is of. While the master key is changed it names two keys.
function hosts.check_pin()
  local pin = global_of("string", PINS, "moonlatch_key must be text")
  if pin and not string.find(string.lower(pin), sha256.hex(settings.signing_key), 1, true) then
    error("this loader is not from the server that moonlatch_key names", 0)
  end
end

return hosts
