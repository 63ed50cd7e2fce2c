local seen = setmetatable({}, { __mode = "k" })
local function made(value)
    local one = { value = value, items = { value } }
    function one.get(self) return self.value end
    function one.with(self, f) return f(self.value) end
    seen[one] = true
    return one
end
local collect = collectgarbage or function()
    -- Luau's collector follows what is allocated, at a pace that time is part of: a round of it is over when what nothing holds is gone,
    -- or, where a register of the host still has that, after many times as much as a round takes.
    local held, turns = setmetatable({ {} }, { __mode = "v" }), 0
    repeat
        local waste = table.create(1000)
        turns = turns + 1
    until #held == 0 or turns == 2000
end
local function gone(name)
    collect() collect()
    print(name, next(seen) == nil)
    for one in next, seen do seen[one] = nil end
end
local function block()
    do local one = made(1) end
    gone("do")
    if made(2).value == 2 then local one = made(3) gone("condition") one = one.value end
    gone("if")
    local kept = 1
    if kept == 2 then kept = 3 else local one, other = made(4), made(5) kept = one.value + other.value end
    gone("else")
    return kept
end
block()
local function temporaries(f)
    local value = made(1).value + f(made(2).value, made(3).items[1])
    gone("temporaries")
    print(made(1):get(), made(2):with(tostring), #made(3).items)
    gone("methods")
    local list = { made(1).value, made(2):get(), made(3).items[1] }
    gone("list")
    local text = made(1).value .. made(2).value .. f(made(3).value, 1)
    gone("text")
    local chosen = made(nil).value or made(2).value and made(3).value
    gone("choice")
    return value, list, text, chosen
end
temporaries(function(a, b) return a + b end)
local function loops()
    for i = 1, 3 do local one = made(i) one.value = i end
    gone("numeric for")
    for _, one in ipairs({ made(1), made(2) }) do one.value = 3 end
    gone("generic for")
    for _, one in pairs({ made(1), made(2) }) do if one.value == 1 then break end end
    gone("break")
    local i = 0
    while i < 3 do i = i + 1 local one = made(i) if one.value == 2 then local other = made(7) break end end
    gone("while")
    repeat local one = made(i) i = i - 1 until one.value < 1
    gone("repeat")
    for j = 1, 2 do
        do local one = made(j) one.value = 0 end
        gone("in a loop")
        if j == 1 then local one = made(j) one.value = 2 end
        gone("if in a loop")
        local x = j
    end
    for j = 1, 2 do for k = 1, 2 do local one = made(k) one.value = j end gone("loop in a loop") local y = j end
end
loops()
local function released(one, other)
    one, other = nil, nil
    gone("parameters")
    local here = made(1)
    here = nil
    gone("local")
    local a, b, c = made(1), made(2), made(3)
    a, b, c = 1, 2, 3
    gone("locals")
    return a, b, c
end
released(made(1), made(2))
local function closures()
    do
        local one = made(1)
        local function use() return one.value end
        use()
    end
    gone("captured")
    do
        local one = made(1)
        local function change() one = made(2) end
        change()
    end
    gone("captured and changed")
    local f = (function(one) return function() return one end end)(made(1))
    f = nil
    gone("closure")
end
closures()
local function errors()
    print(pcall(function() local one = made(1) error("x" .. one.value, 0) end))
    gone("error")
    local function failing(...) print(select("#", pcall(function(...) local one, other = ... error(one.value, 0) end, ...))) end
    failing(made(1), made(2))
    failing({ value = 1 }, { value = 2 }) -- what a call left in the host's registers is there until the next one like it
    gone("error with arguments")
end
errors()
local work = coroutine.wrap(function()
    do local one = made(1) one.value = 2 end
    coroutine.yield()
    for i = 1, 2 do local one = made(i) one.value = 3 end
    coroutine.yield()
    local value = made(1).value + made(2).value
    coroutine.yield(value)
end)
for _ = 1, 3 do work() gone("across a yield") end
do local one = made(1) one.value = 2 end
gone("the chunk's own block")
for i = 1, 2 do local one = made(i) one.value = 2 end
gone("the chunk's own loop")
local function main() gone("in what runs on") end
local value = made(1).value
main(value, made(2).value)
gone("arguments of a call")
