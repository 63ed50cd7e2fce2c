-- Finds out where the loader runs and what it can do there, as one table of the shape `docs/reference/host-table.md` gives.
local hosts = {}

local LARGEST_INTEGER = 9007199254740992

local function probe(read)
  local ok, value = pcall(read)
  if ok then
    return value
  end
  return nil
end

-- Executors keep what scripts share in an environment of their own.
local shared_environment = probe(function()
  return getgenv()
end)

local function shared(name)
  return probe(function()
    return shared_environment[name]
  end)
end

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
local function default_clock()
  local clock = probe(function()
    return _VERSION == "Luau" and os.clock or os.time
  end)
  return clock or error("this program has no os.time: give moonlatch_host a clock", 0)
end

local function roblox_request(web)
  local send = probe(function()
    return request
  end) or probe(function()
    return http_request
  end) or probe(function()
    return syn.request
  end) or probe(function()
    return http.request
  end) or shared("request") or shared("http_request")
  if type(send) ~= "function" then
    send = function(options)
      return web:RequestAsync(options)
    end
  end
  return function(method, url, headers, body)
    local options = { Url = url, Method = method, Headers = headers }
    if method ~= "GET" then
      options.Body = body
    end
    local reply = send(options)
    return reply.StatusCode, reply.Body
  end
end

local function roblox_websocket()
  local connect = probe(function()
    return WebSocket.connect
  end) or probe(function()
    return syn.websocket.connect
  end) or probe(function()
    return shared("WebSocket").connect
  end)
  if type(connect) ~= "function" then
    return nil
  end
  return function(url, on_message, on_close)
    local socket = connect(url)
    socket.OnMessage:Connect(on_message)
    socket.OnClose:Connect(function(code, reason)
      on_close(tonumber(code), reason)
    end)
    return {
      send = function(text)
        socket:Send(text)
      end,
      close = function()
        socket:Close()
      end,
    }
  end
end

-- A Roblox client under an executor, or a Roblox server with HttpService.
local function roblox()
  local place = probe(function()
    return game.PlaceId
  end)
  local web = probe(function()
    return game:GetService("HttpService")
  end)
  if not place or not web then
    return nil
  end
  local player = probe(function()
    return game:GetService("Players").LocalPlayer
  end)
  return {
    request = roblox_request(web),
    websocket = roblox_websocket(),
    fingerprint = function()
      return probe(function()
        return gethwid()
      end) or player and probe(function()
        return game:GetService("RbxAnalyticsService"):GetClientId()
      end)
    end,
    executor = probe(function()
      return (identifyexecutor())
    end) or (player and "Roblox client" or "Roblox server"),
    player = player and probe(function()
      return player.UserId
    end),
    place = place,
    job = probe(function()
      return game.JobId
    end),
    kick = player and function(reason)
      player:Kick(reason)
    end,
    spawn = task.spawn,
    wait = task.wait,
    random = function()
      return web:GenerateGUID(false)
    end,
  }
end

local FUNCTIONS = { "request", "websocket", "kick", "spawn", "wait", "load", "random", "clock" }

local function checked(given)
  if type(given) ~= "table" then
    error("moonlatch_host must be a table", 0)
  end
  for i = 1, #FUNCTIONS do
    local name = FUNCTIONS[i]
    if given[name] ~= nil and type(given[name]) ~= "function" then
      error("moonlatch_host." .. name .. " must be a function", 0)
    end
  end
  if given.request == nil then
    error("moonlatch_host.request is missing", 0)
  end
  return given
end

local function fingerprint_of(given)
  local value = given.fingerprint
  if type(value) == "function" then
    local ok, answer = attempt(value)
    value = ok and answer or nil
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

-- The host's table. Fails with a readable message when there is none or it is not usable.
function hosts.find()
  local given = probe(function()
    return moonlatch_host
  end) or shared("moonlatch_host")
  given = given and checked(given) or roblox()
  if not given then
    error("this program cannot make HTTP requests by itself: give it a moonlatch_host table (see Moonlatch's documentation)", 0)
  end
  local host = {
    request = given.request,
    kick = given.kick,
    load = given.load or kernel.load,
    clock = given.clock or default_clock(),
    random = given.random,
    executor = plain_text(given.executor, 64),
    player = integer(given.player),
    place = integer(given.place),
    job = plain_text(given.job, 128),
    has_threads = given.spawn ~= nil and given.wait ~= nil,
    spawn = given.spawn,
    wait = given.wait,
  }
  -- A session needs a thread that brings it back, so sockets are of no use without threads.
  host.websocket = host.has_threads and given.websocket or nil
  if not host.load then
    error("this program cannot run Lua text: it has neither loadstring nor load", 0)
  end
  kernel.load = host.load
  host.fingerprint = fingerprint_of(given)
  return host
end

-- The user's key, or nil.
function hosts.key()
  local key = probe(function()
    return script_key
  end) or shared("script_key") or probe(function()
    return _G.script_key
  end)
  if key == nil then
    return nil
  end
  if type(key) ~= "string" then
    error("script_key must be text", 0)
  end
  key = string.match(key, "^%s*(.-)%s*$")
  if key == "" then
    return nil
  end
  if #key > 128 or string.find(key, "[^\32-\126]") then
    error("script_key is not a key", 0)
  end
  return key
end

return hosts
