-- What chat filters do: words, edit distances to a list, wildcards, and a count of each letter.
local function distance(one, other, limit)
    if math.abs(#one - #other) > limit then
        return limit + 1
    end
    local previous, current = {}, {}
    for j = 0, #other do
        previous[j] = j
    end
    for i = 1, #one do
        current[0] = i
        local code, least = string.byte(one, i), i
        for j = 1, #other do
            local cost = code == string.byte(other, j) and 0 or 1
            local value = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
            current[j] = value
            if value < least then
                least = value
            end
        end
        if least > limit then
            return least
        end
        previous, current = current, previous
    end
    return previous[#other]
end

local function matches(text, pattern, at, from)
    while from <= #pattern do
        local wanted = string.sub(pattern, from, from)
        if wanted == "*" then
            for skip = at, #text + 1 do
                if matches(text, pattern, skip, from + 1) then
                    return true
                end
            end
            return false
        end
        if at > #text or (wanted ~= "?" and wanted ~= string.sub(text, at, at)) then
            return false
        end
        at, from = at + 1, from + 1
    end
    return at == #text + 1
end

local function letters(text, counts)
    for letter in string.gmatch(text, "%a") do
        counts[letter] = (counts[letter] or 0) + 1
    end
end

local refused = { "banana", "cucumber", "aubergine", "parsnip", "radish", "spinach" }
local patterns = { "b*n?na", "*umb*", "r?d*sh", "sp*n*h", "*" }
local stems = { "bananna", "kucumber", "lettuce", "obergine", "radisch", "spinatch", "potato", "parsnips" }
local close, hits, counts = 0, 0, {}
for round = 1, 260 do
    local word = stems[round % #stems + 1] .. (round % 3 == 0 and "s" or "")
    for _, name in ipairs(refused) do
        if distance(word, name, 3) <= 2 then
            close = close + 1
        end
    end
    for _, pattern in ipairs(patterns) do
        if matches(word, pattern, 1, 1) then
            hits = hits + 1
        end
    end
    letters(word, counts)
end
print(close, hits, counts.a, counts.n, counts.u)
