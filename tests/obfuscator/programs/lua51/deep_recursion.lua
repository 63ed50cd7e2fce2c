local function sum(n) if n == 0 then return 0 end return n + sum(n - 1) end
print(sum(5000))
local function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
print(even(3000), odd(3001))
local function ackermann(m, n)
	if m == 0 then return n + 1 end
	if n == 0 then return ackermann(m - 1, 1) end
	return ackermann(m - 1, ackermann(m, n - 1))
end
print(ackermann(2, 30))
local function hanoi(n, from, to, via)
	if n == 0 then return 0 end
	return hanoi(n - 1, from, via, to) + 1 + hanoi(n - 1, via, to, from)
end
print(hanoi(12, "left", "right", "middle"))
local function build(depth) if depth == 0 then return "leaf" end return { build(depth - 1), depth } end
local tree = build(1500)
local measured = 0
while type(tree) == "table" do measured = measured + tree[2] tree = tree[1] end
print(measured, tree)
local memo = {}
local function fib(n)
	if n < 2 then return n end
	if memo[n] then return memo[n] end
	local value = fib(n - 1) + fib(n - 2)
	memo[n] = value
	return value
end
print(string.format("%.0f", fib(70)))
