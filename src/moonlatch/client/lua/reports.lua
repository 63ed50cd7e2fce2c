-- Tells the server of errors, where the script's owner wants to know, and once how the start went. In threads of its own:
-- nothing holds the script up or changes what its host sees, and what does not arrive is forgotten.
local reports = {}

local MOST = 5 -- of one copy
local MOST_CHARACTERS = 400
local LONGEST_STRING = 200
local LOOKED_AT = 4000
local SHORTEST_SECRET = 8
local HEALTH_SECONDS = 30 -- after which it says how it went, and as many more at most
local LONGEST_PAUSE_SECONDS = 30
local LONGEST_NAME = 59 -- that Lua shows of a chunk
local NEVER_SAID = 100000000

local function shortened(text)
  return #text > LONGEST_STRING and "<long>" or text
end

-- Without a text that says who it was.
local function without(text, secret, shown)
  if type(secret) ~= "string" or #secret < SHORTEST_SECRET then
    return text
  end
  return (string.gsub(text, (string.gsub(secret, "%W", "%%%0")), shown))
end

-- Without what says where on a computer something is, and without long strings.
local function scrubbed(text)
  text = string.gsub(text, "%a:[\\/][^'\":\n]*", "<path>")
  text = string.gsub(text, "~[\\/][^%s'\":]*", "<path>")
  text = string.gsub(text, "[%w_.-]*[\\/][^%s'\":\\/]+[\\/][^%s'\":]*", "<path>")
  text = string.gsub(text, "'[^'\n]*'", shortened)
  text = string.gsub(text, '"[^"\n]*"', shortened)
  text = string.gsub(text, "%S+", shortened)
  return json.readable(string.gsub(text, "%c+", " "), MOST_CHARACTERS)
end

-- The first line of the chunk that a text of the host's names, and what follows it; `at` is where it must be.
local function line_in(text, name, at)
  local first, last = 0, nil
  while true do
    first, last = string.find(text, name .. ":", first + 1, true)
    if not first or (at and first ~= at) then
      return nil
    end
    local line, rest = string.match(text, "^(%d+):? ?(.*)$", last + 1)
    if line and #line < 10 then
      return tonumber(line), rest
    end
  end
end

local function line_of_chunk(text, name, at)
  local line, rest = line_in(text, name, at)
  if not line and #name > LONGEST_NAME then
    line, rest = line_in(text, string.sub(name, 1, LONGEST_NAME), at)
  end
  return line, rest
end

-- What was raised in a thread that is dead: Lua 5.1 leaves it on top of the stack.
local function raised_in(thread)
  local found
  for i = 1, LOOKED_AT do
    local name, value = debug.getlocal(thread, 0, i)
    if not name then
      return found
    end
    found = value
  end
end

-- `runtime` is the script's, `instance` what the server knows of it. Gives the script's errors a way to the server.
function reports.begin(host, key, runtime, instance)
  local name, began = runtime.object.la_script_name, host.clock()
  local count, seen, failed = 0, {}, false

  local function send(fields)
    attempt(host.spawn, function()
      host.wait(0) -- a thread may begin at once, and a request may take its time
      if not instance.stopped then
        fields.instance, fields.token, fields.sequence = instance.id, instance.token, moments.next()
        attempt(post, host, "/client/v1/report", fields)
      end
    end)
  end

  local function report(problem, kind, trace)
    local text = type(problem) == "string" and problem or tostring(problem)
    text = string.sub(type(text) == "string" and text or "unprintable error", 1, LOOKED_AT)
    local line, rest = line_of_chunk(text, name, 1)
    if not line and type(trace) == "string" then
      line = line_of_chunk(trace, name)
    end
    if kind == "thread" and not line then
      return -- of another script
    end
    local message = scrubbed(without(without(rest or text, key, "<key>"), host.fingerprint, "<device>"))
    local same = message .. "\n" .. (line or "")
    if seen[same] or count >= MOST then
      return
    end
    seen[same], count, failed = true, count + 1, true
    local seconds = math.floor(host.clock() - began)
    send({
      error = {
        message = message,
        line = line or json.null,
        kind = kind,
        executor = host.executor or json.null,
        seconds = seconds >= 0 and seconds < NEVER_SAID and seconds or 0,
      },
    })
  end

  function runtime.report(problem, kind, trace)
    if not instance.stopped then
      attempt(report, problem, kind, trace)
    end
  end

  attempt(host.errors or function(listener)
    game:GetService("ScriptContext").Error:Connect(listener)
  end, function(problem, trace)
    runtime.report(problem, "thread", trace)
  end)

  host.spawn(function()
    host.wait(HEALTH_SECONDS * (1 + random.fraction()))
    if not instance.stopped then
      send({ health = failed and "error" or "ok" })
    end
  end)

  -- Looks now and then whether the thread died of an error.
  local function watch(thread, has_ended)
    host.spawn(function()
      local pause = 0.5
      while not has_ended() and not instance.stopped do
        if coroutine.status(thread) == "dead" then
          local _, problem = attempt(raised_in, thread)
          local _, trace = attempt(debug.traceback, thread)
          return runtime.report(problem, "main", trace)
        end
        host.wait(pause)
        pause = math.min(pause * 2, LONGEST_PAUSE_SECONDS)
      end
    end)
  end

  -- Runs the script; what it raises is raised.
  function runtime.run(chunk, ...)
    local thread = attempt ~= pcall and coroutine.running()
    if thread then
      -- Where a protected call lets nobody wait, nothing may stand between the script and who resumes it.
      local ended = false
      watch(thread, function()
        return ended
      end)
      local function pass(...)
        ended = true
        return ...
      end
      return pass(chunk(...))
    end
    local trace
    local function look(problem)
      trace = finding.probe(function()
        return debug.traceback("", 2)
      end)
      return problem
    end
    local function pass(ok, ...)
      if not ok then
        runtime.report((...), "main", trace)
        error((...), 0)
      end
      return ...
    end
    local arguments, number = { ... }, select("#", ...)
    return pass(xpcall(function()
      return chunk((table.unpack or unpack)(arguments, 1, number))
    end, look))
  end
end

return reports
