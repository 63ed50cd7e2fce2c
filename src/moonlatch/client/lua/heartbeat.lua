-- Asks the server again and again whether the script may go on, while no session stands.
-- Refusals that say nothing about the script: too many requests, or a beat that something on the way delivered twice.
local PASSING = { RATE_LIMITED = true, REPLAYED = true }

local function verified(instance, sequence, reply)
  local mac = reply.mac
  if type(mac) ~= "string" then
    return false
  end
  reply.mac = nil
  local encoded = encode_transcript(reply)
  local key = sha256.derive(instance.live_key, "heartbeat", string.format("%.0f", sequence))
  return encoded ~= nil and sha256.equal(sha256.hex(sha256.hmac(key, encoded)), mac)
end

local function beat(instance, sequence)
  local outcome, answer = post(instance.host, "/client/v1/heartbeat", {
    instance = instance.id,
    token = instance.token,
    sequence = sequence,
  })
  if instance.stopped then
    return
  end
  if outcome == "granted" and verified(instance, sequence, answer) then
    instance.reached()
    instance.runtime.set({ la_seconds_left = answer.seconds_left })
  elseif outcome == "refused" and not PASSING[answer.code] then
    instance.stop(answer.message)
  else
    instance.missed()
  end
end

-- Runs until the script is stopped.
return function(instance)
  local sequence = 0
  while not instance.stopped do
    instance.host.wait(instance.heartbeat_seconds * (0.9 + 0.2 * random.fraction()))
    if not instance.socket and not instance.stopped then
      sequence = sequence + 1
      beat(instance, sequence)
    end
  end
end
