-- Classes with inheritance: method calls, field updates and metatables.
local Shape = {}
Shape.__index = Shape

function Shape.new(name)
    return setmetatable({ name = name, moves = 0, x = 0, y = 0 }, Shape)
end

function Shape:move(dx, dy)
    self.x = self.x + dx
    self.y = self.y + dy
    self.moves = self.moves + 1
    return self
end

function Shape:area()
    return 0
end

function Shape:describe()
    return self.name .. " at " .. self.x .. "," .. self.y .. " moved " .. self.moves
end

local Rectangle = setmetatable({}, { __index = Shape })
Rectangle.__index = Rectangle

function Rectangle.new(width, height)
    local self = Shape.new("rectangle")
    self.width, self.height = width, height
    return setmetatable(self, Rectangle)
end

function Rectangle:area()
    return self.width * self.height
end

function Rectangle:grow(by)
    if by > 0 then
        self.width = self.width + by
    elseif by < 0 then
        self.height = self.height - by
    end
    return self
end

local Square = setmetatable({}, { __index = Rectangle })
Square.__index = Square
Square.__add = function(one, other)
    return Square.new(one.width + other.width)
end

function Square.new(side)
    local self = Rectangle.new(side, side)
    self.name = "square"
    return setmetatable(self, Square)
end

local shapes = { Rectangle.new(2, 3), Square.new(4), Shape.new("point") }
local total = 0
for round = 1, 400000 do
    local shape = shapes[round % 3 + 1]
    shape:move(1, round % 2)
    total = total + shape:area()
    if shape.grow and round % 1000 == 0 then
        shape:grow(1):grow(-1)
    end
    if round % 5000 == 0 then
        shapes[2] = shapes[2] + Square.new(1)
    end
end
print(total)
for _, shape in ipairs(shapes) do
    print(shape:describe())
end
