-- A JSON writer and reader: recursion over tables, patterns and string assembly.
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }
local unescapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", n = "\n", t = "\t" }

local function write(value, out)
    local kind = type(value)
    if kind == "table" then
        if #value > 0 then
            out[#out + 1] = "["
            for index, item in ipairs(value) do
                if index > 1 then
                    out[#out + 1] = ","
                end
                write(item, out)
            end
            out[#out + 1] = "]"
        else
            local keys = {}
            for key in pairs(value) do
                keys[#keys + 1] = key
            end
            table.sort(keys)
            out[#out + 1] = "{"
            for index, key in ipairs(keys) do
                if index > 1 then
                    out[#out + 1] = ","
                end
                write(key, out)
                out[#out + 1] = ":"
                write(value[key], out)
            end
            out[#out + 1] = "}"
        end
    elseif kind == "string" then
        out[#out + 1] = '"' .. value:gsub('["\\\n\t]', escapes) .. '"'
    elseif kind == "number" or kind == "boolean" then
        out[#out + 1] = tostring(value)
    else
        out[#out + 1] = "null"
    end
end

local Reader = {}
Reader.__index = Reader

function Reader.new(text)
    return setmetatable({ text = text, at = 1 }, Reader)
end

function Reader:skip()
    self.at = string.find(self.text, "[^ \n\t]", self.at) or #self.text + 1
end

function Reader:peek()
    self:skip()
    return string.sub(self.text, self.at, self.at)
end

function Reader:fail(wanted)
    error("expected " .. wanted .. " at " .. self.at, 0)
end

function Reader:expect(symbol)
    if self:peek() ~= symbol then
        self:fail(symbol)
    end
    self.at = self.at + 1
end

function Reader:string()
    self:expect('"')
    local parts = {}
    while true do
        local stop = string.find(self.text, '["\\]', self.at)
        if not stop then
            self:fail("end of string")
        end
        parts[#parts + 1] = string.sub(self.text, self.at, stop - 1)
        if string.sub(self.text, stop, stop) == '"' then
            self.at = stop + 1
            return table.concat(parts)
        end
        parts[#parts + 1] = unescapes[string.sub(self.text, stop + 1, stop + 1)] or self:fail("escape")
        self.at = stop + 2
    end
end

function Reader:value()
    local symbol = self:peek()
    if symbol == "{" then
        local result = {}
        self.at = self.at + 1
        while self:peek() ~= "}" do
            if next(result) then
                self:expect(",")
                self:skip()
            end
            local key = self:string()
            self:expect(":")
            result[key] = self:value()
        end
        self.at = self.at + 1
        return result
    elseif symbol == "[" then
        local result = {}
        self.at = self.at + 1
        while self:peek() ~= "]" do
            if #result > 0 then
                self:expect(",")
            end
            result[#result + 1] = self:value()
        end
        self.at = self.at + 1
        return result
    elseif symbol == '"' then
        return self:string()
    end
    local word = string.match(self.text, "^[%w%.%-+]+", self.at)
    if not word then
        self:fail("value")
    end
    self.at = self.at + #word
    if word == "true" then
        return true
    elseif word == "false" then
        return false
    elseif word == "null" then
        return nil
    end
    return tonumber(word)
end

local document = { users = {}, settings = { theme = "dark", volume = 0.75, tags = { "a", "b" } } }
for i = 1, 60 do
    document.users[i] = { id = i, name = "user " .. i, active = i % 2 == 0, score = i / 4, note = 'said "hi"\n\tand left' }
end
local length, text = 0, nil
for _ = 1, 80 do
    local out = {}
    write(document, out)
    text = table.concat(out)
    document = Reader.new(text):value()
    length = length + #text
end
print(length, #document.users, document.users[60].note, document.settings.volume)
