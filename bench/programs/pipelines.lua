-- Producers and consumers: text in pieces, lines, words and counts, each stage a coroutine that pulls from the one before.
local function pieces(text, size)
    return coroutine.create(function()
        for at = 1, #text, size do
            coroutine.yield(string.sub(text, at, at + size - 1))
        end
    end)
end

local function pull(stage)
    local ok, value = coroutine.resume(stage)
    if not ok then
        error(value)
    end
    return value
end

local function lines(source)
    return coroutine.create(function()
        local rest = ""
        while true do
            local piece = pull(source)
            if not piece then
                break
            end
            rest = rest .. piece
            local from = 1
            while true do
                local stop = string.find(rest, "\n", from, true)
                if not stop then
                    break
                end
                coroutine.yield(string.sub(rest, from, stop - 1))
                from = stop + 1
            end
            rest = string.sub(rest, from)
        end
        if rest ~= "" then
            coroutine.yield(rest)
        end
    end)
end

local function words(source)
    return coroutine.create(function()
        local line = pull(source)
        while line do
            for word in string.gmatch(line, "%a+") do
                coroutine.yield(string.lower(word))
            end
            line = pull(source)
        end
    end)
end

local function without(source, unwanted)
    return coroutine.create(function()
        local word = pull(source)
        while word do
            if not unwanted[word] then
                coroutine.yield(word)
            end
            word = pull(source)
        end
    end)
end

local function counted(source)
    local counts, order = {}, {}
    local word = pull(source)
    while word do
        if not counts[word] then
            counts[word] = 0
            order[#order + 1] = word
        end
        counts[word] = counts[word] + 1
        word = pull(source)
    end
    table.sort(order, function(a, b)
        if counts[a] == counts[b] then
            return a < b
        end
        return counts[a] > counts[b]
    end)
    return order, counts
end

local verse = "The moon hangs low\nand the latch is drawn\nA key to the door and a door to the moon\nthe night goes on\n"
local text = string.rep(verse, 300)
local stop = { the = true, a = true, to = true, ["and"] = true }
local out = {}
for size = 61, 64 do
    local order, counts = counted(without(words(lines(pieces(text, size))), stop))
    out[#out + 1] = order[1] .. "=" .. counts[order[1]] .. " " .. order[#order] .. "=" .. counts[order[#order]]
end
print(table.concat(out, ", "))
