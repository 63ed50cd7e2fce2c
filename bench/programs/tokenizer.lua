-- A scanner of a small language, byte by byte, and a recursive evaluator of the expressions in it.
local byte, sub = string.byte, string.sub

local function is_digit(code)
    return code ~= nil and code >= 48 and code <= 57
end

local function is_letter(code)
    return code ~= nil and ((code >= 97 and code <= 122) or (code >= 65 and code <= 90) or code == 95)
end

local function is_space(code)
    return code == 32 or code == 10 or code == 9
end

local KEYWORDS = { let = true, show = true }

local Scanner = {}
Scanner.__index = Scanner

function Scanner.new(text)
    return setmetatable({ text = text, at = 1, line = 1 }, Scanner)
end

function Scanner:peek()
    return byte(self.text, self.at)
end

function Scanner:advance()
    local code = byte(self.text, self.at)
    if code == 10 then
        self.line = self.line + 1
    end
    self.at = self.at + 1
    return code
end

function Scanner:skip_space()
    while is_space(self:peek()) do
        self:advance()
    end
end

function Scanner:next()
    self:skip_space()
    local start = self.at
    local code = self:peek()
    if code == nil then
        return { kind = "end", line = self.line }
    elseif is_digit(code) then
        while is_digit(self:peek()) do
            self:advance()
        end
        return { kind = "number", value = tonumber(sub(self.text, start, self.at - 1)), line = self.line }
    elseif is_letter(code) then
        while is_letter(self:peek()) or is_digit(self:peek()) do
            self:advance()
        end
        local word = sub(self.text, start, self.at - 1)
        return { kind = KEYWORDS[word] and "keyword" or "name", value = word, line = self.line }
    end
    self:advance()
    return { kind = "symbol", value = sub(self.text, start, start), line = self.line }
end

local Machine = {}
Machine.__index = Machine

function Machine.new(text)
    local scanner = Scanner.new(text)
    return setmetatable({ scanner = scanner, token = scanner:next(), values = {}, shown = 0 }, Machine)
end

function Machine:take()
    local token = self.token
    self.token = self.scanner:next()
    return token
end

function Machine:is_at(symbol)
    return self.token.kind == "symbol" and self.token.value == symbol
end

function Machine:factor()
    local token = self:take()
    if token.kind == "number" then
        return token.value
    elseif token.kind == "name" then
        return self.values[token.value] or 0
    elseif token.value == "(" then
        local value = self:sum()
        self:take()
        return value
    end
    error("line " .. token.line .. ": unexpected " .. tostring(token.value))
end

function Machine:product()
    local value = self:factor()
    while self:is_at("*") or self:is_at("%") do
        if self:take().value == "*" then
            value = value * self:factor() % 1000003
        else
            value = value % math.max(1, self:factor())
        end
    end
    return value
end

function Machine:sum()
    local value = self:product()
    while self:is_at("+") or self:is_at("-") do
        if self:take().value == "+" then
            value = value + self:product()
        else
            value = value - self:product()
        end
    end
    return value
end

function Machine:run()
    while self.token.kind ~= "end" do
        local keyword = self:take().value
        if keyword == "let" then
            local name = self:take().value
            self:take()
            self.values[name] = self:sum()
        else
            self.shown = (self.shown * 31 + self:sum()) % 1000003
        end
        self:take()
    end
    return self.shown
end

local lines = {}
for index = 1, 520 do
    lines[#lines + 1] = "let value_" .. index % 17 .. " = (" .. index .. " + value_" .. index % 5 .. " * 3) % 977;"
    lines[#lines + 1] = "show value_" .. index % 7 .. " * (value_" .. index % 3 .. " - 4) + " .. index * 13 .. ";"
end
print(Machine.new(table.concat(lines, "\n")):run())
local ok, problem = pcall(function()
    return Machine.new("show 1 + ;"):run()
end)
print(ok, (string.match(tostring(problem), "line %d+: .*")))
