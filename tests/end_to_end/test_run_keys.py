"""Run keys with nothing replaced: a real server, updates over HTTP, the real loader in real interpreters, and what can be captured of it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from moonlatch.client.loader_source import lua_string
from support.developer import Developer
from support.lua_host import LoaderRun, LuaRun
from support.server import MoonlatchServer

ENGINES = ("luau", "lua51", "luajit", "lua54")
SCRIPT = 'print("secret business", la_user_note, ...) return "done"'
REFUSAL = "this script runs only with its own loader and key"
CAPTURING = """
local load = moonlatch_host.load or loadstring
local function hex(text)
  return (string.gsub(text, ".", function(character) return string.format("%%02x", string.byte(character)) end))
end
moonlatch_host.load = function(text, name)
  local chunk, problem = load(text, name)
  if name ~= "=Script" then
    return chunk, problem
  end
  print("text " .. hex(text))
  return function(runtime, ...)
    print("run key " .. hex(runtime.run_key))
    return chunk(runtime, ...)
  end
end
script_key = "%s"
return assert(loadstring(http_get("%s"), "=loader"))(...)
"""
"""A hook of three lines sees everything that a start needs."""


def captured(server: MoonlatchServer, script: str, key: str, engine: str = "luau") -> tuple[bytes, bytes]:
    """The text and the run key that a customer's start is given."""
    text = CAPTURING % (key, f"{server.url}/loader/{script}")
    settings = {"fingerprint": f"device of {key}", "executor": "Test host"}
    with LuaRun(text, engine=engine, settings=settings) as run:
        run.wait_line("secret business")
        found = {kind: run.wait_line(f"^{kind} ").removeprefix(f"{kind} ") for kind in ("text", "run key")}
    return bytes.fromhex(found["text"]), bytes.fromhex(found["run key"])


def called(text: bytes, run_key: bytes | None, engine: str) -> tuple[list[str], str | None]:
    """What the text prints and raises when it is called as loaders do."""
    field = "" if run_key is None else f"run_key = {lua_string(run_key)}"
    call = f"return assert(loadstring({lua_string(text)}, '=captured'))({{ {field} }}, 1)"
    with LuaRun(call, engine=engine) as run:
        run.finish()
        return run.lines, run.raised


@pytest.mark.parametrize("profile", ["standard", "maximum"])
def test_a_captured_text_alone_does_nothing_and_with_a_run_key_what_it_should(
    server: MoonlatchServer, developer: Developer, project: str, profile: str
) -> None:
    script = developer.new_script(project, SCRIPT, profile=profile)
    for engine in ENGINES:
        key = developer.new_key(project, note="a note")
        with LoaderRun(f"{server.url}/loader/{script}", "one", engine=engine, key=key) as run:
            assert run.wait_for("returned") == "done"
            assert run.lines == ["secret business\ta note\tone"]
    text, run_key = captured(server, script, developer.new_key(project))
    assert len(run_key) == 32
    developer.post(f"/scripts/{script}/update", script=SCRIPT)
    _, of_other_build = captured(server, script, developer.new_key(project))
    for engine in ENGINES:
        assert called(text, None, engine) == ([], REFUSAL)
        assert called(text, of_other_build, engine) == ([], REFUSAL)
        assert called(text, run_key, engine) == (["secret business\tnil\t1"], None)


@pytest.mark.parametrize("marks", [False, True])
def test_all_keys_share_a_text_that_each_opens_with_a_run_key_of_its_own(
    server: MoonlatchServer, developer: Developer, project: str, marks: bool
) -> None:
    script = developer.new_script(project, SCRIPT, profile="standard", mark_copies=marks)
    keys = [developer.new_key(project) for _ in range(2)]
    copies = [captured(server, script, key, "luajit") for key in [*keys, keys[0]]]
    assert copies[0] == copies[2]
    assert copies[0][1] != copies[1][1]
    assert (copies[0][0] == copies[1][0]) is not marks


def test_a_plain_profile_needs_none(server: MoonlatchServer, developer: Developer, project: str) -> None:
    script, key = developer.new_script(project, SCRIPT, profile="light"), developer.new_key(project)
    with LoaderRun(f"{server.url}/loader/{script}", engine="lua51", key=key) as run:
        assert run.wait_for("returned") == "done"


def test_leases_and_licences_carry_it(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data")
    token = server.new_account("offline")
    device = {"fingerprint": "Test device", "executor": "Test host"}
    with server as running, Developer(running.url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, SCRIPT, profile="standard", offline_days=7)
        key = developer.new_key(project, note="a note")
        user = developer.get(f"/projects/{project}/users")["users"][0]["id"]
        loader = httpx.get(url := f"{running.url}/loader/{script}").content
        given = developer.post(f"/users/{user}/licence", script_id=script, device="Test device")["licence"]
        for engine in ENGINES:
            (tmp_path / engine).mkdir()
            with LoaderRun(url, engine=engine, key=key, files=tmp_path / engine, loader=loader) as run:
                run.wait_for("returned")
    for engine in ENGINES:
        with LoaderRun(url, engine=engine, key=key, files=tmp_path / engine, loader=loader, time_rate=20) as run:
            run.wait_for("returned")
            assert run.lines == ["secret business\ta note"]
        program = f'script_key = "{key}"\n{given["program"]}'
        with LuaRun(program, engine=engine, settings={**device, "http": "no", "keeps": "no"}) as run:
            run.wait_for("returned")
            assert run.lines == ["secret business\ta note"]
