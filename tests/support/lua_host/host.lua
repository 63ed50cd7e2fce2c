-- A small game-like host in Lua: threads, timers, HTTP and WebSockets. It has no way to the outside of its own: whoever
-- embeds it calls `step` with what happened and does what the text that comes back asks for. The chunk returns
-- feed(text), step(now) and deliver(id, function, message).
--
-- Both directions: one record per line, fields separated by spaces, bytes outside of printable ASCII (and "%") as %XX.
local compile = loadstring or load
local can_compile = compile ~= nil
local outgoing, incoming = {}, {}
local ready, sleeping, waiting, sockets = {}, {}, {}, {}
local now, next_id = 0, 0
local main_thread
local listeners = {}

local function escape(text)
  if text == "" then
    return "%"
  end
  return (string.gsub(text, "[^!-$&-~]", function(character)
    return string.format("%%%02X", string.byte(character))
  end))
end

local function unescape(field)
  return (string.gsub(field, "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function send(...)
  local fields = {}
  for i = 1, select("#", ...) do
    fields[i] = escape(tostring((select(i, ...))))
  end
  outgoing[#outgoing + 1] = table.concat(fields, " ")
end

local function pack(...)
  return { n = select("#", ...), ... }
end

local unpack_list = table.unpack or unpack

local function fresh_id()
  next_id = next_id + 1
  return tostring(next_id)
end

local function start(run, ...)
  local thread = coroutine.create(run)
  ready[#ready + 1] = { thread, pack(...) }
  return thread
end

-- Waits until somebody resumes the id.
local function await(id)
  return coroutine.yield("await", id)
end

local function resume_id(id, ...)
  local thread = waiting[id]
  if thread then
    waiting[id] = nil
    ready[#ready + 1] = { thread, pack(...) }
  end
end

local function wait(seconds)
  return coroutine.yield("sleep", now + (seconds or 0))
end

local function spawn(run)
  start(run)
end

local function load_text(source, name)
  if can_compile then
    return compile(source, name)
  end
  local id = fresh_id()
  send("load", id, name or "=chunk", source)
  return await(id)
end

local function request(method, url, headers, body)
  local id = fresh_id()
  local fields = {}
  for name, value in pairs(headers or {}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  send("http", id, method, url, body or "", unpack_list(fields))
  return await(id)
end

local function store(name, text)
  local id = fresh_id()
  send("store", id, name, text)
  local problem = await(id)
  if problem ~= "" then
    error(problem, 0)
  end
end

local function recall(name)
  local id = fresh_id()
  send("recall", id, name)
  return await(id)
end

local function websocket(url, on_message, on_close)
  local id = fresh_id()
  send("ws_open", id, url)
  local failed = await(id)
  if failed then
    error(failed, 0)
  end
  sockets[id] = { on_message = on_message, on_close = on_close }
  return {
    send = function(text)
      send("ws_send", id, text)
    end,
    close = function(code)
      send("ws_close", id, code or 1000)
    end,
  }
end

local function run_thread(thread, values)
  local result = pack(coroutine.resume(thread, unpack_list(values, 1, values.n)))
  if not result[1] then
    send(thread == main_thread and "raised" or "thread_error", result[2])
    for i = 1, #listeners do
      start(listeners[i], result[2])
    end
  elseif coroutine.status(thread) ~= "dead" then
    if result[2] == "sleep" then
      sleeping[#sleeping + 1] = { result[3], thread }
    elseif result[2] == "await" then
      waiting[result[3]] = thread
    end
  end
end

-- No pcall here: Lua 5.1 cannot yield across one.
local function main(script, arguments)
  local chunk, problem = load_text(script, "=script")
  if not chunk then
    error(problem, 0)
  end
  local result = pack(chunk(unpack_list(arguments, 1, #arguments)))
  for i = 1, result.n do
    result[i] = tostring(result[i])
  end
  send("returned", table.concat(result, "\t"))
end

local handlers = {}

function handlers.start(script, options, ...)
  local settings = {}
  for name, value in string.gmatch(options, "([%w_]+)=([^;]*);") do
    settings[name] = unescape(value)
  end
  local host = { request = request, load = load_text }
  if settings.threads ~= "no" then
    host.spawn, host.wait = spawn, wait
  end
  if settings.kick ~= "no" then
    host.kick = function(reason)
      send("kicked", reason)
    end
  end
  if settings.websocket ~= "no" then
    host.websocket = websocket
  end
  if settings.keeps == "yes" then
    host.store, host.recall = store, recall
  end
  if settings.http == "no" then
    host.request = nil
  end
  if settings.days_ahead then
    local time, seconds = os.time, tonumber(settings.days_ahead) * 86400
    os = setmetatable({
      time = function(...)
        return time(...) + (select("#", ...) == 0 and seconds or 0)
      end,
    }, { __index = os })
  end
  if settings.errors == "yes" then
    host.errors = function(listener)
      listeners[#listeners + 1] = listener
    end
  end
  host.fingerprint, host.executor, host.job = settings.fingerprint, settings.executor, settings.job
  host.player, host.place = tonumber(settings.player), tonumber(settings.place)
  if settings.clock_rate then
    host.clock = function()
      return now * tonumber(settings.clock_rate)
    end
  end
  moonlatch_host = host
  http_get = function(url)
    local status, body = request("GET", url, {}, "")
    if not status then
      error(body, 0)
    end
    return body
  end
  loadstring = load_text
  sleep = wait
  thread = spawn
  seconds = function()
    return now
  end
  print = function(...)
    local texts = {}
    for i = 1, select("#", ...) do
      texts[i] = tostring((select(i, ...)))
    end
    send("print", table.concat(texts, "\t"))
  end
  main_thread = start(main, script, { ... })
end

function handlers.http(id, status, body)
  resume_id(id, tonumber(status), body)
end

function handlers.http_failed(id, message)
  resume_id(id, nil, message)
end

function handlers.stored(id, problem)
  resume_id(id, problem)
end

-- Without a text for what is not there.
function handlers.recalled(id, text)
  resume_id(id, text)
end

function handlers.ws_opened(id)
  resume_id(id, nil)
end

function handlers.ws_failed(id, message)
  resume_id(id, message)
end

function handlers.ws_message(id, text)
  if sockets[id] then
    start(sockets[id].on_message, text)
  end
end

function handlers.ws_closed(id, code, reason)
  local socket = sockets[id]
  sockets[id] = nil
  if socket then
    start(socket.on_close, tonumber(code), reason)
  end
end

local function receive(record)
  local fields = {}
  for field in string.gmatch(record, "[^ ]+") do
    fields[#fields + 1] = field == "%" and "" or unescape(field)
  end
  handlers[fields[1]](unpack_list(fields, 2, #fields))
end

local function run_ready()
  while ready[1] do
    local batch = ready
    ready = {}
    for i = 1, #batch do
      run_thread(batch[i][1], batch[i][2])
    end
  end
end

local function wake()
  local still = {}
  for i = 1, #sleeping do
    local sleeper = sleeping[i]
    if sleeper[1] <= now then
      ready[#ready + 1] = { sleeper[2], pack() }
    else
      still[#still + 1] = sleeper
    end
  end
  sleeping = still
end

-- Seconds until a timer is due; nothing when only events can wake somebody; "idle" when nothing ever will.
local function pause()
  local due
  for i = 1, #sleeping do
    due = math.min(due or sleeping[i][1], sleeping[i][1])
  end
  if due then
    return string.format("%.3f", math.max(0, due - now))
  end
  if next(waiting) or next(sockets) then
    return "forever"
  end
  return "idle"
end

local function feed(text)
  incoming[#incoming + 1] = text
end

local function step(time)
  now = time
  local text = table.concat(incoming)
  incoming, outgoing = {}, {}
  for record in string.gmatch(text, "[^\n]+") do
    receive(record)
  end
  wake()
  run_ready()
  send("pause", pause())
  return table.concat(outgoing, "\n")
end

local function deliver(id, chunk, message)
  if type(chunk) == "function" then
    resume_id(id, chunk)
  else
    resume_id(id, nil, message)
  end
end

return feed, step, deliver
