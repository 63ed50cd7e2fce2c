-- The start: asks the server, checks that the answer is from it and meant for this very question, and opens the payload.
local execute = {}

local PROTOCOL = 2
local TRIES = 4
local TRIES_BEFORE_LEASE = 2
local UNVERIFIED = "the server's reply could not be verified"
local UNSIGNED = "the server refused in a way that could not be verified: "
-- Refusals that nobody signs: those of what was not understood, or not looked at.
local PASSING = { RATE_LIMITED = true }

local function or_null(value)
  if value == nil then
    return json.null
  end
  return value
end

-- Whether the reply is the installation's answer to the request with this hash.
local function verified(reply, request)
  local payload, proof = reply.payload, reply.proof
  if type(payload) ~= "string" or type(reply.nonce) ~= "string" then
    return false
  end
  reply.payload, reply.proof = nil, nil
  local encoded = encode_transcript(reply)
  reply.payload = payload
  return encoded and signed(proof, "moonlatch/2 start\n" .. request .. encoded)
end

local function source_of(reply, nonce)
  local root = sha256.derive(settings.secret, "moonlatch/1 execute", nonce, reply.nonce)
  return unseal(reply.payload, reply.payload_digest, reply.payload_key, sha256.derive(root, "payload"), reply.run_key)
end

local function ask(host, key, nonce, build)
  host.look()
  return post(host, "/client/v1/execute", {
    script_id = settings.script_id,
    loader = settings.loader_id,
    protocol = PROTOCOL,
    nonce = nonce,
    key = or_null(key),
    fingerprint = or_null(host.fingerprint),
    executor = or_null(host.executor),
    roblox_id = or_null(host.player),
    place_id = or_null(host.place),
    job_id = or_null(host.job),
    supports_sessions = host.websocket ~= nil,
    -- A server that gives no leases is not told of them: one of before would not understand.
    keeps_leases = leases and leases.are_kept(host) or nil,
    build = build,
    hooked = host.hooked,
    -- As leases.
    reports = reports and host.has_threads or nil,
  })
end

-- Asks once; `build` is the one that runs already, where one does. Gives "granted", the reply and the nonce; "refused" and
-- the error's table; "unreachable", a message and whether no server is there at all; "unverified" and a message.
function execute.once(host, key, build)
  -- Never the same nonce twice: the server may have seen a request whose answer was lost.
  local nonce = random.nonce(moments.next())
  local outcome, answer, body = ask(host, key, nonce, build)
  if outcome == "granted" then
    if not verified(answer, sha256.sha256(body)) then
      return "unverified", UNVERIFIED
    end
    moments.tell(answer.time, host.clock)
    if leases then
      leases.keep(host, key, answer)
    end
    return outcome, answer, nonce
  elseif outcome == "refused" and not PASSING[answer.code] then
    if not answer.is_signed_for(body) then
      return "unverified", UNSIGNED .. answer.code
    end
    if answer.code == "CLOCK_WRONG" then
      answer.is_corrected = moments.tell(answer.time, host.clock)
    elseif leases then
      leases.refused(host, key, answer.code)
    end
  end
  return outcome, answer, body
end

local function refuse(host, message)
  if host.kick then
    attempt(host.kick, message)
  end
  error(message, 0)
end

-- How long to wait before the next try, or nil when another try is no use.
local function pause_before_retry(try, outcome, answer)
  if try == TRIES then
    return nil
  elseif outcome == "unreachable" then
    return 2 ^ (try - 1) * (0.5 + random.fraction() / 2)
  elseif answer.code == "REPLAYED" or answer.is_corrected then
    return 0
  elseif answer.code == "RATE_LIMITED" then
    return math.min(math.max(answer.retry_after or 1, 1), 60)
  end
  return nil
end

-- The authenticated reply, the payload's text, nil and the run key, if the build needs one; while no server is there nil, the text,
-- the lease that allows it and the run key.
-- Raises the server's message when it refuses.
function execute.start(host, key)
  local corrected = false
  local lease, source, problem
  for try = 1, TRIES do
    local outcome, answer, more = execute.once(host, key)
    if outcome == "granted" then
      local run_key
      source, run_key = source_of(answer, more)
      return answer, source or error(UNVERIFIED, 0), nil, run_key
    elseif outcome == "unverified" then
      error(answer, 0)
    elseif outcome == "refused" and answer.is_corrected then
      answer.is_corrected, corrected = not corrected, true
    elseif outcome == "unreachable" and more and leases then
      if not source and not problem then
        lease, source, problem = leases.find(host, key)
      end
      if source and (try >= TRIES_BEFORE_LEASE or not host.has_http) then
        return nil, source, lease, lease.run_key
      elseif problem then
        answer = answer .. "; " .. problem
      end
    end
    local pause = pause_before_retry(try, outcome, answer)
    if not pause and outcome == "refused" then
      refuse(host, answer.message)
    elseif not pause or not host.has_http then
      error(answer, 0)
    end
    if pause > 0 then
      host.pause(pause)
    end
  end
end

return execute
