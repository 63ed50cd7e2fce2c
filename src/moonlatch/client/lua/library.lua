-- What a script's key window needs: whether a key is good, where to get one, and the script itself. Starts nothing by itself.
local library = {}

local FINGERPRINT_LIMIT = 512
local HEADERS = { ["Content-Type"] = "application/json" }

local GIVEN = {
  function()
    return moonlatch_host
  end,
  function()
    return finding.shared("moonlatch_host")
  end,
  function()
    return _G.moonlatch_host
  end,
}

local function host()
  return finding.first(GIVEN, function(value)
    return type(value) == "table" and value
  end) or roblox() or error("this program cannot make HTTP requests by itself: give it a moonlatch_host table", 0)
end

local function value_of(field)
  if finding.is_callable(field) then
    local ok, value = attempt(field)
    return ok and value or nil
  end
  return field
end

-- As the loader sends it; one that the loader would hash is left out, and then the device is not compared.
local function fingerprint_of(field)
  local value = value_of(field)
  if type(value) == "string" and value ~= "" and #value <= FINGERPRINT_LIMIT and not string.find(value, "[^\32-\126]") then
    return value
  end
  return json.null
end

local function script_id()
  local id = library.script_id
  if type(id) ~= "string" or not string.find(id, "^%w+$") then
    error("set script_id to the script's id first", 0)
  end
  return id
end

-- Asks the server about a key: `code`, `message`, and of a good key `data` with `auth_expire` (Unix seconds, -1: never),
-- `total_executions` and `note`. Raises nothing but that `script_id` is missing.
function library.check_key(key)
  local id = script_id()
  if type(key) ~= "string" or not string.find(key, "^[\33-\126]+$") or #key > 128 then
    return { code = "KEY_INVALID", message = "This is not a key.", data = {} }
  end
  local ok, status, answer = attempt(function()
    local here = host()
    local body = json.encode({ script_id = id, key = key, fingerprint = fingerprint_of(here.fingerprint) })
    return here.request("POST", settings.base_url .. "/client/v1/check_key", HEADERS, body)
  end)
  local reply = ok and type(answer) == "string" and json.decode(answer)
  if type(reply) ~= "table" or type(reply.code) ~= "string" then
    local why = "The server could not be reached. Try again in a minute."
    if not ok and type(status) == "string" then
      why = why .. " (" .. status .. ")"
    end
    return { code = "UNREACHABLE", message = why, data = {} }
  end
  local data = {}
  if type(reply.data) == "table" then
    for name, value in next, reply.data do
      data[name] = value
    end
  end
  return { code = reply.code, message = reply.message, data = data }
end

-- Where a visitor gets a key for the script, or the address of the page that is named.
function library.get_key_link(page)
  if page ~= nil then
    return settings.base_url .. "/get/" .. page
  end
  return settings.base_url .. "/get/for/" .. script_id()
end

-- Starts the script, with this key or with the one in `script_key`; gives what it returns.
function library.load(key)
  local id, here = script_id(), host()
  if key ~= nil then
    script_key = key
    pcall(function()
      getgenv().script_key = key
    end)
  end
  local status, source = here.request("GET", settings.base_url .. "/loader/" .. id, {})
  if type(source) ~= "string" then
    error("the server could not be reached: " .. tostring(source or status), 0)
  end
  local run = here.load or loadstring or load
  local chunk, problem = run(source, "=loader")
  if not chunk then
    error("the script could not be loaded: " .. tostring(problem), 0)
  end
  return chunk()
end

library.load_script = library.load

return library
