-- An expression language: tokens, precedence climbing and a small stack machine with a big if-chain.
local function tokens(text)
    local list, at = {}, 1
    while at <= #text do
        local start, stop, word = text:find("^%s*([%d%.]+)", at)
        if start then
            list[#list + 1] = { kind = "number", value = tonumber(word) }
            at = stop + 1
        else
            start, stop, word = text:find("^%s*([%+%-%*/%%()^])", at)
            if not start then
                error("unexpected " .. text:sub(at, at))
            end
            list[#list + 1] = { kind = word }
            at = stop + 1
        end
    end
    list[#list + 1] = { kind = "end" }
    return list
end

local strength = { ["+"] = 1, ["-"] = 1, ["*"] = 2, ["/"] = 2, ["%"] = 2, ["^"] = 3 }

local function compile(text)
    local list, at, code = tokens(text), 1, {}
    local expression

    local function emit(operation, value)
        code[#code + 1] = { operation, value }
    end

    local function operand()
        local token = list[at]
        at = at + 1
        if token.kind == "number" then
            emit("push", token.value)
        elseif token.kind == "(" then
            expression(1)
            at = at + 1
        elseif token.kind == "-" then
            operand()
            emit("negate")
        else
            error("unexpected " .. token.kind)
        end
    end

    function expression(least)
        operand()
        while (strength[list[at].kind] or 0) >= least do
            local operator = list[at].kind
            at = at + 1
            expression(strength[operator] + (operator == "^" and 0 or 1))
            emit(operator)
        end
    end

    expression(1)
    return code
end

local function run(code)
    local stack, top = {}, 0
    for i = 1, #code do
        local operation = code[i][1]
        if operation == "push" then
            top = top + 1
            stack[top] = code[i][2]
        elseif operation == "negate" then
            stack[top] = -stack[top]
        else
            local right = stack[top]
            top = top - 1
            local left = stack[top]
            if operation == "+" then
                stack[top] = left + right
            elseif operation == "-" then
                stack[top] = left - right
            elseif operation == "*" then
                stack[top] = left * right
            elseif operation == "/" then
                stack[top] = left / right
            elseif operation == "%" then
                stack[top] = left % right
            elseif operation == "^" then
                stack[top] = left ^ right
            end
        end
    end
    return stack[1]
end

local total = 0
for round = 1, 4000 do
    local text = "(" .. round .. " + 4) * 3 - -2 ^ 2 / (7 - " .. round % 5 .. ") % 11"
    local code = compile(text)
    for _ = 1, 12 do
        total = total + run(code)
    end
end
print(string.format("%.6f", total), run(compile("2 ^ 3 ^ 2 - 10 * (4 + 3) % 8")))
