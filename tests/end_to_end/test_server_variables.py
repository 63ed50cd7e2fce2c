"""`la_var`, with nothing replaced: a real server process, a script uploaded over HTTP, the real loader in real Luau and Lua."""

from __future__ import annotations

import pytest

from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.server import MoonlatchServer

ENGINES = ("luau", "lua51", "luajit", "lua54")

SCRIPT = """
local function show(...)
  print("read", ...)
end
show("text", la_var("text"))
show("none", la_var("none"))
show("flag", la_var("flag"))
local config = la_var("config")
show("config", config.rare, config.names[2], config.none)
config.rare = 7
show("again", la_var("config").rare)
show("long", #la_var("long"))
print(select(2, pcall(function() la_var("not a name") end)))
la_handle("read", function(data)
  local value, problem = la_var(data.name)
  return { value = value, problem = problem }
end)
print("ready")
"""

POLLING = """
local last
print("start", la_var("text"))
while true do
  local value, problem = la_var("text")
  local now = tostring(value) .. " " .. tostring(problem)
  if now ~= last then
    last = now
    print("now", now)
  end
  moonlatch_host.wait(0.2)
end
"""


def run(server: MoonlatchServer, script: str, **options: object) -> LoaderRun:
    return LoaderRun(f"{server.url}/loader/{script}", **options)  # type: ignore[arg-type]


def put(developer: Developer, owner: str, name: str, value: object, cache_seconds: int = 3_600) -> str:
    body = {"name": name, "value": value, "cache_seconds": cache_seconds}
    made: str = developer.post(f"/{owner}/variables", **body)["variable"]["id"]
    return made


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_reads_what_its_seller_keeps_and_hears_of_changes(
    server: MoonlatchServer, developer: Developer, project: str, engine: str
) -> None:
    script, key = developer.new_script(project, SCRIPT), developer.new_key(project)
    owner = f"projects/{project}"
    put(developer, owner, "text", 'snow \u2603, \U0001f600 and "quotes"\n')
    put(developer, owner, "flag", False)
    put(developer, owner, "config", {"rare": 0.02, "names": ["a", "b"], "none": None})
    put(developer, owner, "long", "x" * 8_190)
    with run(server, script, engine=engine, key=key) as running:
        running.wait_line("ready")
        assert running.lines[0].startswith('read\ttext\tsnow \u2603, \U0001f600 and "quotes"')
        shown = [line for line in running.lines if line.startswith("read\t") and "text" not in line]
        assert shown == [
            "read\tnone\tnil",
            "read\tflag\tfalse",
            "read\tconfig\t0.02\tb\tnil",
            "read\tagain\t0.02",
            "read\tlong\t8190",
        ]
        assert any("la_var needs the name of a server variable" in line for line in running.lines)
        session = eventually(lambda: developer.sessions(script), 20)[0]["id"]

        def read(name: str) -> object:
            reply = developer.post(f"/sessions/{session}/message", key="read", data={"name": name})
            return reply["response"].get("value") if reply["processed"] else reply

        assert read("text") == 'snow \u2603, \U0001f600 and "quotes"\n'
        put(developer, f"scripts/{script}", "text", "of the script")
        eventually(lambda: read("text") == "of the script", 20)
        own = put(developer, f"users/{key}", "text", "of the key")
        eventually(lambda: read("text") == "of the key", 20)
        developer.post(f"/variables/{own}/remove")
        eventually(lambda: read("text") == "of the script", 20)


def test_a_copy_without_a_session_asks_again_when_its_time_is_over_until_it_is_refused(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script, key = developer.new_script(project, POLLING), developer.new_key(project)
    put(developer, f"projects/{project}", "text", "one", cache_seconds=1)
    with run(server, script, engine="lua51", key=key, websocket="no") as running:
        running.wait_line("now\tone")
        put(developer, f"projects/{project}", "text", "two", cache_seconds=1)
        running.wait_line("now\ttwo")
        developer.post(f"/users/{key}/blacklist", reason="shared")
        assert running.wait_line("now\tnil")
        assert "two" not in running.lines[-1]
