-- Starts the script: the last part of the loader, and the only one that runs by itself.
local run_by_lease

-- Stays in touch with the server, which knows of this copy.
local function join(host, key, runtime, reply)
  local instance = instances.create(
    host,
    key,
    reply,
    runtime,
    leases and function()
      local lease = leases.find(host, key)
      if lease then
        lease.build = runtime.object.la_script_build
        run_by_lease(host, key, runtime, lease)
      end
      return lease
    end
  )
  runtime.instance = instance
  if reports and reply.reports then
    reports.begin(host, key, runtime, instance)
  end
  if instance.heartbeat_seconds then
    host.spawn(function()
      keep_beating(instance)
    end)
  end
  if instance.session_path and host.websocket then
    host.spawn(function()
      keep_session(instance)
    end)
  end
end

function run_by_lease(host, key, runtime, lease)
  if lease.has_ended then
    print("this script has not reached its server for long: it will soon start no more without it")
  end
  if host.has_threads then
    host.spawn(function()
      away(host, key, runtime, lease, function(reply)
        join(host, key, runtime, reply)
      end)
    end)
  end
end

local function start(...)
  hosts.check_pin()
  local host, key = hosts.find(), hosts.key()
  random.stir({
    function()
      return os.time()
    end,
    function()
      return os.clock()
    end,
    function()
      return math.random() .. " " .. math.random() .. " " .. math.random()
    end,
    random.of_jitter,
    random.of_system,
    function()
      return crypt.generatebytes(32)
    end,
    function()
      return Random.new():NextNumber()
    end,
    host.clock,
    host.random or host.clock,
  })
  host.settle(key ~= nil)
  local reply, source, lease, run_key = execute.start(host, key)
  if reply and reply.heartbeat_seconds ~= json.null and not host.has_threads then
    error("this script must stay in touch with its server, which needs spawn and wait in the moonlatch_host table", 0)
  end
  local runtime, variables = runtimes.create(host.clock), (reply or lease).variables
  -- Not one of the script's variables: what it is called with, it never sees.
  runtime.object.run_key = run_key
  server_variables.offer(host, runtime)
  remotes.offer(runtime)
  runtime.object.la_load = host.load -- for guarded functions
  local chunk, problem = host.load(source, "=" .. variables.la_script_name)
  if not chunk then
    error("the script could not be loaded: " .. tostring(problem), 0)
  end
  if reply then
    join(host, key, runtime, reply)
  else
    runtime.set(variables)
    run_by_lease(host, key, runtime, lease)
  end
  if runtime.run then
    return runtime.run(chunk, runtime.object, ...)
  end
  return chunk(runtime.object, ...)
end

return start(...)
