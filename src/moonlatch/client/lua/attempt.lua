-- attempt(f, ...): pcall that `f` may yield across. Lua 5.1 cannot yield across its own pcall; there `f` gets a coroutine,
-- whose yields are passed on. Elsewhere that would be wrong: a scheduler may resume the inner coroutine by itself.
local function pcall_can_yield()
  local thread = coroutine.create(function()
    pcall(coroutine.yield)
  end)
  coroutine.resume(thread)
  return coroutine.status(thread) == "suspended"
end

local function attempt_in_coroutine(run, ...)
  -- Lua 5.1 takes no native function here.
  local thread = coroutine.create(function(...)
    return run(...)
  end)
  local function pass_on(ok, ...)
    if not ok or coroutine.status(thread) == "dead" then
      return ok, ...
    end
    return pass_on(coroutine.resume(thread, coroutine.yield(...)))
  end
  return pass_on(coroutine.resume(thread, ...))
end

return pcall_can_yield() and pcall or attempt_in_coroutine
