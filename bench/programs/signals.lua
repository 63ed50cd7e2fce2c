-- Signals as games have them: connections made and cut, listeners that are closures over what made them, and reactive values.
local function signal()
    local listeners, count = {}, 0
    local self = {}
    function self.connect(listener)
        count = count + 1
        local id = count
        listeners[id] = listener
        return function()
            listeners[id] = nil
        end
    end
    function self.fire(...)
        for id = 1, count do
            local listener = listeners[id]
            if listener then
                listener(...)
            end
        end
    end
    return self
end

local function value(initial)
    local changed = signal()
    local current = initial
    return {
        get = function()
            return current
        end,
        set = function(new)
            if new ~= current then
                current = new
                changed.fire(new)
            end
        end,
        changed = changed,
    }
end

local function derived(sources, compute)
    local result = value(nil)
    local function refresh()
        local inputs = {}
        for index, source in ipairs(sources) do
            inputs[index] = source.get()
        end
        result.set(compute(inputs))
    end
    for _, source in ipairs(sources) do
        source.changed.connect(refresh)
    end
    refresh()
    return result
end

local function throttled(every, action)
    local calls = 0
    return function(...)
        calls = calls + 1
        if calls % every == 0 then
            return action(...)
        end
    end
end

local function player(index)
    local health, armour = value(100), value(index % 4)
    local strength = derived({ health, armour }, function(inputs)
        return inputs[1] + inputs[2] * 10
    end)
    return { health = health, armour = armour, strength = strength }
end

local log, alarms = 0, 0
local cuts = {}
local players = {}
for index = 1, 60 do
    local one = player(index)
    players[index] = one
    cuts[#cuts + 1] = one.strength.changed.connect(function(strength)
        log = (log * 3 + strength) % 1000003
    end)
    one.health.changed.connect(throttled(3, function(health)
        if health < 30 then
            alarms = alarms + 1
        end
    end))
end
for round = 1, 190 do
    for index, one in ipairs(players) do
        if (round + index) % 3 == 0 then
            one.health.set((one.health.get() * 7 + index + round) % 101)
        else
            one.armour.set((round + index) % 5)
        end
    end
    if round % 40 == 0 then
        cuts[round / 40]()
    end
end
print(log, alarms)
