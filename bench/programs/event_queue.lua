-- A simulation: events in a binary heap of objects, ordered by time and then by number; shops with queues of customers.
local Heap = {}
Heap.__index = Heap

function Heap.new(precedes)
    return setmetatable({ items = {}, size = 0, precedes = precedes }, Heap)
end

function Heap:push(item)
    local items, precedes = self.items, self.precedes
    local at = self.size + 1
    self.size = at
    while at > 1 do
        local parent = math.floor(at / 2)
        if not precedes(item, items[parent]) then
            break
        end
        items[at] = items[parent]
        at = parent
    end
    items[at] = item
end

function Heap:pop()
    local items, precedes, size = self.items, self.precedes, self.size
    if size == 0 then
        return nil
    end
    local first, last = items[1], items[size]
    items[size] = nil
    size = size - 1
    self.size = size
    local at = 1
    while at * 2 <= size do
        local child = at * 2
        if child < size and precedes(items[child + 1], items[child]) then
            child = child + 1
        end
        if not precedes(items[child], last) then
            break
        end
        items[at] = items[child]
        at = child
    end
    if size > 0 then
        items[at] = last
    end
    return first
end

local World = { time = 0, made = 0, served = 0, waited = 0, seed = 42 }
World.events = Heap.new(function(a, b)
    if a.time == b.time then
        return a.number < b.number
    end
    return a.time < b.time
end)

function World:random(limit)
    self.seed = (self.seed * 16807) % 2147483647
    return self.seed % limit
end

function World:after(delay, action, shop)
    self.made = self.made + 1
    self.events:push({ time = self.time + delay, number = self.made, action = action, shop = shop })
end

local serve

local function arrive(world, shop)
    table.insert(shop.queue, world.time)
    if not shop.busy then
        shop.busy = true
        world:after(1, serve, shop)
    end
    if world.made < 9000 then
        world:after(1 + world:random(9), arrive, shop)
    end
end

function serve(world, shop)
    local since = table.remove(shop.queue, 1)
    world.served = world.served + 1
    world.waited = world.waited + world.time - since
    if #shop.queue > 0 then
        world:after(2 + world:random(5), serve, shop)
    else
        shop.busy = false
    end
end

for index = 1, 25 do
    World:after(index, arrive, { queue = {}, busy = false })
end
local event = World.events:pop()
while event do
    World.time = event.time
    event.action(World, event.shop)
    event = World.events:pop()
end
print(World.served, World.waited, World.time)
