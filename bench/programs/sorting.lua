-- Quicksort, heap sort and the library's sort with a comparison function.
local function values(count, seed)
    local list = {}
    for i = 1, count do
        seed = (seed * 16807) % 2147483647
        list[i] = seed % 100000
    end
    return list
end

local function quicksort(list, low, high)
    while low < high do
        local pivot = list[math.floor((low + high) / 2)]
        local i, j = low, high
        while i <= j do
            while list[i] < pivot do
                i = i + 1
            end
            while list[j] > pivot do
                j = j - 1
            end
            if i <= j then
                list[i], list[j] = list[j], list[i]
                i, j = i + 1, j - 1
            end
        end
        if j - low < high - i then
            quicksort(list, low, j)
            low = i
        else
            quicksort(list, i, high)
            high = j
        end
    end
end

local function heapsort(list)
    local n = #list
    local function sift(root, last)
        local value = list[root]
        while root * 2 <= last do
            local child = root * 2
            if child < last and list[child] < list[child + 1] then
                child = child + 1
            end
            if value >= list[child] then
                break
            end
            list[root] = list[child]
            root = child
        end
        list[root] = value
    end
    for root = math.floor(n / 2), 1, -1 do
        sift(root, n)
    end
    for last = n, 2, -1 do
        list[1], list[last] = list[last], list[1]
        sift(1, last - 1)
    end
end

local function checksum(list)
    local sum = 0
    for i, value in ipairs(list) do
        sum = (sum * 31 + value * i) % 1000000007
    end
    return sum
end

local a, b, c = values(90000, 1), values(60000, 1), values(24000, 1)
quicksort(a, 1, #a)
heapsort(b)
table.sort(c, function(one, other)
    return one > other
end)
print(checksum(a), checksum(b), checksum(c))
