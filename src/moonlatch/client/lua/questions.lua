-- What a running copy asks its server for, and the answers: sealed for this copy alone, so that nobody on the way reads or makes one.
local questions = {
  AWAY = "the server could not be reached",
}

local NAME = "^[A-Za-z_][A-Za-z0-9_.-]*$"
local MOST_CHARACTERS = 64
local TRIES = 2
local TAG_BYTES = 16
local NONCE = string.rep("\0", 12) -- the key is used for this value alone
local UNVERIFIED = "the server's answer could not be verified"

function questions.is_name(name)
  return type(name) == "string" and #name <= MOST_CHARACTERS and string.find(name, NAME) ~= nil
end

local function opened(sealed, key)
  local block, length = base64.decode(sealed)
  if not block or length < TAG_BYTES then
    return nil
  end
  length = length - TAG_BYTES -- the reply's mac is of all of it
  chacha20.apply(block, length, 1, memory.from_string(key), memory.from_string(NONCE))
  return memory.to_string(block, length)
end

-- Asks what `what` and `name` say. `complete` may add to the request, given its number as text. Gives the answer and the JSON text
-- of its value (nil where there is none), or nil, a message and its code.
function questions.ask(instance, what, name, complete)
  if not instance or instance.stopped then
    return nil, questions.AWAY, "AWAY"
  end
  instance.agree()
  local message, code
  for _ = 1, TRIES do
    local sequence = moments.next()
    local asked = string.format("%.0f", sequence)
    local fields = {
      instance = instance.id,
      token = instance.token,
      sequence = sequence,
      share = instance.share,
      name = name,
    }
    if complete then
      complete(fields, asked)
    end
    local outcome, answer, body = post(instance.host, "/client/v1/" .. what, fields)
    if outcome == "granted" then
      if not instance.verified(answer, what, asked, name) then
        return nil, UNVERIFIED, "AWAY"
      end
      instance.reached()
      instance.renew(answer.token)
      if answer.value == json.null then
        return answer
      end
      return answer, opened(answer.value, sha256.derive(instance.live_key, what .. " value", asked, name, answer.nonce))
    elseif outcome == "unreachable" then
      return nil, answer, "AWAY"
    end
    message, code = answer.message, answer.code
    if code ~= "CLOCK_WRONG" or not answer.is_signed_for(body) or not moments.tell(answer.time, instance.host.clock) then
      break
    end
  end
  return nil, message, code
end

return questions
