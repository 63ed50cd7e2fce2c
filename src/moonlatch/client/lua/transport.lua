-- One POST of JSON to the server and what came of it: "granted" and the reply, "refused" and the error's table, or
-- "unreachable" and a message; and the body that was sent, of an unreachable one whether no server is there at all: what
-- refused the request in its place has decided something, too.
local HEADERS = { ["Content-Type"] = "application/json" }

local function refusal_in(reply)
  local problem = reply.error
  if reply.success == false and type(problem) == "table" and type(problem.code) == "string" then
    return {
      code = problem.code,
      message = type(problem.message) == "string" and problem.message or problem.code,
      retry_after = tonumber(problem.retry_after),
      time = problem.time,
      -- Whether it is the installation that refused the request with this body.
      is_signed_for = function(body)
        local encoded = encode_transcript(problem)
        return encoded ~= nil and signed(reply.proof, "moonlatch/2 refusal\n" .. sha256.sha256(body) .. encoded)
      end,
    }
  end
  return nil
end

return function(host, path, fields)
  local body, problem = json.encode(fields)
  if not body then
    error("the request cannot be sent: it holds " .. problem, 0)
  end
  local ok, status, answer = attempt(host.request, "POST", settings.base_url .. path, HEADERS, body)
  if not ok or not status then
    local why = ok and answer or status
    return "unreachable", "the server could not be reached: " .. (type(why) == "string" and why or "no answer"), true
  end
  local reply = type(answer) == "string" and json.decode(answer)
  if type(reply) == "table" and reply.success == true then
    return "granted", reply, body
  end
  local refusal = type(reply) == "table" and refusal_in(reply)
  if not refusal then
    status = tonumber(status)
    return "unreachable",
      "the server could not be reached: it answered with status " .. (status or "unknown"),
      not status or status < 400 or status > 499
  elseif refusal.code == "UNAVAILABLE" then
    return "unreachable", refusal.message, true
  end
  return "refused", refusal, body
end
