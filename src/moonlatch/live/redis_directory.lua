-- Who is connected, for all processes together. Takes many operations in one call and does them in order, each whole.
-- ARGV: the key prefix, and the operations as MessagePack: [[name, argument...], ...]. Gives one reply per operation.
-- Knows no clock but the one it is given (rate limits and processes' leases: Redis' own), and nothing that would be missed.

local prefix = ARGV[1]
local SESSIONS = prefix .. "sessions" -- hash: session id -> its record
local INSTANCES = prefix .. "instances" -- hash: instance id -> its record
local LEASES = prefix .. "leases" -- sorted set: instance id by the end of its lease
local HOLDERS = prefix .. "holders" -- hash: instance id -> id of its open session
local PROCESSES = prefix .. "processes" -- set of names
local CHANGES = prefix .. "changes" -- stream that every process reads

local LAYOUT = "2" -- of what is kept under the prefix
local HELD = 4503599627370496 -- the lease of an instance whose session is open: ends with the session
local KEPT_NONCES = 8
local KEPT_CHANGES = 10000
local KEPT_ENTRIES = 100000
local INBOX_MS = 120000
local SUPERSEDED_MS = 900000
local ENDED_MS = 1200000 -- longer than any lease
local EARLIEST_MOMENT = 100000000000 -- a sequence from here on is a time; others count from 1
local KEPT_MOMENTS_MS = 150000
local KEPT_EARLY = 10000 -- moments that have not come yet; beyond, the oldest are forgotten
local EARLY = prefix .. "early" -- list of their names
local EARLY_MS = 172800000
local SINCE = prefix .. "since" -- what was taken before this time may be forgotten
local AHEAD_MS = 2000 -- so much later than it was made a beat, session or call may say that it is
local START_AHEAD_MS = 10000 -- and a start
local SLICE = 500

-- Fields of a session's record, and of an instance's.
local PROCESS, INSTANCE, SCRIPT, PROJECT, USER, ROBLOX, PLACE, JOB, CREATED = 1, 2, 3, 4, 5, 6, 7, 8, 9
local I_SCRIPT, I_USER, I_SEQUENCE, I_DUE, I_NONCES, I_PROJECT, I_BUILD, I_STARTED, I_DEVICE = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- Only of instances whose places may outlast their leases: until when the place lasts, and the end of the lease.
local I_PLACE, I_LEASE = 10, 11

local call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack

local since = tonumber(call("GET", SINCE) or nil) -- nothing where it was emptied, and no process has begun anew

local function process_key(process)
  return prefix .. "process:" .. process
end

local function sessions_of(process)
  return process_key(process) .. ":sessions"
end

-- Streams outlive a reconnect, after which the same process goes by another name: `who.number`.
local function inbox_of(process)
  return prefix .. "inbox:" .. string.match(process, "^[^.]*")
end

local function is_up(process)
  return call("EXISTS", process_key(process)) == 1
end

local function tell(process, kind, ...)
  local inbox = inbox_of(process)
  call("XADD", inbox, "MAXLEN", "~", KEPT_ENTRIES, "*", "kind", kind, ...)
  call("PEXPIRE", inbox, INBOX_MS)
end

-- Instances.

local function is_alive(id, now)
  local lease = call("ZSCORE", LEASES, id)
  return lease and tonumber(lease) > now
end

local function copies_of(user)
  return prefix .. "user:" .. user
end

-- The same copies by their age, but for those that are hearsay.
local function ages_of(user)
  return prefix .. "ages:" .. user
end

-- A script's copies by when they started, for lists that stay in order.
local function started_of(script)
  return prefix .. "started:" .. script
end

local function instance_indexes(record)
  local names = { LEASES, prefix .. "instances:" .. record[I_SCRIPT] }
  if record[I_USER] then
    names[3] = copies_of(record[I_USER])
  end
  return names
end

local function note(id, record, lease)
  if record[I_PLACE] then
    record[I_LEASE] = lease
    lease = math.max(lease, record[I_PLACE])
  end
  if call("HSET", INSTANCES, id, pack(record)) == 1 then -- nobody knew it
    call("ZADD", started_of(record[I_SCRIPT]), record[I_STARTED], id)
  end
  for _, index in ipairs(instance_indexes(record)) do
    call("ZADD", index, lease, id)
  end
end

local function keep(id, record, lease)
  note(id, record, lease)
  if record[I_USER] then
    call("ZADD", ages_of(record[I_USER]), record[I_STARTED], id)
  end
end

-- The latest moment that was used of an instance that is not known.
local function used_key(id)
  return prefix .. "used:" .. id
end

-- Also of one whose lease has ended and that nobody has cleared away yet.
local function used_by(id)
  local packed = call("HGET", INSTANCES, id)
  local moment = packed and unpacked(packed)[I_SEQUENCE] or 0
  return math.max(moment >= EARLIEST_MOMENT and moment or 0, tonumber(call("GET", used_key(id)) or 0))
end

local function early_key(id, moment)
  return prefix .. "early:" .. id .. "@" .. string.format("%.0f", moment)
end

-- Whoever calls may name as many moments to come as they like, and each would stay for a day.
local function keep_early(name, value, milliseconds)
  call("SET", name, value, "PX", milliseconds)
  if call("RPUSH", EARLY, name) > KEPT_EARLY then
    call("DEL", call("LPOP", EARLY))
  end
  call("PEXPIRE", EARLY, EARLY_MS)
end

-- Whether it may have been taken before this memory began. Whoever asks has looked, but another process may just have begun it anew.
local function is_before(moment, ahead_ms)
  return moment >= EARLIEST_MOMENT and moment <= since + ahead_ms
end

-- Whether this moment of an instance was used, or was refused because it had not come yet. Numbers below are no moments.
local function was_used(id, record, moment)
  return moment <= (record and record[I_SEQUENCE] or used_by(id))
    or is_before(moment, AHEAD_MS)
    or (moment >= EARLIEST_MOMENT and call("EXISTS", early_key(id, moment)) == 1)
end

local function remember_used(id, moment, milliseconds)
  if moment >= EARLIEST_MOMENT and milliseconds > 0 then
    local latest = string.format("%.0f", math.max(moment, used_by(id)))
    if milliseconds > KEPT_MOMENTS_MS then
      keep_early(used_key(id), latest, milliseconds)
    else
      call("SET", used_key(id), latest, "PX", milliseconds)
    end
  end
end

local function forget(id)
  local packed = call("HGET", INSTANCES, id)
  if packed then
    local record = unpacked(packed)
    remember_used(id, record[I_SEQUENCE], KEPT_MOMENTS_MS)
    call("HDEL", INSTANCES, id)
    call("ZREM", started_of(record[I_SCRIPT]), id)
    for _, index in ipairs(instance_indexes(record)) do
      call("ZREM", index, id)
    end
    if record[I_USER] then
      call("ZREM", ages_of(record[I_USER]), id)
    end
  end
end

local function forget_silent(index, now)
  local silent = call("ZRANGEBYSCORE", index, "-inf", string.format("%.0f", now), "LIMIT", 0, SLICE)
  for _, id in ipairs(silent) do
    forget(id)
  end
  return #silent == SLICE
end

local function known(id, now)
  local packed = is_alive(id, now) and call("HGET", INSTANCES, id)
  return packed and unpacked(packed)
end

local function behind(time)
  return "(" .. string.format("%.0f", time)
end

local function alive_in(index, now)
  return call("ZCOUNT", index, behind(now), "+inf")
end

-- A user's places.

local function superseded_key(id)
  return prefix .. "superseded:" .. id
end

-- An instance that nobody knew is back.
local function welcome(id)
  call("DEL", superseded_key(id))
end

-- Whether an instance may be one of the `limit` copies of its key: one of the oldest, or a new one while there is room.
local function has_place(id, record, alive, limit, now)
  local user = record[I_USER]
  if not (limit and user) then
    return true
  end
  local count = alive_in(copies_of(user), now)
  if count < limit or not alive or count == limit then
    return count < limit or alive
  end
  while forget_silent(copies_of(user), now) do
  end
  call("ZADD", ages_of(user), record[I_STARTED], id) -- whoever asks is no hearsay any more
  return call("ZRANK", ages_of(user), id) < limit
end

-- Whether an instance was ended for good. Another process may have judged it by the facts of before, or remember it still.
local function was_ended(id)
  return call("EXISTS", prefix .. "ended:" .. id) == 1
end

local function why_no_place(id)
  return call("EXISTS", superseded_key(id)) == 1 and "superseded" or "full"
end

-- Copies whose places a start may take, those first whose leases end first: started on the same device from the same script,
-- and not connected, which is that their lease ends by `unheard`. Without beats only a lost session shows that, or a lease
-- that is over.
local function replaceable(record, number, now, unheard, beats)
  local found = {}
  if not record[I_DEVICE] then
    return found
  end
  local function look_at(first, last)
    local copies = call("ZRANGEBYSCORE", copies_of(record[I_USER]), first, last, "WITHSCORES", "LIMIT", 0, SLICE)
    for position = 1, #copies, 2 do
      local id = copies[position]
      local packed = call("HGET", INSTANCES, id)
      local one = packed and unpacked(packed)
      local lease = one and one[I_LEASE] or tonumber(copies[position + 1])
      if
        one
        and one[I_DEVICE] == record[I_DEVICE]
        and one[I_SCRIPT] == record[I_SCRIPT]
        and lease <= unheard
        and (beats or one[I_NONCES] ~= "" or lease <= now)
      then
        found[#found + 1] = { id = id, lease = lease }
      end
    end
  end
  look_at(behind(now), string.format("%.0f", unheard))
  if #found < number then
    look_at(behind(unheard), behind(HELD)) -- places that outlast their leases
  end
  table.sort(found, function(one, other)
    return one.lease < other.lease or (one.lease == other.lease and one.id < other.id)
  end)
  local ids = {}
  for position = 1, math.min(number, #found) do
    ids[position] = found[position].id
  end
  return ids
end

-- Sessions.

local function session_indexes(record)
  local all = prefix .. "sessions:" .. record[SCRIPT]
  local names = { all }
  for suffix, value in pairs({ user = record[USER], roblox = record[ROBLOX], place = record[PLACE], job = record[JOB] }) do
    if value then
      names[#names + 1] = all .. ":" .. suffix .. ":" .. (type(value) == "number" and string.format("%.0f", value) or value)
    end
  end
  return names
end

local function add_session(id, record)
  call("HSET", SESSIONS, id, pack(record))
  call("SADD", sessions_of(record[PROCESS]), id)
  call("HSET", HOLDERS, record[INSTANCE], id)
  for _, index in ipairs(session_indexes(record)) do
    call("ZADD", index, record[CREATED], id)
  end
end

local function drop_session(id, record)
  call("HDEL", SESSIONS, id)
  call("SREM", sessions_of(record[PROCESS]), id)
  if call("HGET", HOLDERS, record[INSTANCE]) == id then
    call("HDEL", HOLDERS, record[INSTANCE])
  end
  for _, index in ipairs(session_indexes(record)) do
    call("ZREM", index, id)
  end
end

local function session(id)
  local packed = call("HGET", SESSIONS, id)
  return packed and unpacked(packed)
end

-- The session is gone, its instance may come back for a while.
local function let_go(id, record, lease, due)
  drop_session(id, record)
  local packed = call("HGET", INSTANCES, record[INSTANCE])
  if packed and not call("HGET", HOLDERS, record[INSTANCE]) then
    local instance = unpacked(packed)
    instance[I_DUE] = due
    keep(record[INSTANCE], instance, lease)
  end
end

local operations = {}

function operations.find(id, now)
  local record = is_alive(id, now) and call("HGET", INSTANCES, id)
  return record or false
end

function operations.count_user(user, now)
  return alive_in(copies_of(user), now)
end

function operations.counts(script, now)
  return { call("ZCARD", prefix .. "sessions:" .. script), alive_in(prefix .. "instances:" .. script, now) }
end

-- Gives the ids of those whose places it took; for a start of before this memory, since when that is.
function operations.claim(id, record, limit, lease, now, unheard, beats, place, moment)
  if is_alive(id, now) or used_by(id) > 0 then
    return "alive"
  end
  if is_before(moment, START_AHEAD_MS) then
    return since
  end
  local replaced = {}
  if record[I_USER] and limit then
    local lacking = alive_in(copies_of(record[I_USER]), now) - limit + 1
    if lacking > 0 then
      replaced = replaceable(record, lacking, now, unheard, beats)
      if #replaced < lacking then
        return "full"
      end
    end
  end
  for _, other in ipairs(replaced) do
    forget(other)
    call("SET", superseded_key(other), "1", "PX", SUPERSEDED_MS)
  end
  if place and record[I_USER] and limit then
    record[I_PLACE] = place
  end
  keep(id, record, lease)
  return replaced
end

-- Whether an instance that is alive is among the `limit` oldest of its key; one that is not known will be announced.
function operations.keeps_place(id, limit, now)
  local record = known(id, now)
  return (not record or has_place(id, record, true, limit, now)) and 1 or 0
end

-- Nothing of an instance that was made by this moment is taken any more.
function operations.spend(id, moment, now, milliseconds)
  local record = known(id, now)
  if not record then
    remember_used(id, moment, milliseconds)
  elseif moment > record[I_SEQUENCE] then
    record[I_SEQUENCE] = moment
    call("HSET", INSTANCES, id, pack(record))
  end
end

function operations.spend_early(id, moment, milliseconds)
  keep_early(early_key(id, moment), "1", milliseconds)
end

-- Whether this moment is taken for the first time, with no word about others of the copy.
function operations.take_moment(id, moment, milliseconds)
  local name = prefix .. "taken:" .. id .. "@" .. string.format("%.0f", moment)
  local is_new = not is_before(moment, AHEAD_MS)
    and call("EXISTS", early_key(id, moment)) == 0
    and call("SET", name, "1", "NX", "PX", milliseconds)
  return is_new and 1 or 0
end

function operations.release(id)
  if not call("HGET", HOLDERS, id) then -- a session that stands is its process' to end
    forget(id)
  end
end

-- `due` is when the instance must have a session, if it is now that it comes to lack a required one.
function operations.beat(id, given, sequence, required, due, lease, limit, now)
  local record = known(id, now)
  if was_used(id, record, sequence) then
    return "repeated"
  end
  if not record and was_ended(id) then
    return "ended"
  end
  local holder = call("HGET", HOLDERS, id)
  if not has_place(id, record or given, record, limit, now) then
    if not holder then -- a session that stands is its process' to end
      forget(id)
    end
    return why_no_place(id)
  end
  if not record then
    welcome(id)
    record = given
  end
  record[I_SEQUENCE] = sequence
  if holder or not required then
    record[I_DUE] = false
  elseif not record[I_DUE] then
    record[I_DUE] = due
  end
  keep(id, record, holder and HELD or lease)
  return "taken"
end

function operations.join(id, record, given, nonce, limit, now, moment)
  local alive = known(record[INSTANCE], now)
  local instance = alive or given
  if moment > 0 and was_used(record[INSTANCE], alive, moment) then
    return "used"
  end
  local nonces = {}
  for used in string.gmatch(instance[I_NONCES], "[^,]+") do
    if used == nonce then
      return "used"
    end
    nonces[#nonces + 1] = used
  end
  local old = call("HGET", HOLDERS, record[INSTANCE])
  local before = old and session(old)
  if before then
    drop_session(old, before)
    if before[PROCESS] ~= record[PROCESS] then
      tell(before[PROCESS], "over", "session", old)
    end
  end
  if not has_place(record[INSTANCE], instance, alive, limit, now) then
    forget(record[INSTANCE])
    return why_no_place(record[INSTANCE])
  end
  if not alive then
    welcome(record[INSTANCE])
  end
  nonces[#nonces + 1] = nonce
  instance[I_NONCES] = table.concat(nonces, ",", math.max(1, #nonces - KEPT_NONCES + 1))
  instance[I_DUE] = false
  instance[I_SEQUENCE] = math.max(instance[I_SEQUENCE], moment)
  keep(record[INSTANCE], instance, HELD)
  add_session(id, record)
  return "joined"
end

function operations.leave(id, process, lease, due)
  local record = session(id)
  if record and record[PROCESS] == process then
    let_go(id, record, lease, due)
  end
end

-- The instance is over, whoever holds its session; a process that is not the one that says so hears of it.
function operations.stop(id, process)
  local record = session(id)
  if not record then
    return 0
  end
  drop_session(id, record)
  forget(record[INSTANCE])
  if record[PROCESS] ~= process then
    tell(record[PROCESS], "stop", "instance", record[INSTANCE])
  end
  return 1
end

-- As `stop`, for an instance that may have no session, and will not be let go on any more.
function operations.stop_copy(id, process)
  call("SET", prefix .. "ended:" .. id, "1", "PX", ENDED_MS)
  local holder = call("HGET", HOLDERS, id)
  if holder then
    return operations.stop(holder, process)
  end
  forget(id)
  return 1
end

function operations.copies_of_key(user)
  return call("ZRANGE", copies_of(user), 0, -1)
end

-- A page of a script's copies with their records and sessions, the oldest first.
function operations.copies(script, offset, limit, now)
  while forget_silent(prefix .. "instances:" .. script, now) do
  end
  local ids = call("ZRANGE", started_of(script), offset, offset + limit - 1)
  if #ids == 0 then
    return { {}, {}, {} }
  end
  return { ids, call("HMGET", INSTANCES, unpack(ids)), call("HMGET", HOLDERS, unpack(ids)) }
end

-- Say again what is connected, after Redis was away; of two sessions of one instance the newer one stands.
function operations.announce(id, record, given, now)
  local old = call("HGET", HOLDERS, record[INSTANCE])
  local before = old and old ~= id and session(old)
  if before then
    if before[CREATED] > record[CREATED] then
      return 0
    end
    drop_session(old, before)
    tell(before[PROCESS], "over", "session", old)
  end
  local same = session(id)
  if same then
    drop_session(id, same)
  end
  keep(record[INSTANCE], known(record[INSTANCE], now) or given, HELD)
  add_session(id, record)
  return 1
end

-- What a process remembers of instances that beat. Others may have seen them end, so one that is not known is hearsay until
-- it beats again: it takes places from starts, but from nobody who runs.
function operations.remind(id, record, lease)
  local now_kept = call("ZSCORE", LEASES, id)
  local is_over = call("EXISTS", superseded_key(id)) == 1 or was_ended(id)
  if not (now_kept and tonumber(now_kept) >= lease) and not is_over then
    note(id, record, lease)
  end
end

function operations.session(id)
  return call("HGET", SESSIONS, id)
end

function operations.list(script, suffixes, offset, limit)
  local all = prefix .. "sessions:" .. script
  local indexes = {}
  for number, suffix in ipairs(suffixes) do
    indexes[number] = all .. ":" .. suffix
  end
  if #indexes == 0 then
    indexes[1] = all
  end
  local ids = {}
  if #indexes == 1 then
    ids = call("ZRANGE", indexes[1], offset, offset + limit - 1)
  else
    table.sort(indexes, function(one, other)
      return call("ZCARD", one) < call("ZCARD", other)
    end)
    local fitting, start = 0, 0
    repeat
      local slice = call("ZRANGE", indexes[1], start, start + SLICE - 1)
      for _, id in ipairs(slice) do
        local fits = true
        for number = 2, #indexes do
          fits = fits and call("ZSCORE", indexes[number], id)
        end
        if fits then
          fitting = fitting + 1
          if fitting > offset and #ids < limit then
            ids[#ids + 1] = id
          end
        end
      end
      start = start + SLICE
    until #slice < SLICE or #ids >= limit
  end
  if #ids == 0 then
    return { {}, {} }
  end
  return { ids, call("HMGET", SESSIONS, unpack(ids)) }
end

-- Ask the processes that hold these sessions to call a handler; gives each session's process, or nothing.
function operations.call(caller, first, ids, body)
  local processes, told = {}, {}
  for position, id in ipairs(ids) do
    local record = session(id)
    local process = record and is_up(record[PROCESS]) and record[PROCESS]
    processes[position] = process or false
    if process then
      told[process] = told[process] or {}
      table.insert(told[process], { first + position - 1, id })
    end
  end
  for process, calls in pairs(told) do
    tell(process, "call", "caller", caller, "calls", pack(calls), "body", body)
  end
  return processes
end

function operations.reply(caller, body)
  tell(caller, "reply", "body", body)
end

function operations.change(origin, kind, id)
  call("XADD", CHANGES, "MAXLEN", "~", KEPT_CHANGES, "*", "origin", origin, "kind", kind, "id", id)
end

-- Processes.

-- What an earlier version of the program left is of no use, and named users by their keys.
local function make_room_for_layout()
  if call("GET", prefix .. "layout") == LAYOUT then
    return
  end
  if call("EXISTS", SESSIONS, INSTANCES, LEASES, PROCESSES, CHANGES) > 0 then
    local pattern = string.gsub(prefix, "[%*%?%[%]\\]", "\\%0") .. "*"
    for _, name in ipairs(call("KEYS", pattern)) do
      call("DEL", name)
    end
    since = nil
  end
  call("SET", prefix .. "layout", LAYOUT)
end

-- What was taken before this time may be unknown here: the directory is new, or a process was apart from it.
local function remember_from(now, apart)
  if not since or (apart and now > since) then
    since = now
    call("SET", SINCE, string.format("%.0f", since))
  end
  return since
end

-- Begin under this name; gives the ids of the last entries of both streams, and since when everything is remembered.
function operations.register(process, milliseconds, now, apart)
  make_room_for_layout()
  call("SET", process_key(process), "1", "PX", milliseconds)
  call("SADD", PROCESSES, process)
  local last = {}
  for position, stream in ipairs({ inbox_of(process), CHANGES }) do
    local entry = call("XREVRANGE", stream, "+", "-", "COUNT", 1)[1]
    last[position] = entry and entry[1] or "0-0"
  end
  last[3] = remember_from(now, apart)
  return last
end

function operations.resign(process)
  call("DEL", process_key(process))
end

-- Stay registered, and clear away what is over: read entries, silent instances, and a slice of what dead processes held.
-- Gives whether the process was still registered, whether there is more to clear, who is up, and since when everything is
-- remembered.
function operations.tick(process, milliseconds, read, now, lease, due)
  call("XTRIM", inbox_of(process), "MINID", read)
  local registered = call("SET", process_key(process), "1", "PX", milliseconds, "XX")
  local more = 0
  local more_silent = forget_silent(LEASES, now)
  local up = {}
  for _, name in ipairs(call("SMEMBERS", PROCESSES)) do
    if is_up(name) then
      up[#up + 1] = name
    else
      local left = call("SPOP", sessions_of(name), SLICE)
      for _, id in ipairs(left) do
        local record = session(id)
        if record and record[PROCESS] == name then
          let_go(id, record, lease, due)
        end
      end
      if #left == SLICE then
        more = 1
      else
        call("SREM", PROCESSES, name)
      end
    end
  end
  return { registered and 1 or 0, more_silent and 1 or more, up, remember_from(now, false) }
end

-- One of many does what need not be done by all: true for the first who asks within that time.
function operations.turn(name, milliseconds)
  return call("SET", prefix .. "turn:" .. name, "1", "PX", milliseconds, "NX") and 1 or 0
end

-- The generic cell rate algorithm: one time per name, at which its bucket will be full again.
function operations.take(name, per_second, burst)
  local time = call("TIME")
  local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
  local interval = 1000 / per_second
  local key = prefix .. "rate:" .. name
  local full_at = math.max(tonumber(call("GET", key) or 0), now)
  local wait = full_at + interval - interval * burst - now
  if wait > 0.001 then
    return { 0, 0, math.ceil(full_at - now), math.ceil(wait) }
  end
  full_at = full_at + interval
  call("SET", key, string.format("%.3f", full_at), "PX", math.ceil(full_at - now) + 1)
  return { 1, math.floor(burst - (full_at - now) / interval + 0.001), math.ceil(full_at - now), 0 }
end

local NEEDS_NO_MEMORY = { register = true, resign = true, take = true, turn = true }

local asked = unpacked(ARGV[2])
for _, operation in ipairs(asked) do
  if not since and not NEEDS_NO_MEMORY[operation[1]] then
    return redis.error_reply("EMPTIED nothing is remembered")
  end
end

local replies = {}
for number, operation in ipairs(asked) do
  local name = table.remove(operation, 1)
  local ok, reply = pcall(operations[name], unpack(operation))
  if not ok then
    reply = redis.error_reply(name .. ": " .. (type(reply) == "table" and reply.err or tostring(reply)))
  end
  replies[number] = reply == nil and 0 or reply
end
return replies
