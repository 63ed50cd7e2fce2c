-- A stable merge sort of objects that compare by a metamethod or by a function, with insertion sort for short runs.
local Version = {}
Version.__index = Version

local function version(major, minor, patch)
    return setmetatable({ major = major, minor = minor, patch = patch }, Version)
end

Version.__lt = function(a, b)
    if a.major ~= b.major then
        return a.major < b.major
    end
    if a.minor ~= b.minor then
        return a.minor < b.minor
    end
    return a.patch < b.patch
end
Version.__eq = function(a, b)
    return a.major == b.major and a.minor == b.minor and a.patch == b.patch
end
Version.__tostring = function(self)
    return self.major .. "." .. self.minor .. "." .. self.patch
end

local function less(a, b)
    return a < b
end

local function insertion(list, low, high, before)
    for i = low + 1, high do
        local value, j = list[i], i - 1
        while j >= low and before(value, list[j]) do
            list[j + 1] = list[j]
            j = j - 1
        end
        list[j + 1] = value
    end
end

local function merge(list, buffer, low, middle, high, before)
    for i = low, middle do
        buffer[i] = list[i]
    end
    local left, right, at = low, middle + 1, low
    while left <= middle do
        if right <= high and before(list[right], buffer[left]) then
            list[at] = list[right]
            right = right + 1
        else
            list[at] = buffer[left]
            left = left + 1
        end
        at = at + 1
    end
end

local function sort(list, buffer, low, high, before)
    if high - low < 8 then
        insertion(list, low, high, before)
        return
    end
    local middle = math.floor((low + high) / 2)
    sort(list, buffer, low, middle, before)
    sort(list, buffer, middle + 1, high, before)
    if before(list[middle + 1], list[middle]) then
        merge(list, buffer, low, middle, high, before)
    end
end

local function versions(count, seed)
    local list = {}
    for i = 1, count do
        seed = (seed * 48271) % 2147483647
        list[i] = version(seed % 4, math.floor(seed / 16) % 9, math.floor(seed / 512) % 30)
    end
    return list
end

local twins, newest = 0, ""
for round = 1, 12 do
    local list = versions(500, round)
    sort(list, {}, 1, #list, less)
    for i = 2, #list do
        if list[i] == list[i - 1] then
            twins = twins + 1
        end
    end
    sort(list, {}, 1, #list, function(a, b)
        return a.patch > b.patch
    end)
    newest = tostring(list[1]) .. " " .. tostring(list[#list])
end
print(twins, newest)
