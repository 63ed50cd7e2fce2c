-- JSON (RFC 8259), strictly. Arrays and objects that were decoded are told apart even when empty, integers stay exact, and
-- what JSON cannot hold is refused: functions, NaN, cycles, tables with both kinds of keys, text that is not UTF-8.
local json = { null = {} }

local MAX_DEPTH = 100
local MAX_ENCODED_BYTES = 262144 -- the largest frame; it also bounds the work for a table that holds others many times

local array_marks = setmetatable({}, { __mode = "k" })

-- Whether a decoded table was an array; nil for a table that was not decoded.
function json.is_array(value)
  return array_marks[value]
end

local function fail(message)
  error(message, 0)
end

local function utf8_text(code)
  local char, floor = string.char, math.floor
  if code < 128 then
    return char(code)
  elseif code < 2048 then
    return char(192 + floor(code / 64), 128 + code % 64)
  elseif code < 65536 then
    return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64)
  end
  return char(240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64)
end

-- The code point that starts at `at` and how many bytes it takes, or nil when that is not UTF-8.
local function code_point(text, at)
  local byte = string.byte
  local first = byte(text, at)
  if first < 128 then
    return first, 1
  end
  local size = first >= 240 and 4 or first >= 224 and 3 or 2
  if first < 194 or first > 244 then
    return nil
  end
  local code = first - (size == 4 and 240 or size == 3 and 224 or 192)
  for i = 1, size - 1 do
    local following = byte(text, at + i)
    if not following or following < 128 or following > 191 then
      return nil
    end
    code = code * 64 + following - 128
  end
  local shortest = size == 4 and 65536 or size == 3 and 2048 or 128
  if code < shortest or code > 1114111 or (code >= 55296 and code <= 57343) then
    return nil
  end
  return code, size
end

-- The text with every byte that is not UTF-8 replaced by "?", at most `limit` characters of it.
function json.readable(text, limit)
  local parts, at = {}, 1
  while at <= #text and #parts < limit do
    local code, size = code_point(text, at)
    parts[#parts + 1] = code and string.sub(text, at, at + size - 1) or "?"
    at = at + (size or 1)
  end
  return table.concat(parts)
end

local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_unit(text, at)
  local digits = string.match(text, "^%x%x%x%x", at)
  if not digits then
    fail("invalid \\u escape")
  end
  return tonumber(digits, 16)
end

-- The text of the escape whose backslash is at `at`, and where it ends.
local function decode_escape(text, at)
  local kind = string.sub(text, at + 1, at + 1)
  if kind ~= "u" then
    return ESCAPES[kind] or fail("invalid escape"), at + 2
  end
  local unit = decode_unit(text, at + 2)
  if unit < 55296 or unit > 57343 then
    return utf8_text(unit), at + 6
  end
  if unit > 56319 or string.sub(text, at + 6, at + 7) ~= "\\u" then
    fail("lone surrogate")
  end
  local low = decode_unit(text, at + 8)
  if low < 56320 or low > 57343 then
    fail("lone surrogate")
  end
  return utf8_text(65536 + (unit - 55296) * 1024 + low - 56320), at + 12
end

local function decode_string(text, at)
  local find, sub = string.find, string.sub
  at = at + 1
  local parts
  while true do
    -- A run of plain characters at a fixed place is found several times as fast as the next one that is not.
    local _, last = find(text, '^[^%z\1-\31\\"]*', at)
    local stop = last + 1
    local character = sub(text, stop, stop)
    if character == "" then
      fail("unfinished string")
    end
    local piece = sub(text, at, last)
    if character == '"' then
      if not parts then
        return piece, stop + 1
      end
      parts[#parts + 1] = piece
      return table.concat(parts), stop + 1
    elseif character ~= "\\" then
      fail("control character in a string")
    end
    parts = parts or {}
    parts[#parts + 1] = piece
    parts[#parts + 1], at = decode_escape(text, stop)
  end
end

local function decode_number(text, at)
  local stop = select(2, string.find(text, "^-?[1-9]%d*", at)) or select(2, string.find(text, "^-?0", at))
  if not stop then
    fail("unexpected character")
  end
  stop = select(2, string.find(text, "^%.%d+", stop + 1)) or stop
  stop = select(2, string.find(text, "^[eE][+-]?%d+", stop + 1)) or stop
  local number = tonumber(string.sub(text, at, stop))
  if not number or number - number ~= 0 then
    fail("number out of range")
  end
  return number, stop + 1
end

local function skip_space(text, at)
  return string.find(text, "[^ \t\r\n]", at) or #text + 1
end

local decode_value

local function decode_array(text, at, depth, null)
  local list, count = {}, 0
  array_marks[list] = true
  at = skip_space(text, at + 1)
  if string.sub(text, at, at) == "]" then
    return list, at + 1
  end
  while true do
    count = count + 1
    list[count], at = decode_value(text, at, depth + 1, null)
    at = skip_space(text, at)
    local character = string.sub(text, at, at)
    if character == "]" then
      return list, at + 1
    elseif character ~= "," then
      fail("expected , or ]")
    end
    at = at + 1
  end
end

local function decode_object(text, at, depth, null)
  local object, seen = {}, {}
  array_marks[object] = false
  at = skip_space(text, at + 1)
  if string.sub(text, at, at) == "}" then
    return object, at + 1
  end
  while true do
    at = skip_space(text, at)
    if string.sub(text, at, at) ~= '"' then
      fail("expected a name")
    end
    local name
    name, at = decode_string(text, at)
    -- Two readers could take different ones of two equal names.
    if seen[name] then
      fail("the same name twice")
    end
    seen[name] = true
    at = skip_space(text, at)
    if string.sub(text, at, at) ~= ":" then
      fail("expected :")
    end
    object[name], at = decode_value(text, at + 1, depth + 1, null)
    at = skip_space(text, at)
    local character = string.sub(text, at, at)
    if character == "}" then
      return object, at + 1
    elseif character ~= "," then
      fail("expected , or }")
    end
    at = at + 1
  end
end

function decode_value(text, at, depth, null)
  if depth > MAX_DEPTH then
    fail("nested too deeply")
  end
  at = skip_space(text, at)
  local character = string.sub(text, at, at)
  if character == "{" then
    return decode_object(text, at, depth, null)
  elseif character == "[" then
    return decode_array(text, at, depth, null)
  elseif character == '"' then
    return decode_string(text, at)
  elseif string.sub(text, at, at + 3) == "true" then
    return true, at + 4
  elseif string.sub(text, at, at + 4) == "false" then
    return false, at + 5
  elseif string.sub(text, at, at + 3) == "null" then
    return null, at + 4
  end
  return decode_number(text, at)
end

local function decode(text, null)
  local value, at = decode_value(text, 1, 1, null)
  if skip_space(text, at) <= #text then
    fail("text after the value")
  end
  return value
end

-- The value with `json.null` for null, or nil and a message.
function json.decode(text)
  local ok, value = pcall(decode, text, json.null)
  if ok then
    return value
  end
  return nil, value
end

-- The same with nil for null, as scripts expect it: members that are null are absent.
function json.decode_without_nulls(text)
  local ok, value = pcall(decode, text, nil)
  if ok then
    return value
  end
  return nil, value
end

local function encode_string(text)
  local plain = not string.find(text, '[%z\1-\31\\"\127-\255]')
  if plain then
    return '"' .. text .. '"'
  end
  local parts, at = { '"' }, 1
  while at <= #text do
    local code, size = code_point(text, at)
    if not code then
      fail("text that is not UTF-8")
    end
    if code >= 65536 then
      code = code - 65536
      parts[#parts + 1] = string.format("\\u%04x\\u%04x", 55296 + math.floor(code / 1024), 56320 + code % 1024)
    elseif code < 32 or code > 126 then
      parts[#parts + 1] = string.format("\\u%04x", code)
    else
      parts[#parts + 1] = (code == 34 or code == 92) and "\\" .. string.char(code) or string.char(code)
    end
    at = at + size
  end
  parts[#parts + 1] = '"'
  return table.concat(parts)
end

local function encode_number(number)
  if number - number ~= 0 then
    fail("a number that JSON cannot hold")
  end
  if number == math.floor(number) and number >= -9007199254740992 and number <= 9007199254740992 then
    -- Adding 0 turns -0 into 0.
    return string.format("%.0f", number + 0)
  end
  return (string.gsub(string.format("%.17g", number), ",", "."))
end

-- The number of items when the table is an array, nil when it is an object. Fails when it is neither.
local function array_length(value)
  local items, names = 0, 0
  for key in next, value do
    if type(key) == "string" then
      names = names + 1
    elseif type(key) == "number" and key >= 1 and key == math.floor(key) then
      items = items + 1
    else
      fail("a key that is neither a name nor an index")
    end
  end
  if names > 0 and items > 0 then
    fail("a table with both names and indexes")
  elseif names > 0 then
    return nil
  elseif items == 0 then
    -- An empty table that was not decoded is an array: that is what `data` is when it is left out.
    return array_marks[value] ~= false and 0 or nil
  end
  for i = 1, items do
    if rawget(value, i) == nil then
      fail("an array with holes")
    end
  end
  return items
end

local function encode_value(value, parts, depth)
  local function add(text)
    parts.bytes = parts.bytes + #text
    if parts.bytes > MAX_ENCODED_BYTES then
      fail("more than fits a frame")
    end
    parts[#parts + 1] = text
  end
  local kind = type(value)
  if value == json.null then
    add("null")
  elseif kind == "boolean" then
    add(tostring(value))
  elseif kind == "number" then
    add(encode_number(value))
  elseif kind == "string" then
    add(encode_string(value))
  elseif kind ~= "table" then
    fail("a " .. kind)
  elseif depth > MAX_DEPTH then
    fail("nested too deeply")
  else
    local length = array_length(value)
    local separator = ""
    add(length and "[" or "{")
    if length then
      for i = 1, length do
        add(separator)
        encode_value(rawget(value, i), parts, depth + 1)
        separator = ","
      end
    else
      for name, item in next, value do
        add(separator .. encode_string(name) .. ":")
        encode_value(item, parts, depth + 1)
        separator = ","
      end
    end
    add(length and "]" or "}")
  end
end

-- The value as ASCII JSON, or nil and what it holds that JSON or a frame cannot.
function json.encode(value)
  local parts = { bytes = 0 }
  local ok, message = pcall(encode_value, value, parts, 1)
  if ok then
    return table.concat(parts)
  end
  return nil, message
end

return json
