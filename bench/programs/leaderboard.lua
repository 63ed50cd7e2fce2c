-- Sorting records by several fields, with comparisons that are made from a description of the order.
local function players(count)
    local list, seed = {}, 7
    for index = 1, count do
        seed = (seed * 16807) % 2147483647
        list[index] = {
            name = "player" .. index,
            level = seed % 40,
            score = math.floor(seed / 64) % 500,
            team = ({ "red", "green", "blue" })[seed % 3 + 1],
            joined = count - index,
        }
    end
    return list
end

local function by(field, descending)
    return function(a, b)
        local one, other = a[field], b[field]
        if one == other then
            return 0
        end
        if descending then
            one, other = other, one
        end
        return one < other and -1 or 1
    end
end

local function ordered(...)
    local comparisons = { ... }
    return function(a, b)
        for index = 1, #comparisons do
            local result = comparisons[index](a, b)
            if result ~= 0 then
                return result < 0
            end
        end
        return false
    end
end

local function ranks(list)
    local previous, rank = nil, 0
    for index, player in ipairs(list) do
        if not previous or previous.score ~= player.score then
            rank = index
        end
        player.rank = rank
        previous = player
    end
end

local function best_of_teams(list)
    local best = {}
    for _, player in ipairs(list) do
        if not best[player.team] or best[player.team].score < player.score then
            best[player.team] = player
        end
    end
    return best
end

local orders = {
    ordered(by("score", true), by("level"), by("name")),
    ordered(by("team"), by("score", true), by("joined")),
    ordered(by("level", true), by("team"), by("name")),
}
local list = players(900)
local checksum = 0
for round = 1, 6 do
    table.sort(list, orders[round % #orders + 1])
    ranks(list)
    local best = best_of_teams(list)
    for index = 1, #list, 50 do
        checksum = (checksum * 33 + list[index].score * 7 + list[index].rank) % 1000003
    end
    checksum = checksum + best.red.score + best.green.score * 2 + best.blue.score * 3
end
print(checksum, list[1].name, list[#list].name)
