local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f" }
local unescapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", n = "\n", r = "\r", t = "\t", b = "\b", f = "\f" }
local encode
local function encode_string(text)
	return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or string.format("\\u%04x", c:byte()) end) .. '"'
end
local function is_array(value)
	local count = 0
	for key in pairs(value) do
		if type(key) ~= "number" then return false end
		count = count + 1
	end
	return count == #value
end
function encode(value)
	local kind = type(value)
	if kind == "nil" then return "null"
	elseif kind == "boolean" then return tostring(value)
	elseif kind == "number" then
		if value ~= value or value == math.huge or value == -math.huge then error({ message = "number out of range" }) end
		return string.format("%.14g", value)
	elseif kind == "string" then return encode_string(value)
	elseif kind == "table" then
		local parts = {}
		if is_array(value) and #value > 0 then
			for index, item in ipairs(value) do parts[index] = encode(item) end
			return "[" .. table.concat(parts, ",") .. "]"
		end
		local keys = {}
		for key in pairs(value) do keys[#keys + 1] = tostring(key) end
		table.sort(keys)
		for _, key in ipairs(keys) do parts[#parts + 1] = encode_string(key) .. ":" .. encode(value[key]) end
		return "{" .. table.concat(parts, ",") .. "}"
	end
	error({ message = "cannot encode " .. kind })
end
local function decode(text)
	local position = 1
	local value
	local function fail(message) error({ message = message .. " at " .. position }, 0) end
	local function skip() position = text:find("[^ \n\r\t]", position) or #text + 1 end
	local function string_value()
		local parts = {}
		position = position + 1
		while true do
			local stop = text:find('["\\]', position)
			if not stop then fail("unfinished string") end
			parts[#parts + 1] = text:sub(position, stop - 1)
			position = stop + 1
			if text:sub(stop, stop) == '"' then return table.concat(parts) end
			local escape = text:sub(position, position)
			if escape == "u" then
				parts[#parts + 1] = string.char(tonumber(text:sub(position + 1, position + 4), 16) % 256)
				position = position + 5
			elseif unescapes[escape] then
				parts[#parts + 1] = unescapes[escape]
				position = position + 1
			else fail("bad escape") end
		end
	end
	function value()
		skip()
		local c = text:sub(position, position)
		if c == "{" then
			local object = {}
			position = position + 1
			skip()
			if text:sub(position, position) == "}" then position = position + 1 return object end
			repeat
				skip()
				if text:sub(position, position) ~= '"' then fail("expected a key") end
				local key = string_value()
				skip()
				if text:sub(position, position) ~= ":" then fail("expected a colon") end
				position = position + 1
				object[key] = value()
				skip()
				local separator = text:sub(position, position)
				position = position + 1
				if separator ~= "," and separator ~= "}" then fail("expected a separator") end
			until separator == "}"
			return object
		elseif c == "[" then
			local array = {}
			position = position + 1
			skip()
			if text:sub(position, position) == "]" then position = position + 1 return array end
			while true do
				array[#array + 1] = value()
				skip()
				local separator = text:sub(position, position)
				position = position + 1
				if separator == "]" then return array end
				if separator ~= "," then fail("expected a separator") end
			end
		elseif c == '"' then return string_value()
		elseif text:sub(position, position + 3) == "true" then position = position + 4 return true
		elseif text:sub(position, position + 4) == "false" then position = position + 5 return false
		elseif text:sub(position, position + 3) == "null" then position = position + 4 return nil end
		local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", position)
		if not number then fail("unexpected character") end
		position = position + #number
		return tonumber(number)
	end
	local result = value()
	skip()
	if position <= #text then fail("trailing text") end
	return result
end
local sample = '{"name": "Moon", "tags": ["a", "b\\n", "\\u0041"], "nested": {"x": 1.5, "y": -2e3, "ok": true, "none": null}, "empty": {}}'
local parsed = decode(sample)
print(parsed.name, #parsed.tags, parsed.tags[3], parsed.nested.x, parsed.nested.y, parsed.nested.ok)
print(encode(parsed))
print(encode(decode(encode(parsed))) == encode(parsed))
for _, broken in ipairs({ '{"a" 1}', "[1,2", '"open', "tru", "[1] x", '{"a":"\\q"}' }) do
	local ok, problem = pcall(decode, broken)
	print(broken, ok, problem.message)
end
local ok, problem = pcall(encode, { bad = print })
print(ok, problem.message)
print(select(2, pcall(encode, 0 / 0)).message)
