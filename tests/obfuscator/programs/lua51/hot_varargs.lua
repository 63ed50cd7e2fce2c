-- Every way to take some of the values of `...`, often enough that a compiler at run time compiles it. No function has a
-- loop or a call before it reads them: LuaJIT 2.1.0-beta3 gets that wrong without any help.
local rounds = 1000
local failures = {}
local function check(name, got, wanted)
    if got ~= wanted and not failures[name] then
        failures[name] = true
        print(name, "got", got, "wanted", wanted)
    end
end

local function first(...) local a = ... return a end
local function kept(...) local a, b = ... if a == b then return "same" end return a, b end
local function assigned(...) local a, b, c a, b, c = 7, ... return a + (b or 10) + (c or 100) end
local function after(p, q, ...) local a, b, c = ... return p, q, a, b, c end
local function many(p1, p2, p3, p4, p5, p6, p7, ...) local a, b = ... return p1 + p2 + p3 + p4 + p5 + p6 + p7, a, b end
local function late(p1, p2, p3, p4, ...) local a, b, c = ... return p4, a, b, c end
local function computed(...) return (...) + 1, -(...), (...) * (...) end
local function chosen(flag, ...)
    local result
    if flag then result = "yes" else result = "no" end
    if (...) then result = result .. (...) else result = result .. "nothing" end
    local x, y = ...
    if x and y and x > y then result = result .. y elseif y then result = result .. x end
    return result
end
local function indexed(t, ...) t[(...)] = (select(2, ...)) return t[(...)] end
local function listed(...) local t = { ..., 5, n = (...) } return t[1], t[2], t.n, #{ ... } end
local function iterated(...)
    local sum = 0
    for key, value in ... do sum = sum + key * value end
    return sum
end
local function counted(...) local count = select("#", ...) if count == 0 then return 0 end return count, (...) end
local function kept_by_closure(...) local a, b = ... return function() a = (a or 0) + 1 return a, b end end
local Class = {}
Class.__index = Class
function Class.init(self, options, more) self.value, self.more = options.value, more end
function Class.new(class, ...) local object = setmetatable({}, class) object:init(...) return object end
local function until_done(...) local value, limit = ... while value < limit do value = value + value end return value end

local total = 0
for i = 1, rounds do
    local even = i % 2 == 0
    check("first", even and first(i) or first(i, 2, 3), i)
    local a, b = kept(i, -i, i)
    check("kept", a + (b or 0), 0)
    check("kept same", kept(i, i), "same")
    check("assigned", even and assigned(i) or assigned(i, 3, 4), even and 107 + i or 10 + i)
    local p, q, x, y, z = after(1, 2, i, i + 1)
    check("after", p + q + x + y, 2 * i + 4)
    check("after none", z, nil)
    p, q, x, y, z = after(1, 2)
    check("after nothing", x, nil)
    a, b, x = many(1, 2, 3, 4, 5, 6, 7, i)
    check("many", a + b, 28 + i)
    check("many none", x, nil)
    a, b, x = many(1, 2, 3, 4, 5, 6, 7, i, i * 2, 1)
    check("many more", a + b + x, 28 + 3 * i)
    a, b, x, y = late(1, 2, 3, i, "a", "b", "c", "d")
    check("late", a .. b .. x .. y, i .. "abc")
    a, b, x = computed(i, "more", {})
    check("computed", a + b + x, 1 + i * i)
    check("chosen", chosen(even, i, 2), (even and "yes" or "no") .. i .. math.min(i, 2))
    check("chosen one", chosen(even, "x"), (even and "yes" or "no") .. "x")
    check("chosen none", chosen(even), even and "yesnothing" or "nonothing")
    check("indexed", indexed({}, i, "v", 3), "v")
    a, b, x, y = listed(i, "second", "third")
    check("listed", a + b + x + y, 2 * i + 8)
    check("iterated", iterated(next, { [1] = i, [2] = 3 }, nil), i + 6)
    check("counted", counted(), 0)
    a, b = counted(i, nil, nil)
    check("counted nil", a * 100000 + b, 300000 + i)
    local next_value = kept_by_closure(i, "b", 1)
    next_value()
    a, b = next_value()
    check("closure", a .. b, (i + 2) .. "b")
    local object = Class:new({ value = i }, i + 1)
    check("object", object.value + object.more, 2 * i + 1)
    check("until", until_done(1, 8, i), 8)
    total = total + (even and first(i) or first(i, i))
end
print(total)
