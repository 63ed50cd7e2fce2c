-- The start: asks the server, checks that the answer is from it and meant for this very question, and opens the payload.
local PROTOCOL = 2
local TRIES = 4
local NONCE = string.rep("\0", 12) -- the key is used for this payload alone
local TAG_BYTES = 16
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

-- The payload's text, or nil when the reply is not the installation's answer to the request with this hash.
local function open(reply, nonce, request)
  local payload, proof = reply.payload, reply.proof
  if type(payload) ~= "string" or type(reply.nonce) ~= "string" then
    return nil
  end
  reply.payload, reply.proof = nil, nil
  local encoded = encode_transcript(reply)
  if not encoded or not signed(proof, "moonlatch/2 start\n" .. request .. encoded) then
    return nil
  end
  local block, length = base64.decode(payload)
  if not block or length < TAG_BYTES or sha256.hex(blake2s(block, length)) ~= reply.payload_digest then
    return nil
  end
  local pad = sha256.derive(sha256.derive(settings.secret, "moonlatch/1 execute", nonce, reply.nonce), "payload")
  local key = sha256.xor(sha256.unhex(reply.payload_key), pad)
  length = length - TAG_BYTES -- what it is for is known by the digest
  chacha20.apply(block, length, 1, memory.from_string(key), memory.from_string(NONCE))
  return memory.to_string(block, length)
end

local function ask(host, key, nonce)
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
  })
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
  elseif answer.code == "REPLAYED" or (answer.code == "CLOCK_WRONG" and answer.is_corrected) then
    return 0
  elseif answer.code == "RATE_LIMITED" then
    return math.min(math.max(answer.retry_after or 1, 1), 60)
  end
  return nil
end

-- The authenticated reply and the payload's text. Raises the server's message when it refuses.
return function(host, key)
  local corrected = false
  for try = 1, TRIES do
    -- Never the same nonce twice: the server may have seen a request whose answer was lost.
    local nonce = random.nonce(moments.next())
    local outcome, answer, body = ask(host, key, nonce)
    if outcome == "granted" then
      local source = open(answer, nonce, sha256.sha256(body))
      if not source then
        error(UNVERIFIED, 0)
      end
      moments.tell(answer.time, host.clock)
      return answer, source
    end
    if outcome == "refused" and not PASSING[answer.code] and not answer.is_signed_for(body) then
      error(UNSIGNED .. answer.code, 0)
    end
    if outcome == "refused" and answer.code == "CLOCK_WRONG" and not corrected then
      answer.is_corrected = moments.tell(answer.time, host.clock)
      corrected = true
    end
    local pause = pause_before_retry(try, outcome, answer)
    if not pause and outcome == "refused" then
      refuse(host, answer.message)
    elseif not pause then
      error(answer, 0)
    end
    if pause > 0 then
      host.pause(pause)
    end
  end
end
