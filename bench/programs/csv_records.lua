-- Comma separated values, quoted fields and all: scanned with find and sub into records, then summed by group.
local function field_at(text, at)
    if string.sub(text, at, at) ~= '"' then
        local stop = string.find(text, "[,\n]", at) or #text + 1
        return string.sub(text, at, stop - 1), stop
    end
    local parts = {}
    local from = at + 1
    while true do
        local quote = string.find(text, '"', from, true)
        if not quote then
            error("a quoted field does not end")
        end
        parts[#parts + 1] = string.sub(text, from, quote - 1)
        if string.sub(text, quote + 1, quote + 1) ~= '"' then
            return table.concat(parts, '"'), quote + 1
        end
        from = quote + 2
    end
end

local function rows(text)
    local list, row, at = {}, {}, 1
    while at <= #text do
        local value, stop = field_at(text, at)
        row[#row + 1] = value
        if string.sub(text, stop, stop) ~= "," then
            list[#list + 1] = row
            row = {}
        end
        at = stop + 1
    end
    return list
end

local function records(text)
    local list = rows(text)
    local names, out = list[1], {}
    for index = 2, #list do
        local record = {}
        for column, name in ipairs(names) do
            record[name] = list[index][column]
        end
        out[#out + 1] = record
    end
    return out
end

local function quoted(value)
    if string.find(value, '[",\n]') then
        return '"' .. string.gsub(value, '"', '""') .. '"'
    end
    return value
end

local lines = { "name,kind,price,remark" }
for index = 1, 900 do
    local remark = index % 4 == 0 and 'says "hello", twice' or index % 5 == 0 and "two\nlines" or "plain"
    lines[#lines + 1] = table.concat({
        "item" .. index,
        ({ "food", "tool", "toy" })[index % 3 + 1],
        tostring(index * 37 % 501),
        quoted(remark),
    }, ",")
end
local text = table.concat(lines, "\n")
local count, length, sums = 0, 0, {}
for _ = 1, 8 do
    for _, record in ipairs(records(text)) do
        count = count + 1
        length = length + #record.remark
        sums[record.kind] = (sums[record.kind] or 0) + tonumber(record.price)
    end
end
print(count, length, sums.food, sums.tool, sums.toy)
