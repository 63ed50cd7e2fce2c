-- The files of an executor: what keeps a text under a name, and what gives it back or nil; nothing where there are none.
local function either(source, name)
  return {
    source,
    function()
      return finding.shared(name)
    end,
  }
end

local WRITES = either(function()
  return writefile
end, "writefile")
local READS = either(function()
  return readfile
end, "readfile")
local TELLS = either(function()
  return isfile
end, "isfile")

return function()
  if not finding.first(WRITES, finding.is_callable) or not finding.first(READS, finding.is_callable) then
    return nil
  end
  local read = finding.first_working(READS, "this program reads no files")
  local function recall(name)
    local is_file = finding.first(TELLS, function(tells)
      return finding.is_callable(tells) and tells
    end)
    -- Without asking, some programs show an error for a file that is not there.
    if is_file and not is_file(name) then
      return nil
    end
    return read(name)
  end
  return finding.first_working(WRITES, "this program writes no files"), recall
end
