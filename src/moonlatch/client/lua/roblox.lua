-- The host table of a Roblox client under an executor, or of a Roblox server with HttpService; nil elsewhere. A script may
-- start before the game has loaded, so what the game knows is read when it is asked for.
local probe, shared, is_callable = finding.probe, finding.shared, finding.is_callable

local function service(name)
  return probe(function()
    return game:GetService(name)
  end)
end

-- Not `game.JobId`: Luau may read such a chain once, when the chunk is loaded.
local function of_game(name)
  return probe(function()
    return game[name]
  end)
end

local function local_player()
  return probe(function()
    return service("Players").LocalPlayer
  end)
end

local function text(value)
  return type(value) == "string" and value ~= "" and value
end

local EXECUTOR_NAMES = {
  function()
    return (identifyexecutor())
  end,
  function()
    return (getexecutorname())
  end,
  function()
    return (shared("identifyexecutor")())
  end,
}

-- In this order for good: another source first would make a bound key's device another one.
local DEVICES = {
  function()
    return gethwid()
  end,
  function()
    return shared("gethwid")()
  end,
  function()
    return service("RbxAnalyticsService"):GetClientId()
  end,
}

local REQUESTS = {
  function()
    return request
  end,
  function()
    return http_request
  end,
  function()
    return syn.request
  end,
  function()
    return http.request
  end,
  function()
    return fluxus.request
  end,
  function()
    return shared("request")
  end,
  function()
    return shared("http_request")
  end,
}

local function http_service()
  local web = service("HttpService")
  return web and function(options)
    return web:RequestAsync(options)
  end
end

local SOCKETS = {
  function()
    return WebSocket.connect
  end,
  function()
    return syn.websocket.connect
  end,
  function()
    return websocket.connect
  end,
  function()
    return shared("WebSocket").connect
  end,
}

local THREADS = {
  function()
    return task.spawn
  end,
  function()
    return shared("task").spawn
  end,
  function()
    return spawn
  end,
}

local WAITS = {
  function()
    return task.wait
  end,
  function()
    return shared("task").wait
  end,
  function()
    return wait
  end,
}

-- `sources`, with what they give put through `adapt`.
local function adapted(sources, adapt)
  local list = {}
  for i = 1, #sources do
    list[i] = function()
      local found = sources[i]()
      return is_callable(found) and adapt(found) or nil
    end
  end
  return list
end

local function request_with(send)
  return function(method, url, headers, body)
    local options = { Url = url, Method = method, Headers = headers }
    if method ~= "GET" then
      options.Body = body
    end
    local reply = send(options)
    local status, answer = tonumber(reply.StatusCode), reply.Body
    -- What went wrong on the way comes as a reply in some executors.
    if not status or status < 100 or type(answer) ~= "string" then
      error(text(reply.StatusMessage) or "no answer", 0)
    end
    return status, answer
  end
end

local function socket_with(connect)
  return function(url, on_message, on_close)
    local socket = connect(url)
    socket.OnMessage:Connect(on_message)
    socket.OnClose:Connect(function(code, reason)
      on_close(tonumber(code), reason)
    end)
    return {
      send = function(message)
        socket:Send(message)
      end,
      close = function()
        socket:Close()
      end,
    }
  end
end

-- A function that begins `run` before it fails has worked: it must not begin twice.
local function thread_with(start)
  return function(run)
    local began = false
    local ok, problem = attempt(start, function()
      began = true
      run()
    end)
    if not ok and not began then
      error(problem, 0)
    end
  end
end

-- Also a client whose player is not there yet.
local function is_client()
  if local_player() then
    return true
  end
  local run = service("RunService")
  local says_client = probe(function()
    return run:IsClient()
  end)
  if says_client ~= nil then
    return says_client and not probe(function()
      return run:IsServer()
    end)
  end
  return finding.first(EXECUTOR_NAMES, text) ~= nil or is_callable(probe(function()
    return getgenv
  end))
end

local function is_loaded()
  local user = probe(function()
    return local_player().UserId
  end)
  return user ~= nil and (of_game("PlaceId") ~= 0 or probe(function()
    return game:IsLoaded()
  end) == true)
end

-- What tells one game's servers from another's; a place that was never published has none.
local function game_number()
  local number = of_game("GameId")
  return type(number) == "number" and number > 0 and string.format("Roblox game %.0f", number) or nil
end

local function websocket_of()
  local sources = adapted(SOCKETS, socket_with)
  for i = 1, #sources do
    if probe(sources[i]) then
      return finding.first_working(sources, "this program has no WebSockets")
    end
  end
  return nil
end

-- The table, and where what its requests go through was found.
return function()
  if of_game("PlaceId") == nil or of_game("GetService") == nil then
    return nil
  end
  local client = is_client()
  local requests = {}
  for i = 1, #REQUESTS do
    requests[i] = REQUESTS[i]
  end
  -- A server's own `request` is a function of the game's; a client's HttpService only says that it is not for clients.
  table.insert(requests, client and #requests + 1 or 1, http_service)
  local store, recall
  if executor_files then
    store, recall = executor_files()
  end
  return {
    store = store,
    recall = recall,
    request = finding.first_working(adapted(requests, request_with), "this program has no function for HTTP requests"),
    websocket = websocket_of(),
    fingerprint = client and function()
      return finding.first(DEVICES, text)
    end or game_number(),
    executor = function()
      return finding.first(EXECUTOR_NAMES, text) or (client and "Roblox client" or "Roblox server")
    end,
    player = function()
      return local_player().UserId
    end,
    place = function()
      return of_game("PlaceId")
    end,
    job = function()
      return of_game("JobId")
    end,
    kick = client and function(reason)
      local_player():Kick(reason)
    end or nil,
    is_loaded = client and is_loaded or nil,
    spawn = finding.first_working(adapted(THREADS, thread_with), "this program has no threads"),
    wait = finding.first_working(WAITS, "this program cannot wait"),
    random = function()
      return service("HttpService"):GenerateGUID(false)
    end,
  }, requests
end
