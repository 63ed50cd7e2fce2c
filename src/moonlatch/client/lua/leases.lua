-- Leases: what the server states of a granted start, kept by the host, so that it can be repeated while no server is there.
local leases = {}

local HEADING = "moonlatch lease 1\n"
local TIME_HEADING = "moonlatch time 1\n"
local MOST_BYTES = 67108864
local MOST_STATEMENT_BYTES = 16384
local TOLERATED_MS = 600000 -- by which a clock may go back; the time is written down as often

-- Refusals that say nothing about the licence: of one copy, or one request.
local PASSING = {
  CLOCK_WRONG = true,
  DISCONNECTED = true,
  INSTANCE_UNKNOWN = true,
  INVALID_REQUEST = true,
  OUTDATED = true,
  RATE_LIMITED = true,
  REPLAYED = true,
  SESSIONS_REQUIRED = true,
  SUPERSEDED = true,
  TOO_MANY_INSTANCES = true,
}

local LICENCES = {
  function()
    return moonlatch_licence
  end,
  function()
    return finding.shared("moonlatch_licence")
  end,
  function()
    return _G.moonlatch_licence
  end,
}

-- The text of a licence that was given to the loader, or nil.
function leases.given()
  return finding.first(LICENCES, function(text)
    return type(text) == "string" and text
  end)
end

-- Whether the host can keep one, for the device that this is.
function leases.are_kept(host)
  return host.store ~= nil and host.recall ~= nil and host.fingerprint ~= nil
end

local function name_of(key, ending)
  local hash = sha256.hex(sha256.sha256("moonlatch/2 lease\n" .. settings.script_id .. "\n" .. (key or "")))
  return "moonlatch-" .. string.sub(hash, 1, 16) .. ending
end

local function recall(host, name)
  local ok, text = attempt(host.recall, name)
  return ok and type(text) == "string" and #text <= MOST_BYTES and text or nil
end

-- Whether it is kept now; a host whose disk is full says so by raising.
local function store(host, name, text)
  return (attempt(host.store, name, text))
end

local function bound(label, host, key, ...)
  return sha256.derive(settings.secret, label, key or "", host.fingerprint, ...)
end

-- The highest time seen, how far the server's is ahead of this device's, both in milliseconds, and the latest lease's number.
local function record_of(host, key)
  local text = host.recall and recall(host, name_of(key, "-time.txt"))
  local line, mac = string.match(text or "", "^" .. TIME_HEADING .. "([%d%- ]+)\n(%x+)$")
  if not line or not sha256.equal(sha256.hex(sha256.hmac(bound("moonlatch/2 time", host, key), line)), mac) then
    return nil
  end
  local seen, ahead, sequence = string.match(line, "^(%d+) (%-?%d+) (%d+)$")
  return { seen = tonumber(seen), ahead = tonumber(ahead), sequence = tonumber(sequence) }
end

local function write_down(host, key, seen, ahead, sequence)
  local line = string.format("%.0f %.0f %.0f", seen, ahead, sequence)
  local mac = sha256.hex(sha256.hmac(bound("moonlatch/2 time", host, key), line))
  return store(host, name_of(key, "-time.txt"), TIME_HEADING .. line .. "\n" .. mac)
end

local function forget(host, key)
  local name = name_of(key, ".txt")
  if leases.are_kept(host) and recall(host, name) then
    store(host, name, "")
  end
end

-- The server has refused this key here.
function leases.refused(host, key, code)
  if not PASSING[code] then
    forget(host, key)
  end
end

-- Keeps what came with a reply that was verified. A script that gives none any more takes back what it gave.
function leases.keep(host, key, reply)
  local lease, device = reply.lease, moments.by_device()
  if not leases.are_kept(host) then
    return
  elseif type(lease) ~= "string" or not device then
    return forget(host, key)
  end
  if write_down(host, key, reply.time, reply.time - device, reply.variables.la_executions) then
    store(host, name_of(key, ".txt"), HEADING .. lease .. "\n" .. reply.payload)
  end
end

-- Lengths as PASETO writes them.
local function counted(piece)
  local length = #piece
  return string.char(length % 256, math.floor(length / 256) % 256, math.floor(length / 65536) % 256)
    .. "\0\0\0\0\0"
    .. piece
end

local function unpadded(text)
  text = string.gsub(string.gsub(text, "-", "+"), "_", "/")
  local block, length = base64.decode(text .. string.rep("=", -#text % 4))
  return block and memory.to_string(block, length)
end

-- What the installation stated, or nil: a PASETO v4.public for this script.
local function stated(token)
  local body, footer = string.match(token, "^v4%.public%.([%w_-]+)%.([%w_-]+)$")
  body, footer = unpadded(body or ""), unpadded(footer or "")
  local named = footer and json.decode(footer)
  if not body or #body < 64 or type(named) ~= "table" or named.kid ~= settings.signing_key_id then
    return nil
  end
  local message = string.sub(body, 1, -65)
  local encoded = "\4\0\0\0\0\0\0\0"
    .. counted("v4.public.")
    .. counted(message)
    .. counted(footer)
    .. counted(settings.script_id)
  if not verify_signature(settings.signing_key, encoded, string.sub(body, -64)) then
    return nil
  end
  return json.decode(message)
end

-- The server's time by this device's clock, or nil and why that is not believed.
local function time_of(host, key, claims)
  local record, device = record_of(host, key), moments.by_device()
  if not device then
    return nil, "this program has no clock"
  elseif not record and claims.kind == "lease" then
    return nil, "the record of the time is missing or damaged"
  elseif record and claims.kind == "lease" and claims.sequence < record.sequence then
    return nil, "a later one was kept here"
  end
  record = record or { seen = 0, ahead = 0, sequence = 0 }
  local now = device + record.ahead
  if now < math.max(record.seen, claims.issued) - TOLERATED_MS then
    return nil, "the clock of this device went back"
  elseif now >= claims.grace then
    return nil, "it has ended"
  elseif now >= record.seen + TOLERATED_MS and host.store then
    write_down(host, key, now, record.ahead, record.sequence)
  end
  return now
end

local function lease_in(host, key, text, kind)
  local token, at = string.match(string.sub(text, 1, MOST_STATEMENT_BYTES), "^" .. HEADING .. "([%w%._-]+)\n()")
  local claims = token and stated(token)
  if not claims then
    return nil, "it is damaged, or from another server or script"
  elseif kind and claims.kind ~= kind then
    return nil, "it is not a licence"
  elseif claims.loader ~= settings.loader_id then
    return nil, "it is for another version of this script's loader"
  elseif claims.device ~= sha256.hex(bound("moonlatch/2 device", host, key)) then
    return nil, "it is for another key or device"
  end
  local now, why = time_of(host, key, claims)
  if not now then
    return nil, why
  end
  local pad = bound("moonlatch/2 lease", host, key, string.format("%.0f", claims.issued))
  local source, run_key = unseal(string.sub(text, at), claims.payload_digest, claims.payload_key, pad, claims.run_key)
  if not source then
    return nil, "the script in it is damaged"
  end
  local variables = claims.variables
  variables.la_seconds_left = json.null
  if claims.key_expires ~= json.null then
    variables.la_seconds_left = math.ceil((claims.key_expires - now) / 1000)
  end
  return {
    claims = claims,
    variables = variables,
    build = claims.builds[1],
    has_ended = now >= claims.expires,
    run_key = run_key,
  },
    source
end

-- The lease and the payload's text, or nil, nil and what is wrong with what was kept; that is nil where nothing was.
function leases.find(host, key)
  if not host.fingerprint then
    return nil
  end
  local given, kept = leases.given(), host.recall and recall(host, name_of(key, ".txt"))
  local lease, source, why
  if kept and kept ~= "" then
    lease, source = lease_in(host, key, kept)
    why = not lease and "the lease that is kept here cannot be used: " .. source
  end
  if not lease and given then
    lease, source = lease_in(host, key, given, "licence")
    why = not lease and "the licence cannot be used: " .. source
  end
  if not lease then
    return nil, nil, why
  end
  return lease, source
end

-- Why a copy may not go on by a lease, or nil while it may.
function leases.ended(host, key, lease)
  local now, why = time_of(host, key, lease.claims)
  return not now and why or nil
end

return leases
