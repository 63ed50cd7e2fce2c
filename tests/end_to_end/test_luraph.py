"""A script that is protected elsewhere, from the upload to the customer: script and loader still do all they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.developer import Developer
from support.lua_host import LoaderRun
from support.luraph_server import API_KEY, LuraphServer, luraph_in_thread, reply
from support.server import MoonlatchServer

SCRIPT = """
local shout = LA_NO_VIRTUALIZE(function(text: string) return text:upper() end)
print(LA_ENCRYPT_STRING("hello from the script"), shout(la_script_name), la_user_note, la_executions)
la_handle("echo", function(data) return data end)
print("ready", ...)
"""


@pytest.fixture
def luraph() -> Iterator[LuraphServer]:
    with luraph_in_thread() as running:
        yield running


def test_a_script_protected_by_luraph_starts_with_its_variables_and_a_failure_costs_nothing(
    luraph: LuraphServer, tmp_path: Path
) -> None:
    server = MoonlatchServer(tmp_path / "data", {"MOONLATCH_LURAPH__BASE_URL": luraph.base_url})
    token = server.new_account("me")
    with server, Developer(server.url, token) as me:
        me.post("/account/luraph", api_key=API_KEY)
        project = me.new_project()
        me.post(f"/projects/{project}/edit", engine="luraph")
        script = me.post(f"/projects/{project}/scripts", name="Mine")["script"]["id"]

        luraph.plan("new", reply(402, {"errors": [{"param": "useTokens", "message": "No tokens."}]}))
        error = me.refused(f"/scripts/{script}/update", script=SCRIPT)
        assert error["luraph_errors"] == [{"param": "useTokens", "message": "No tokens."}]
        assert me.get("/account")["account"]["obfuscations"]["used"] == 0

        me.post(f"/scripts/{script}/update", script=SCRIPT)
        key = me.new_key(project, note="a note")
        for number, engine in enumerate(("luau", "lua51"), 1):
            loader = f"{server.url}/loader/{script}"
            with LoaderRun(loader, "one", engine=engine, key=key, fingerprint="device") as running:
                running.wait_line("ready")
                assert running.lines == [f"hello from the script\tMINE\ta note\t{number}", "ready\tone"]
        assert len(luraph.jobs) == 2
        assert API_KEY not in server.log.read_text()
        assert API_KEY.encode() not in (server.data / "moonlatch.db").read_bytes()
