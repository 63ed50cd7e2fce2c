-- Starts the script: the last part of the loader, and the only one that runs by itself.
local function start(...)
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
  local reply, source = execute(host, key)
  if reply.heartbeat_seconds ~= json.null and not host.has_threads then
    error("this script must stay in touch with its server, which needs spawn and wait in the moonlatch_host table", 0)
  end
  local instance = instances.create(host, reply)
  local chunk, problem = host.load(source, "=" .. reply.variables.la_script_name)
  if not chunk then
    error("the script could not be loaded: " .. tostring(problem), 0)
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
  return chunk(instance.runtime.object, ...)
end

return start(...)
