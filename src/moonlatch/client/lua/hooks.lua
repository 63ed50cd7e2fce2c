-- Notices that somebody has put their own functions in the place of the host's, as far as the host tells. It stops nothing,
-- and proves nothing: whoever replaces those can answer for them, too.
local probe = finding.probe

-- What the loader gives its secrets and texts to; no host that we know has these in Lua.
local NATIVE = {
  function()
    return string.char
  end,
  function()
    return string.byte
  end,
  function()
    return string.sub
  end,
  function()
    return table.concat
  end,
}

-- Nil where nobody tells.
local function is_written_in_lua(f)
  local source = probe(function()
    return (debug.info(f, "s"))
  end)
  if source ~= nil then
    return source ~= "[C]"
  end
  local kind = probe(function()
    return debug.getinfo(f, "S").what
  end)
  if kind ~= nil then
    return kind == "Lua" or kind == "main"
  end
  return nil
end

-- What executors that replace functions know of it.
local function is_said_to_be_hooked(f)
  return probe(function()
    return isfunctionhooked(f)
  end) == true or probe(function()
    return finding.shared("isfunctionhooked")(f)
  end) == true
end

-- Whether a `load` that is written in Lua may be the host's own. Some executors are written in Lua altogether.
local function may_load_in_lua()
  local own = probe(function()
    return getgenv
  end)
  if own then
    return is_written_in_lua(own) ~= false
  end
  return _VERSION == "Luau"
end

-- True where one of the functions that the loader uses was replaced: what compiles text (nil where the host's table says what
-- does), and what `requests`, functions that give one or raise, give. Otherwise nil.
return function(compile, requests)
  for i = 1, #NATIVE do
    local f = probe(NATIVE[i])
    if is_written_in_lua(f) or is_said_to_be_hooked(f) then
      return true
    end
  end
  if compile and (is_said_to_be_hooked(compile) or (is_written_in_lua(compile) and not may_load_in_lua())) then
    return true
  end
  for i = 1, #requests do
    local f = probe(requests[i])
    if f and is_said_to_be_hooked(f) then
      return true
    end
  end
  return nil
end
