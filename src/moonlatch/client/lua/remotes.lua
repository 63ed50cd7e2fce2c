-- `la_webhook` and `la_call`: what is called through the server by name, so that no build contains where it leads.
local remotes = {}

local MOST_BYTES = 8192 -- the server takes no more data

-- The JSON text of what a remote gave, or nil, a message and a code.
local function call(runtime, kind, name, data)
  if data == nil then
    data = json.null
  end
  -- One level down, as in the request: what is too deep there is so here.
  local text, problem = json.encode({ data })
  if not text then
    return nil, "the data holds " .. problem, "INVALID_DATA"
  end
  text = string.sub(text, 2, -2)
  if #text > MOST_BYTES then
    return nil, "the data may have at most " .. MOST_BYTES .. " bytes as JSON", "INVALID_DATA"
  end
  local answer, value, code = questions.ask(runtime.instance, "call", name, function(fields, asked)
    fields.kind, fields.data = kind, data
    -- Of the data as it is sent: written again, a table that nobody changed is the same text.
    fields.mac = sha256.hex(sha256.hmac(sha256.derive(runtime.instance.live_key, "call", asked, kind, name), text))
  end)
  if not answer then
    return nil, value, code
  elseif not value then
    return nil, answer.message, answer.code
  end
  return value
end

function remotes.offer(runtime)
  -- True when the server has taken it over.
  function runtime.object.la_webhook(name, data)
    if not questions.is_name(name) then
      error("la_webhook needs the name of a server webhook", 2)
    end
    local value, problem, code = call(runtime, "webhook", name, data)
    if not value then
      return nil, problem, code
    end
    return true
  end

  -- What the function answered; nil where that is null.
  function runtime.object.la_call(name, data)
    if not questions.is_name(name) then
      error("la_call needs the name of a server function", 2)
    end
    local value, problem, code = call(runtime, "function", name, data)
    if not value then
      return nil, problem, code
    end
    return json.decode_without_nulls(value)
  end
end

return remotes
