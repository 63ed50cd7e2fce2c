local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local lookup = {}
for index = 1, #alphabet do lookup[alphabet:byte(index)] = index - 1 end
local function encode(data)
	local out = {}
	for index = 1, #data, 3 do
		local a, b, c = data:byte(index, index + 2)
		local value = a * 65536 + (b or 0) * 256 + (c or 0)
		local first = math.floor(value / 262144)
		local second = math.floor(value / 4096) % 64
		local third = math.floor(value / 64) % 64
		local fourth = value % 64
		out[#out + 1] = alphabet:sub(first + 1, first + 1) .. alphabet:sub(second + 1, second + 1)
			.. (b and alphabet:sub(third + 1, third + 1) or "=") .. (c and alphabet:sub(fourth + 1, fourth + 1) or "=")
	end
	return table.concat(out)
end
local function decode(text)
	text = text:gsub("[^%w%+/]", "")
	local out = {}
	for index = 1, #text, 4 do
		local value, size = 0, 0
		for offset = 0, 3 do
			local code = text:byte(index + offset)
			value = value * 64 + (code and lookup[code] or 0)
			if code then size = size + 1 end
		end
		local bytes = string.char(math.floor(value / 65536), math.floor(value / 256) % 256, value % 256)
		out[#out + 1] = bytes:sub(1, size - 1)
	end
	return table.concat(out)
end
for _, text in ipairs({ "", "f", "fo", "foo", "foob", "fooba", "foobar", "The quick brown fox" }) do
	print(text, encode(text), decode(encode(text)) == text)
end
local all = {}
for code = 0, 255 do all[#all + 1] = string.char(code) end
all = table.concat(all)
print(encode(all):sub(1, 40), decode(encode(all)) == all)
