"""Roblox and an executor for the test host: their globals and objects, made of its own parts."""

ROBLOX = """
local outside = moonlatch_host
moonlatch_host = nil
local function send(options)
  assert(options.Headers["Content-Type"] == "application/json")
  local status, body = outside.request(options.Method, options.Url, options.Headers, options.Body)
  if not status then
    error(body)
  end
  return { StatusCode = status, Body = body, Success = status < 400 }
end
local services = {
  HttpService = {
    RequestAsync = function(self, options) return send(options) end,
    GenerateGUID = function(self, braces) return "guid" end,
  },
  Players = {},
}
game = {
  PlaceId = 606849621,
  JobId = "job-1",
  GetService = function(self, name) return assert(services[name], "no such service") end,
}
task = { spawn = outside.spawn, wait = outside.wait }
"""

EXECUTOR = """
services.Players.LocalPlayer = {
  UserId = 10234711811,
  Kick = function(self, reason) outside.kick(reason) end,
}
request = send
gethwid = function() return "hwid-1" end
identifyexecutor = function() return "Fake executor", "1.2.3" end
WebSocket = {
  connect = function(url)
    local listeners = {}
    local function signal(name)
      return { Connect = function(self, listener) listeners[name] = listener end }
    end
    local inner = outside.websocket(url, function(text) listeners.message(text) end, function(...) listeners.close(...) end)
    return {
      OnMessage = signal("message"),
      OnClose = signal("close"),
      Send = function(self, text) inner.send(text) end,
      Close = function(self) inner.close() end,
    }
  end,
}
"""
