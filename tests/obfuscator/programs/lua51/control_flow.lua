local function classify(n)
	if n < 0 then return "negative"
	elseif n == 0 then return "zero"
	elseif n < 1000 then return "small"
	elseif n < 1000000 then return "large"
	else return "huge" end
end
for _, n in ipairs({ -5, 0, 999, 1000, 54321, 1000000 }) do print(n, classify(n)) end
local count = 0
while true do
	count = count + 1
	if count > 10 then break end
	if count % 2 == 0 then
		for inner = 1, 10 do
			if inner > count then break end
			if inner == 3 then print("three in", count) break end
		end
	end
end
print(count)
local n = 0
repeat local done = n >= 4 n = n + 1 until done
print("repeat", n)
do local scoped = "block" print(scoped) end
print(scoped)
local function early(list, wanted)
	for index, value in ipairs(list) do if value == wanted then return index end end
	return nil, "not found"
end
print(early({ "x", "y", "z" }, "y")) print(early({}, "q"))
local seen = {}
for key, value in pairs({ alpha = 1, beta = 2, gamma = 3 }) do seen[#seen + 1] = key .. "=" .. value end
table.sort(seen) print(table.concat(seen, " "))
for key, value in next, { "only" } do print(key, value) end
local function stateful()
	local state = 0
	return function() state = state + 1 if state <= 3 then return state, state * 1111 end end
end
for a, b in stateful() do print(a, b) end
local function nothing() return end
print(nothing())
if nil then print("no") else print("else branch") end
if not (false or nil) then print("negated") end
local i = 1
while i < 100 do i = i * 3 if i > 50 then break end end
print(i)
for outer = 1, 3 do for inner = 1, 3 do if inner == outer then break end print(outer, inner) end end
;(function() print("immediately") end)()
local callable = print
;(callable)("after semicolon")
