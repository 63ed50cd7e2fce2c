-- The WebSocket session: opens it, checks every frame, answers messages, and brings it back when it is lost.
local OPEN_SECONDS = 20
local PING_SECONDS = 30
local POLL_SECONDS = 0.25
local STABLE_SECONDS = 60
local SILENT_SECONDS = 150 -- the server says something every minute, so the connection is dead or withheld
local LONGEST_PAUSE_SECONDS = 60
local MAX_MESSAGE_CHARACTERS = 1000

-- Taken over by another connection, not authenticated, an invalid frame: trying again will not help.
local FINAL = { [3003] = true, [3501] = true, [3502] = true }

local function error_text(problem)
  local ok, text = pcall(tostring, problem)
  return json.readable(ok and type(text) == "string" and text or "unprintable error", MAX_MESSAGE_CHARACTERS)
end

-- What a handler made of a message, as the frame that answers it.
local function answer_for(instance, message)
  local handler = instance.runtime.handlers[message.key]
  if not handler then
    return { type = "reply", id = message.id, status = "missing" }
  end
  local ok, value = attempt(handler, message.data)
  if not ok then
    instance.runtime.report(value, "handler")
    return { type = "reply", id = message.id, status = "errored", message = error_text(value) }
  elseif value == nil then
    return { type = "reply", id = message.id, status = "returned", data = json.null }
  elseif type(value) ~= "table" then
    return { type = "reply", id = message.id, status = "invalid" }
  end
  return { type = "reply", id = message.id, status = "returned", data = value }
end

local function connect(instance)
  local host = instance.host
  local connection = { closed = false, opened = false, heard_at = host.clock(), code = nil, reason = nil }
  local nonce = random.nonce(moments.next())
  local key = sha256.derive(instance.live_key, "session", nonce)
  local received = 0
  local socket

  function connection.drop()
    if not connection.closed then
      connection.closed = true
      instance.let_go(socket)
    end
  end

  function connection.send(frame)
    local text = json.encode(frame)
    if not text then
      text = json.encode({ type = "reply", id = frame.id, status = "invalid" })
    end
    if not connection.closed and not instance.stopped then
      attempt(socket.send, text)
    end
  end

  local receivers = {}

  function receivers.opened(body)
    connection.opened = true
    instance.socket = socket
    instance.runtime.forget() -- nobody said what changed while there was no session
    instance.runtime.set_seconds_left(body.seconds_left)
  end

  function receivers.variables(body)
    instance.runtime.set(body.variables)
  end

  function receivers.variable_changed(body)
    instance.runtime.forget(body.name)
  end

  function receivers.token(body)
    instance.renew(body.token)
  end

  -- The frame that opened this session named a wrong time; the next one names the right one.
  function receivers.clock(body)
    moments.tell(body.time, host.clock)
  end

  -- In a thread of its own: a handler that waits, or never ends, holds up nothing else.
  function receivers.message(body)
    attempt(host.spawn, function()
      if not instance.stopped then
        connection.send(answer_for(instance, body))
      end
    end)
  end

  function receivers.stop(body)
    instance.stop(body.message, body.code)
  end

  local function on_message(text)
    if connection.closed or instance.stopped then
      return
    end
    local frame = type(text) == "string" and json.decode(text)
    if type(frame) ~= "table" or type(frame.body) ~= "string" or type(frame.mac) ~= "string" then
      return connection.drop()
    end
    local mac = sha256.hmac(key, string.format("%.0f", received) .. "\n" .. frame.body)
    if not sha256.equal(sha256.hex(mac), frame.mac) then
      return connection.drop()
    end
    received = received + 1
    connection.heard_at = host.clock()
    instance.reached()
    local kind = json.decode(frame.body)
    -- A message's data is for the script, which knows no null; variables that become null must be seen.
    local body = type(kind) == "table" and kind.type == "variables" and kind or json.decode_without_nulls(frame.body)
    local receive = type(body) == "table" and receivers[body.type]
    if receive then
      receive(body)
    end
  end

  local function on_close(code, reason)
    if connection.closed then
      return
    end
    connection.closed, connection.code, connection.reason = true, code, reason
    if instance.socket == socket then
      instance.socket = nil
    end
  end

  local ok, result = attempt(host.websocket, instance.socket_url, on_message, on_close)
  local sends = ok and finding.probe(function()
    return result.send
  end)
  if not finding.is_callable(sends) then
    connection.closed = true
    return connection
  end
  socket = result
  connection.heard_at = host.clock()
  connection.send({ type = "open", instance = instance.id, token = instance.token, nonce = nonce, share = instance.share })
  return connection
end

-- Waits until the connection is gone.
local function attend(instance, connection)
  local clock = instance.host.clock
  local pinged = clock()
  while not connection.closed and not instance.stopped do
    instance.host.wait(POLL_SECONDS)
    local allowed = connection.opened and SILENT_SECONDS or OPEN_SECONDS
    if clock() - connection.heard_at > allowed then
      connection.drop()
    elseif connection.opened and clock() - pinged >= PING_SECONDS then
      pinged = clock()
      connection.send({ type = "ping" })
    end
  end
  if instance.stopped then
    connection.drop()
  end
end

-- Whether the session is to be opened again. Anybody on the way can close it, with any code and reason, so that neither
-- stops the script, and no session stays away while nothing else asks the server about the script.
local function comes_back(instance, connection)
  return not FINAL[connection.code] or (instance.session_required and not instance.heartbeat_seconds)
end

-- Runs until the script is stopped or the session must not come back.
return function(instance)
  local host, failures = instance.host, 0
  instance.socket_url = string.gsub(settings.base_url, "^http", "ws") .. instance.session_path
  while not instance.stopped do
    local connection = connect(instance)
    local began = host.clock()
    attend(instance, connection)
    if instance.stopped or not comes_back(instance, connection) then
      return
    end
    if connection.opened then
      if host.clock() - began >= STABLE_SECONDS then
        failures = 0
      end
    elseif instance.session_required and not instance.heartbeat_seconds then
      instance.missed()
    end
    host.wait(math.min(2 ^ failures, LONGEST_PAUSE_SECONDS) * (0.5 + random.fraction() / 2))
    failures = failures + 1
  end
end
