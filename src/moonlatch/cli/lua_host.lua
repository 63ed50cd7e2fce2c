-- Makes a host out of what `lua_host.py` gives: a table of functions of the outside world, which return at once. What takes time
-- yields to the driver, which resumes the thread with the outcome. Returns the two functions that drive it.
local outside, key, settings = ...

local yield, select, tostring, concat = coroutine.yield, select, tostring, table.concat

script_key = key

print = function(...)
  local texts = {}
  for i = 1, select("#", ...) do
    texts[i] = tostring((select(i, ...)))
  end
  outside.print(concat(texts, "\t"))
end

-- What was given can be called, but is no function to Lua.
local function calling(given)
  return function(...)
    return given(...)
  end
end

moonlatch_host = {
  request = function(method, url, headers, body)
    return yield("request", method, url, headers, body)
  end,
  websocket = function(url, on_message, on_close)
    local id, problem = yield("open", url, on_message, on_close)
    if not id then
      error(problem, 0)
    end
    return {
      send = function(text)
        outside.send(id, text)
      end,
      close = function(code)
        outside.close(id, code or 1000)
      end,
    }
  end,
  wait = function(seconds)
    yield("wait", seconds)
  end,
  spawn = calling(outside.spawn),
  kick = calling(outside.kick),
  clock = calling(outside.clock),
  random = calling(outside.random),
  executor = settings.executor,
  fingerprint = settings.fingerprint,
}

-- The driver knows threads by numbers.
local threads, count = {}, 0

local function new_thread(run, ...)
  local first, second = ...
  count = count + 1
  threads[count] = coroutine.create(function()
    return run(first, second)
  end)
  return count
end

-- A thread that runs the text, or nothing and why it cannot.
local function compiled(text)
  local chunk, problem = (loadstring or load)(text, "=loader")
  if not chunk then
    return nil, problem
  end
  return new_thread(chunk), nil
end

-- Runs a thread until it waits for something or ends: whether it has ended, and what it waits for or why it failed.
local function resume(number, ...)
  local thread = threads[number]
  local function outcome(went_well, ...)
    if not went_well then
      threads[number] = nil
      return "failed", tostring((...))
    end
    if coroutine.status(thread) == "dead" then
      threads[number] = nil
      return "ended"
    end
    return ...
  end
  return outcome(coroutine.resume(thread, ...))
end

return compiled, resume, new_thread
