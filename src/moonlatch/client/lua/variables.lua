-- `la_var`: values that stay at the server until a copy asks for them, which then keeps each as long as the server says.
local server_variables = {}

local NAME = "^[A-Za-z_][A-Za-z0-9_.-]*$"
local MOST_CHARACTERS = 64
local TRIES = 2
local TAG_BYTES = 16
local NONCE = string.rep("\0", 12) -- the key is used for this value alone
local AWAY = "the server could not be reached"
local UNVERIFIED = "the server's answer could not be verified"

local function opened(sealed, key)
  local block, length = base64.decode(sealed)
  if not block or length < TAG_BYTES then
    return nil
  end
  length = length - TAG_BYTES -- the reply's mac is of all of it
  chacha20.apply(block, length, 1, memory.from_string(key), memory.from_string(NONCE))
  return memory.to_string(block, length)
end

-- What the server has of that name, as JSON text (nil where there is none) and for how many seconds it may be kept. Without an
-- answer nil, nil and a message.
local function ask(instance, name)
  instance.agree()
  local message
  for _ = 1, TRIES do
    local sequence = moments.next()
    local outcome, answer, body = post(instance.host, "/client/v1/variable", {
      instance = instance.id,
      token = instance.token,
      sequence = sequence,
      share = instance.share,
      name = name,
    })
    if outcome == "granted" then
      local asked = string.format("%.0f", sequence)
      if not instance.verified(answer, "variable", asked, name) then
        return nil, nil, UNVERIFIED
      end
      instance.reached()
      instance.renew(answer.token)
      if answer.value == json.null then
        return nil, answer.cache_seconds
      end
      local text = opened(answer.value, sha256.derive(instance.live_key, "variable value", asked, name, answer.nonce))
      return text, answer.cache_seconds
    elseif outcome == "unreachable" then
      return nil, nil, answer
    end
    message = answer.message
    if answer.code ~= "CLOCK_WRONG" or not answer.is_signed_for(body) or not moments.tell(answer.time, instance.host.clock) then
      break
    end
  end
  return nil, nil, message
end

-- Gives the script `la_var`, which asks once the copy is known to the server.
function server_variables.offer(host, runtime)
  local kept, forgotten, instance = {}, 0, nil

  function runtime.join(joined)
    instance = joined
  end

  -- The next read asks anew; without a name every one does.
  function runtime.forget(name)
    forgotten = forgotten + 1
    if name then
      kept[name] = nil
    else
      kept = {}
    end
  end

  function runtime.object.la_var(name)
    if type(name) ~= "string" or #name > MOST_CHARACTERS or not string.find(name, NAME) then
      error("la_var needs the name of a server variable", 2)
    end
    local found = kept[name]
    if not found or host.clock() >= found.ends then
      if not instance or instance.stopped then
        return nil, AWAY
      end
      local before = forgotten
      local text, seconds, problem = ask(instance, name)
      if problem then
        return nil, problem
      end
      found = { text = text, ends = host.clock() + seconds }
      -- What changed while it was on its way, may be what it says or not.
      kept[name] = before == forgotten and found or nil
    end
    -- Decoded each time, so that nobody's changes to a table are seen by others.
    return found.text and json.decode_without_nulls(found.text)
  end
end

return server_variables
