-- Constants used many times: the first use decodes, later ones must agree.
local total, text = 0, {}
for index = 1, 3000 do
	total = total + 1.5 * index - 1000
	if index % 1000 == 0 then text[#text + 1] = "mark " .. index end
	if total > 123456.75 then total = total - 98765.4321 end
end
print(string.format("%.4f", total), table.concat(text, "; "))
local words = {}
for index = 1, 50 do
	local word = index % 15 == 0 and "fizzbuzz" or index % 5 == 0 and "buzz" or index % 3 == 0 and "fizz" or tostring(index)
	words[word] = (words[word] or 0) + 1
end
print(words.fizz, words.buzz, words.fizzbuzz, words["7"])
local function hash(input)
	local value = 5381
	for index = 1, #input do value = (value * 33 + input:byte(index)) % 4294967296 end
	return value
end
for _, input in ipairs({ "", "a", "hello world", ("long "):rep(100) }) do print(hash(input)) end
