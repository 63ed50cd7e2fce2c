-- A parser put together from many small closures: sequences, choices, repetition and actions.
local function char(test)
    return function(text, at)
        local code = string.byte(text, at)
        if code and test(code) then
            return string.char(code), at + 1
        end
        return nil, at
    end
end

local function literal(wanted)
    return function(text, at)
        if string.sub(text, at, at + #wanted - 1) == wanted then
            return wanted, at + #wanted
        end
        return nil, at
    end
end

local function many(parser)
    return function(text, at)
        local values = {}
        while true do
            local value, after = parser(text, at)
            if value == nil then
                return values, at
            end
            values[#values + 1], at = value, after
        end
    end
end

local function sequence(...)
    local parsers = { ... }
    return function(text, at)
        local values, start = {}, at
        for index, parser in ipairs(parsers) do
            local value, after = parser(text, at)
            if value == nil then
                return nil, start
            end
            values[index], at = value, after
        end
        return values, at
    end
end

local function choice(...)
    local parsers = { ... }
    return function(text, at)
        for _, parser in ipairs(parsers) do
            local value, after = parser(text, at)
            if value ~= nil then
                return value, after
            end
        end
        return nil, at
    end
end

local function map(parser, action)
    return function(text, at)
        local value, after = parser(text, at)
        if value == nil then
            return nil, at
        end
        return action(value), after
    end
end

local function lazy(make)
    local made
    return function(text, at)
        made = made or make()
        return made(text, at)
    end
end

local digit = char(function(code)
    return code >= 48 and code <= 57
end)
local space = many(literal(" "))

local function token(parser)
    return map(sequence(parser, space), function(values)
        return values[1]
    end)
end

local number = token(map(sequence(digit, many(digit)), function(values)
    return tonumber(values[1] .. table.concat(values[2]))
end))

local expression
local group = map(
    sequence(
        token(literal("(")),
        lazy(function()
            return expression
        end),
        token(literal(")"))
    ),
    function(values)
        return values[2]
    end
)

local function chain(operand, operator)
    return map(sequence(operand, many(sequence(operator, operand))), function(values)
        local result = values[1]
        for _, pair in ipairs(values[2]) do
            if pair[1] == "+" then
                result = result + pair[2]
            elseif pair[1] == "-" then
                result = result - pair[2]
            else
                result = result * pair[2] % 1000003
            end
        end
        return result
    end)
end

local product = chain(choice(number, group), token(literal("*")))
expression = chain(product, choice(token(literal("+")), token(literal("-"))))

local total = 0
for round = 1, 330 do
    local text = "1 + 2 * (3 + " .. round .. ") - 4 * 5 * (6 - (7 + 8 * " .. round % 13 .. ")) + 90210"
    local value, at = expression(text, 1)
    assert(at == #text + 1)
    total = (total * 7 + value) % 1000003
end
print(total)
