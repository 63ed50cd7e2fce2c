-- Asks the server again and again whether the script may go on, while no session stands.
-- Refusals that say nothing about the script: too many requests, or a beat that something on the way delivered twice.
local PASSING = { RATE_LIMITED = true, REPLAYED = true }

-- Gives whether the beat named a wrong time and another one, at once, would name the right one.
local function beat(instance)
  local host, sequence = instance.host, moments.next()
  local outcome, answer, body = post(host, "/client/v1/heartbeat", {
    instance = instance.id,
    token = instance.token,
    sequence = sequence,
    share = instance.share,
  })
  if instance.stopped then
    return false
  end
  if outcome == "granted" and instance.verified(answer, "heartbeat", string.format("%.0f", sequence)) then
    instance.reached()
    instance.renew(answer.token)
    instance.runtime.set({ la_seconds_left = answer.seconds_left })
    return false
  end
  -- Also the time is believed only of the installation: told an earlier one, the copy would ask what it has asked before.
  local refused = outcome == "refused" and not PASSING[answer.code] and answer.is_signed_for(body)
  if refused and answer.code ~= "CLOCK_WRONG" then
    instance.stop(answer.message, answer.code)
  elseif refused and moments.tell(answer.time, host.clock) then
    return true
  else
    instance.missed()
  end
  return false
end

-- Runs until the script is stopped.
return function(instance)
  while not instance.stopped do
    instance.host.wait(instance.heartbeat_seconds * (0.9 + 0.2 * random.fraction()))
    if not instance.socket and not instance.stopped and beat(instance) and beat(instance) then
      instance.missed()
    end
  end
end
