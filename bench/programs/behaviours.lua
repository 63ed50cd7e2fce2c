-- Characters whose behaviour is a coroutine that waits: a scheduler by time, states, and messages between them.
local Scheduler = {}
Scheduler.__index = Scheduler

function Scheduler.new()
    return setmetatable({ now = 0, sleeping = {}, resumed = 0 }, Scheduler)
end

function Scheduler:spawn(body, ...)
    local thread = coroutine.create(body)
    self:step(thread, ...)
    return thread
end

function Scheduler:step(thread, ...)
    self.resumed = self.resumed + 1
    local ok, delay = coroutine.resume(thread, ...)
    if not ok then
        error(delay)
    end
    if coroutine.status(thread) ~= "dead" then
        local due = self.now + math.max(1, delay or 1)
        local list = self.sleeping[due]
        if not list then
            list = {}
            self.sleeping[due] = list
        end
        list[#list + 1] = thread
    end
end

function Scheduler:run(ticks)
    for _ = 1, ticks do
        self.now = self.now + 1
        local due = self.sleeping[self.now]
        if due then
            self.sleeping[self.now] = nil
            for _, thread in ipairs(due) do
                self:step(thread)
            end
        end
    end
end

local function wait(ticks)
    coroutine.yield(ticks)
end

local function walk(guard, to)
    while guard.x ~= to do
        guard.x = guard.x + (to > guard.x and 1 or -1)
        guard.energy = guard.energy - 1
        wait(1)
    end
end

local function rest(guard)
    while guard.energy < 20 do
        guard.energy = guard.energy + 5
        wait(2)
    end
end

local world = { noise = 0, alarms = 0, steps = 0 }

local function guard_life(guard)
    while true do
        if guard.energy < 5 then
            rest(guard)
        elseif math.abs(world.noise - guard.x) < 4 then
            world.alarms = world.alarms + 1
            walk(guard, world.noise)
            wait(3)
        else
            guard.home, guard.goal = guard.goal, guard.home
            walk(guard, guard.goal)
        end
        world.steps = world.steps + guard.x
    end
end

local function noise_maker()
    for place = 1, 100000 do
        world.noise = place * 13 % 37
        wait(7)
    end
end

local scheduler = Scheduler.new()
scheduler:spawn(noise_maker)
for index = 1, 40 do
    local guard = { x = index, energy = index % 20, home = index, goal = (index * 5) % 37 }
    scheduler:spawn(guard_life, guard)
end
scheduler:run(3000)
print(scheduler.resumed, world.alarms, world.steps)
