-- Text put together, taken apart, reversed and counted.
local WORDS = { "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta" }

local function sentence(seed, count)
    local parts = {}
    for i = 1, count do
        seed = (seed * 1103515245 + 12345) % 2147483648
        parts[i] = WORDS[seed % #WORDS + 1] .. tostring(seed % 100)
    end
    return table.concat(parts, " "), seed
end

local function capitalised(text)
    return (text:gsub("(%a)(%w*)", function(first, rest)
        return first:upper() .. rest
    end))
end

local function is_palindrome(text)
    local i, j = 1, #text
    while i < j do
        if text:sub(i, i) ~= text:sub(j, j) then
            return false
        end
        i, j = i + 1, j - 1
    end
    return true
end

local function run_lengths(text)
    local out, i = "", 1
    while i <= #text do
        local symbol = text:sub(i, i)
        local j = i
        while text:sub(j + 1, j + 1) == symbol do
            j = j + 1
        end
        out = out .. symbol .. (j - i + 1)
        i = j + 1
    end
    return out
end

local seed, letters, palindromes, checksum = 42, 0, 0, 0
for round = 1, 500 do
    local text
    text, seed = sentence(seed, 40)
    local title = capitalised(text)
    local counts = {}
    for word in title:gmatch("%a+") do
        counts[word] = (counts[word] or 0) + 1
        letters = letters + #word
    end
    for word, count in pairs(counts) do
        checksum = (checksum + #word * count * round) % 1000003
    end
    if is_palindrome(text .. text:reverse()) then
        palindromes = palindromes + 1
    end
    checksum = (checksum * 31 + #run_lengths(text:rep(2))) % 1000003
end
print(letters, palindromes, checksum)
