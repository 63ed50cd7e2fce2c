-- A copy that runs by a lease: it asks for the server again and again, joins it as a start does, and ends with its lease.
local ASKING_SECONDS = 60

-- Refusals after which another try may be granted.
local PASSING = { RATE_LIMITED = true, REPLAYED = true, CLOCK_WRONG = true }

-- Runs until the server is back, when `join` gets its reply, or the copy is stopped.
return function(host, key, runtime, lease, join)
  while true do
    host.wait(ASKING_SECONDS * (0.75 + random.fraction() / 2))
    local outcome, answer = execute.once(host, key, lease.build)
    if outcome == "granted" then
      answer.variables.la_script_build = lease.build
      return join(answer)
    elseif outcome == "refused" and not PASSING[answer.code] then
      return instances.halt(host, runtime, answer.message)
    end
    local why = leases.ended(host, key, lease)
    if why then
      return instances.halt(host, runtime, "the server could not be reached, and this copy's lease no longer holds: " .. why)
    end
  end
end
