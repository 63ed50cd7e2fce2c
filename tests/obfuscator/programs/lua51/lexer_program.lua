local function tokenize(source)
	local tokens, position = {}, 1
	local rules = { { "^%s+" }, { "^%d+%.?%d*", "number" }, { "^[%a_][%w_]*", "name" }, { "^[%+%-%*/%^%(%)=]", "symbol" } }
	while position <= #source do
		local matched = false
		for _, rule in ipairs(rules) do
			local first, last = source:find(rule[1], position)
			if first then
				if rule[2] then tokens[#tokens + 1] = { kind = rule[2], text = source:sub(first, last) } end
				position, matched = last + 1, true
				break
			end
		end
		if not matched then error({ at = position, character = source:sub(position, position) }) end
	end
	return tokens
end
local priority = { ["="] = 1, ["+"] = 2, ["-"] = 2, ["*"] = 3, ["/"] = 3, ["^"] = 5 }
local function evaluate(source, environment)
	local tokens, index = tokenize(source), 1
	local expression
	local function primary()
		local token = tokens[index]
		index = index + 1
		if not token then error("unexpected end", 0) end
		if token.kind == "number" then return tonumber(token.text)
		elseif token.kind == "name" then
			if tokens[index] and tokens[index].text == "=" then index = index + 1 environment[token.text] = expression(1) return environment[token.text] end
			return environment[token.text] or error("unknown name " .. token.text, 0)
		elseif token.text == "(" then local value = expression(1) index = index + 1 return value
		elseif token.text == "-" then return -expression(4) end
		error("unexpected " .. token.text, 0)
	end
	function expression(limit)
		local left = primary()
		while tokens[index] and (priority[tokens[index].text] or 0) >= limit and tokens[index].text ~= "=" do
			local operator = tokens[index].text
			index = index + 1
			local right = expression(operator == "^" and priority[operator] or priority[operator] + 1)
			if operator == "+" then left = left + right elseif operator == "-" then left = left - right
			elseif operator == "*" then left = left * right elseif operator == "/" then left = left / right else left = left ^ right end
		end
		return left
	end
	return expression(1)
end
local environment = { pi = 3.14159 }
for _, source in ipairs({ "1 + 2 * 3", "(1 + 2) * 3", "2 ^ 3 ^ 2", "-2 ^ 2", "x = 4000 + 5", "x * 2 - 1", "pi * 2", "10 / 4 / 5", "y + 1", "3 $ 4", "(" }) do
	local ok, result = pcall(evaluate, source, environment)
	print(source, ok, type(result) == "table" and "bad character " .. result.character .. " at " .. result.at or type(result) == "number" and string.format("%.5f", result) or result)
end
