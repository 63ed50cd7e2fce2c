-- `encode` of the protocol: a decoded JSON value as bytes in exactly one way, for authentication.
local MAX_INTEGER = 9007199254740992

-- Not `<` for strings, which follows the locale.
local function comes_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

local function add_string(text, parts)
  parts[#parts + 1] = "s" .. #text .. ":" .. text
end

local function add(value, parts)
  local kind = type(value)
  if value == json.null then
    parts[#parts + 1] = "n"
  elseif kind == "boolean" then
    parts[#parts + 1] = value and "t" or "f"
  elseif kind == "string" then
    add_string(value, parts)
  elseif kind == "number" then
    if value ~= math.floor(value) or value > MAX_INTEGER or value < -MAX_INTEGER then
      error("a number that is no exact integer", 0)
    end
    parts[#parts + 1] = string.format("i%.0f;", value + 0)
  elseif json.is_array(value) then
    parts[#parts + 1] = "a" .. #value .. ";"
    for i = 1, #value do
      add(value[i], parts)
    end
  else
    local names = {}
    for name in next, value do
      names[#names + 1] = name
    end
    table.sort(names, comes_before)
    parts[#parts + 1] = "o" .. #names .. ";"
    for i = 1, #names do
      add_string(names[i], parts)
      add(value[names[i]], parts)
    end
  end
end

-- The bytes of a value from `json.decode`, or nil when it holds a number that is no exact integer.
return function(value)
  local parts = {}
  local ok = pcall(add, value, parts)
  return ok and table.concat(parts) or nil
end
