local function machine(definition)
	local current, history = definition.initial, {}
	local self = {}
	function self.send(event, ...)
		local state = definition.states[current]
		local transition = state.on and state.on[event]
		if not transition then return false, "no transition for " .. event .. " in " .. current end
		local target = type(transition) == "function" and transition(self, ...) or transition
		if type(target) ~= "string" then return false, "guarded" end
		if state.leave then state.leave(current, target) end
		history[#history + 1] = current .. "->" .. target
		current = target
		local entered = definition.states[target]
		if entered.enter then entered.enter(target, ...) end
		return true
	end
	function self.current() return current end
	function self.history() return table.concat(history, " ") end
	return self
end
local coins = 0
local turnstile = machine({
	initial = "locked",
	states = {
		locked = {
			on = { coin = function(_, value) coins = coins + value if coins >= 1500 then return "unlocked" end end, push = "alarm" },
			leave = function(from, to) print("leaving", from, "for", to) end,
		},
		unlocked = { enter = function(state) coins = 0 print("entered", state) end, on = { push = "locked" } },
		alarm = { enter = function() print("ALARM!") end, on = { reset = "locked" } },
	},
})
print(turnstile.send("coin", 1000)) print(turnstile.send("coin", 500)) print(turnstile.current())
print(turnstile.send("push")) print(turnstile.send("push")) print(turnstile.send("coin"))
print(turnstile.send("reset")) print(turnstile.history())
