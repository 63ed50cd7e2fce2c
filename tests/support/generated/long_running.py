"""Generated programs that run for long: each of their stages makes some megabytes that it lets go of, each in another way."""

from __future__ import annotations

import random

PRELUDE = """
local live, seen = {}, setmetatable({}, { __mode = "k" })
local count = gcinfo or function() return collectgarbage("count") end
local function used()
    if collectgarbage then
        collectgarbage() collectgarbage() collectgarbage()
        return count()
    end
    -- Luau's collector follows what is allocated: a round of it is over when what nothing holds is gone. Between two rounds there is
    -- a megabyte of waste or none; the least is what is in use.
    local least = math.huge
    for round = 1, 6 do
        local held = setmetatable({ {} }, { __mode = "v" })
        repeat
            local waste = table.create(10)
            least = math.min(least, count())
        until not held[1]
    end
    return least
end
local function big(size)
    local made = {}
    for i = 1, size do made[i] = { i, i + 0.5 } end
    seen[made] = true
    return made
end
local function sample()
    local kilobytes, left = used(), 0
    for _ in next, seen do left = left + 1 end
    print(string.format("%.0f %d", kilobytes, left))
end
for i = 1, 12000 do live[i] = { i } end
"""

STAGES = """
do local a, b = big(@), big(@) a[1] = b end sample()
local function stage(...) local first, second = ... first, second = nil, nil sample() return select('#', ...) end stage(#big(@), #big(@))
local function stage(a) local n = #a a = nil sample() return n end live.n = stage(big(@))
local function stage() local a = big(@) return #a, function() return 1 end end local n, f = stage() sample() live.n = n + f()
local step = coroutine.wrap(function() while true do local a = big(@) local n = #a a = nil coroutine.yield(n) end end) live.n = step() sample() live.n = step() sample()
local function stage(a) error({ size = #a }) end local fine, problem = pcall(stage, big(@)) sample() live.n = problem.size problem = nil sample()
local queue = {} for i = 1, 6 do queue[#queue + 1] = big(@) if i > 1 then table.remove(queue, 1) end end queue = nil sample()
for i = 1, 3 do local a = big(@) a.next = a if i == 2 then sample() end end sample()
local i = 0 repeat local a = big(@) i = i + #a until i > @ sample()
local i = 0 while true do i = i + 1 local a = big(@) if i == 3 then break end end sample()
for _, a in ipairs({ big(@), big(@) }) do live.n = #a end sample()
local held = setmetatable({}, { __index = function(self, key) return big(key) end }) live.n = #held[@] held = nil sample()
local handlers = {} for i = 1, 4 do local a = big(@) handlers[i] = function() return #a + i end end live.n = handlers[1]() + handlers[4]() for i = 1, 4 do handlers[i] = nil end sample()
local text = 0 for i = 1, 40 do local part = string.rep('x', @) .. i text = text + #part end live.n = text sample()
local a = big(@) local b = { a, a } a = nil live.n = #b[1] b = nil sample()
local a = big(@) if #a > 1 then local b = big(@) live.n = #b else live.n = 0 end a = nil sample()
local function stage(n) if n == 0 then sample() return 0 end local a = big(400) n = n + #a - #a a = nil return stage(n - 1) end stage(20)
local a, b = big(@), big(@) a, b = b, nil live.n = #a a = nil sample()
""".strip().splitlines()


def long_running_program(seed: int) -> str:
    """A program that prints, again and again, the kilobytes in use and how many of its large tables are still there."""
    chosen = random.Random(seed)
    stages = chosen.sample(STAGES, 5)
    bodies = []
    for number, stage in enumerate(stages):
        parts = stage.split("@")
        sized = "".join(part + str(chosen.randint(3_000, 9_000)) for part in parts[:-1]) + parts[-1]
        bodies.append(f"local function part_{number}()\n{sized}\nend")
    calls = "\n".join(f"part_{number}()" for number in range(len(stages)))
    # The first part stands in the script's own code, too, as much of a sold script does. Nothing here is in a loop or called
    # by one: there, what a statement had made is let go of when its function returns, or the next statement needs the place.
    own = bodies[0].split("\n", 1)[1].rsplit("\n", 1)[0]
    return "\n".join([PRELUDE, *bodies, calls, f"do\n{own}\nend", "sample()", calls, "print(#live)", ""])
