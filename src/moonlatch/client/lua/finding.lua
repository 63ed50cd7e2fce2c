-- Finds what a host offers. A name that exists may be somebody else's table, or a function that only raises on this
-- platform, so nothing is taken because it is there: the first that works is.
local finding = {}

-- What `read` gives, or nil when it raises, as reading a global that is not there does in some programs.
function finding.probe(read)
  local ok, value = pcall(read)
  if ok then
    return value
  end
  return nil
end

-- Looks `name` up in the environment that executors share among scripts, where a global of that name may be another.
function finding.shared(name)
  return finding.probe(function()
    return getgenv()[name]
  end)
end

function finding.is_callable(value)
  local kind = type(value)
  if kind == "function" then
    return true
  elseif kind ~= "table" and kind ~= "userdata" then
    return false
  end
  local metatable = finding.probe(function()
    return getmetatable(value)
  end)
  if type(metatable) == "table" then
    return finding.probe(function()
      return metatable.__call
    end) ~= nil
  end
  return metatable ~= nil -- a hidden one may have a __call; calling tells
end

-- The first value of `sources`, functions that give one or raise, that `accept` makes something of: what it makes.
function finding.first(sources, accept)
  for i = 1, #sources do
    local ok, value = attempt(sources[i])
    local accepted = ok and value and accept(value)
    if accepted then
      return accepted
    end
  end
  return nil
end

-- One function in place of several: each of `sources` gives a candidate, and the first candidate that does not raise is
-- kept to from then on. When none works it raises what the first candidate raised, or `missing` when there is none. Takes up
-- to four arguments and gives up to two results.
function finding.first_working(sources, missing)
  local chosen
  return function(a, b, c, d)
    if chosen then
      return chosen(a, b, c, d)
    end
    local problem, tried = missing, false
    for i = 1, #sources do
      local candidate = finding.probe(sources[i])
      if finding.is_callable(candidate) then
        local ok, first, second = attempt(candidate, a, b, c, d)
        if ok then
          chosen = candidate
          return first, second
        elseif not tried then
          problem, tried = first, true
        end
      end
    end
    error(problem, 0)
  end
end

return finding
