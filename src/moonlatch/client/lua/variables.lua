-- `la_var`: values that stay at the server until a copy asks for them, which then keeps each as long as the server says.
local server_variables = {}

-- Gives the script `la_var`, which asks once the copy is known to the server.
function server_variables.offer(host, runtime)
  local kept, forgotten = {}, 0

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
    if not questions.is_name(name) then
      error("la_var needs the name of a server variable", 2)
    end
    local found = kept[name]
    if not found or host.clock() >= found.ends then
      local before = forgotten
      local answer, text = questions.ask(runtime.instance, "variable", name)
      if not answer then
        return nil, text
      end
      found = { text = text, ends = host.clock() + answer.cache_seconds }
      -- What changed while it was on its way, may be what it says or not.
      kept[name] = before == forgotten and found or nil
    end
    -- Decoded each time, so that nobody's changes to a table are seen by others.
    return found.text and json.decode_without_nulls(found.text)
  end
end

return server_variables
