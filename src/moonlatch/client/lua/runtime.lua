-- The table a script gets: its `la_` variables and `la_handle`.
local runtimes = {}

-- `la_seconds_left` is computed when it is read: it needs no thread, does not drift, and the other variables stay plain
-- fields of the table, which every Lua reads fastest.
function runtimes.create(clock)
  local runtime = { handlers = {}, report = function() end }
  local expires_at, halted

  local object = setmetatable({}, {
    __index = function(_, name)
      if halted then
        error(halted, 0)
      end
      if name == "la_seconds_left" and expires_at then
        -- Of a sum of two numbers less one of them, the last bit may be too much.
        return math.max(0, math.ceil(expires_at - clock() - 0.001))
      end
      return nil
    end,
  })
  runtime.object = object

  function object.la_handle(key, handler)
    if type(key) ~= "string" then
      error("la_handle needs a text as its first argument", 2)
    elseif type(handler) ~= "function" then
      error("la_handle needs a function as its second argument", 2)
    end
    runtime.handlers[key] = handler
  end

  -- Whether anybody hears of it, the script's owner decides.
  function object.la_report(problem)
    runtime.report(problem, "reported")
  end

  -- Nil when the key never expires.
  function runtime.set_seconds_left(seconds)
    expires_at = seconds and clock() + seconds or nil
  end

  -- Takes decoded variables, null meaning nil.
  function runtime.set(variables)
    for name, value in next, variables do
      if value == json.null then
        value = nil
      end
      if name == "la_seconds_left" then
        runtime.set_seconds_left(value)
      elseif string.sub(name, 1, 3) == "la_" and type(rawget(object, name)) ~= "function" then
        object[name] = value
      end
    end
  end

  -- From now on whatever reads a variable fails with the message, and no handler is found any more.
  function runtime.halt(message)
    halted = message
    runtime.handlers = {}
    for name in next, object do
      object[name] = nil
    end
  end

  return runtime
end

return runtimes
