local Class = {}
function Class.new(name, parent)
	local class = { name = name, parent = parent }
	class.__index = class
	if parent then setmetatable(class, { __index = parent }) end
	function class.create(...)
		local instance = setmetatable({}, class)
		if instance.init then instance:init(...) end
		return instance
	end
	function class:isA(other)
		local current = class
		while current do
			if current == other then return true end
			current = current.parent
		end
		return false
	end
	return class
end
local Animal = Class.new("Animal")
function Animal:init(name, sound) self.name = name self.sound = sound self.energy = 1000 end
function Animal:speak(times)
	local words = {}
	for index = 1, times or 1 do words[index] = self.sound end
	return self.name .. " says " .. table.concat(words, " ")
end
function Animal:eat(amount) self.energy = self.energy + amount return self end
local Dog = Class.new("Dog", Animal)
function Dog:init(name) Animal.init(self, name, "woof") self.tricks = {} end
function Dog:learn(trick) self.tricks[#self.tricks + 1] = trick return self end
function Dog:show() return self.name .. " knows " .. #self.tricks .. ": " .. table.concat(self.tricks, ", ") end
local rex = Dog.create("Rex")
print(rex:speak(3))
print(rex:learn("sit"):learn("roll over"):eat(2500):show(), rex.energy)
print(rex:isA(Dog), rex:isA(Animal), Animal.create("Cat", "meow"):isA(Dog))
local Stack = Class.new("Stack")
function Stack:init() self.items = {} self.size = 0 end
function Stack:push(...) for _, item in ipairs({ ... }) do self.size = self.size + 1 self.items[self.size] = item end return self end
function Stack:pop() if self.size == 0 then return nil, "empty stack" end local item = self.items[self.size] self.items[self.size] = nil self.size = self.size - 1 return item end
local stack = Stack.create():push("a", "b", "c")
print(stack:pop(), stack:pop(), stack:pop()) print(stack:pop())
local a = { b = { c = {} } }
function a.b.c.plain(x) return x end
function a.b.c:method(x) return self == a.b.c, x end
print(a.b.c.plain("dotted"), a.b.c:method("colon"))
print(a.b.c.method(a.b.c, "explicit"), a["b"]["c"].plain("bracket"))
