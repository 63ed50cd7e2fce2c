-- The start: asks the server, checks that the answer is from it and meant for this very question, and opens the payload.
local PROTOCOL = 2
local TRIES = 4
local NONCE = string.rep("\0", 12) -- the key is used for this payload alone
local LABEL = "moonlatch/1 payload"
local UNVERIFIED = "the server's reply could not be verified"

local function or_null(value)
  if value == nil then
    return json.null
  end
  return value
end

local function unhex(text)
  return (string.gsub(text, "%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- The payload's text, or nil when the reply is not authentic.
local function open(reply, nonce)
  local payload, mac = reply.payload, reply.mac
  if type(payload) ~= "string" or type(mac) ~= "string" or #mac ~= 64 or type(reply.nonce) ~= "string" then
    return nil
  end
  reply.payload, reply.mac = nil, nil
  local encoded = encode_transcript(reply)
  local root = sha256.derive(settings.secret, "moonlatch/1 execute", nonce, reply.nonce)
  if not encoded or not sha256.equal(sha256.hex(sha256.hmac(sha256.derive(root, "reply"), encoded)), mac) then
    return nil
  end
  local key = sha256.xor(unhex(reply.payload_key), sha256.derive(root, "payload"))
  local block, length = base64.decode(payload)
  length = block and aead.open(key, NONCE, LABEL, block, length)
  return length and memory.to_string(block, length)
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
    local outcome, answer = ask(host, key, nonce)
    if outcome == "granted" then
      local source = open(answer, nonce)
      if not source then
        error(UNVERIFIED, 0)
      end
      moments.tell(answer.time, host.clock)
      return answer, source
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
