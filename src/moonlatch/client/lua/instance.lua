-- One running copy of the script as the server knows it: what authenticates it, whether it was stopped, and when the server
-- last agreed with it.
local instances = {}

local NINE = "\9" .. string.rep("\0", 31)

-- What authenticates the answers to this copy, and what the server needs to find it out: nobody else can, also not with the
-- loader's secret.
local function agree(id)
  local secret = sha256.unhex(random.token())
  local share = x25519(secret, NINE)
  local live = sha256.derive(settings.secret, "moonlatch/1 live", id)
  return sha256.hmac(live, "agreed\n" .. share .. x25519(secret, settings.exchange_key)), sha256.hex(share)
end

-- Ten minutes without a server, and the beats that may pass before it goes and after it is back.
local TOLERATED_SECONDS = 660
-- A computer that slept wakes up long after the last contact; one failure then proves nothing.
local TOLERATED_MISSES = 2

-- Stops the script for good. With no way to kick, everything it does through its runtime fails from now on.
function instances.halt(host, runtime, reason)
  runtime.handlers = {}
  if host.kick and attempt(host.kick, reason) then
    return
  end
  runtime.halt(reason)
  -- Caught as well: a host whose threads begin at once may let their errors out here.
  attempt(host.spawn, function()
    error(reason, 0)
  end)
end

-- `runtime` is that of the script. `outlive`, where it can be outlived that the server is away, gives whether it will be.
function instances.create(host, key, reply, runtime, outlive)
  local instance = {
    host = host,
    id = reply.instance,
    token = reply.token,
    heartbeat_seconds = reply.heartbeat_seconds ~= json.null and reply.heartbeat_seconds or nil,
    session_path = reply.session ~= json.null and reply.session or nil,
    session_required = reply.session_required,
    runtime = runtime,
    stopped = false,
    socket = nil, -- of the session that stands
  }

  -- Costs milliseconds: not for a copy that says nothing more to the server.
  function instance.agree()
    if not instance.live_key then
      instance.live_key, instance.share = agree(reply.instance)
    end
  end

  if instance.heartbeat_seconds or instance.session_path then
    instance.agree()
  end
  local last_contact, misses = host.clock(), 0
  runtime.set(reply.variables)

  -- Closes a socket. In a thread of its own: a host may wait for a server that answers no more.
  function instance.let_go(socket)
    if instance.socket == socket then
      instance.socket = nil
    end
    local function close()
      attempt(socket.close, 1000)
    end
    if socket and not attempt(host.spawn, close) then
      close()
    end
  end

  local function leave()
    instance.stopped = true
    instance.let_go(instance.socket)
  end

  -- Stops the script; `code` is that of the server's refusal, where it has one.
  function instance.stop(reason, code)
    if instance.stopped then
      return
    end
    leave()
    if leases and code then
      leases.refused(host, key, code)
    end
    instances.halt(host, runtime, reason)
  end

  -- The server gives another token from time to time, for the old one ends.
  function instance.renew(token)
    if type(token) == "string" then
      instance.token = token
    end
  end

  -- Whether a reply is the server's to this copy; what it answers, in words, names the key.
  function instance.verified(answer, ...)
    local mac = answer.mac
    if type(mac) ~= "string" then
      return false
    end
    answer.mac = nil
    local encoded = encode_transcript(answer)
    local key = sha256.derive(instance.live_key, ...)
    return encoded ~= nil and sha256.equal(sha256.hex(sha256.hmac(key, encoded)), mac)
  end

  function instance.reached()
    last_contact, misses = host.clock(), 0
  end

  function instance.missed()
    misses = misses + 1
    if misses >= TOLERATED_MISSES and host.clock() - last_contact >= TOLERATED_SECONDS then
      if outlive and outlive() then
        return leave()
      end
      instance.stop("the server could not be reached for 10 minutes")
    end
  end

  return instance
end

return instances
