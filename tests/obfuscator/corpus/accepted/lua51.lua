-- What people bring along from Lua 5.1.
local setmetatable, pairs, type = setmetatable, pairs, type
local Account = {}
Account.__index = Account

function Account.new(owner, balance)
  local self = setmetatable({}, Account)
  self.owner = owner; self.balance = balance or 0;
  return self
end

function Account:deposit(amount)
  if type(amount) ~= "number" or amount <= 0 then
    error("invalid amount: " .. tostring(amount), 2)
  end
  self.balance = self.balance + amount
  return self.balance
end

function Account.__tostring(account)
  return string.format("%s: %d", account.owner, account.balance)
end

local function sort_by(list, field)
  table.sort(list, function(a, b) return a[field] < b[field] end)
  return list
end

local accounts = { Account.new("x", 10), Account.new("y", 5), Account.new "z" }
for index, account in ipairs(sort_by(accounts, "balance")) do
  account:deposit(index * 2.5)
  print(index, tostring(account), account.balance == math.floor(account.balance))
end

local function fibonacci(n)
  local a, b = 0, 1
  for _ = 1, n do a, b = b, a + b end
  return a
end
local i = 0
repeat i = i + 1 until fibonacci(i) > 100
while i > 0 do i = i - 1 if i == 3 then break end end
print(i, select("#", ...))
