local seed = 42
local function random(limit) seed = (seed * 16807) % 2147483647 return seed % limit + 1 end
local function quick(list, low, high)
	low, high = low or 1, high or #list
	if low < high then
		local pivot, store = list[high], low
		for index = low, high - 1 do
			if list[index] < pivot then list[index], list[store] = list[store], list[index] store = store + 1 end
		end
		list[store], list[high] = list[high], list[store]
		quick(list, low, store - 1) quick(list, store + 1, high)
	end
	return list
end
local function merge(list)
	if #list < 2 then return list end
	local middle, left, right = math.floor(#list / 2), {}, {}
	for index, value in ipairs(list) do if index <= middle then left[#left + 1] = value else right[#right + 1] = value end end
	left, right = merge(left), merge(right)
	local out, i, j = {}, 1, 1
	while left[i] or right[j] do
		if not right[j] or left[i] and left[i] <= right[j] then out[#out + 1] = left[i] i = i + 1 else out[#out + 1] = right[j] j = j + 1 end
	end
	return out
end
local numbers = {}
for index = 1, 200 do numbers[index] = random(100000) end
local copy = {} for index, value in ipairs(numbers) do copy[index] = value end
local sorted = merge(numbers) quick(copy)
print(table.concat(sorted, ",") == table.concat(copy, ","), sorted[1], sorted[100], sorted[200])
table.sort(numbers, function(a, b) return a > b end)
print(numbers[1], numbers[200], #numbers)
local people = { { name = "Ann", age = 31 }, { name = "Bob", age = 25 }, { name = "Cid", age = 31 } }
table.sort(people, function(a, b) if a.age ~= b.age then return a.age < b.age end return a.name < b.name end)
for _, person in ipairs(people) do print(person.name, person.age) end
