"""A master key that leaked is retired at once: what its loaders' real copies do then."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from support.developer import Developer
from support.killed import NO_LIMITS
from support.lua_host import LoaderRun
from support.rounds import IS_LONG
from support.server import MoonlatchServer

RATE = 30
"""Seconds of the copy's in one of ours."""

TOLERATED_SECONDS = 660


@pytest.mark.skipif(
    not IS_LONG, reason="takes half a minute: a copy waits for as long as it tolerates that no server answers"
)
def test_a_copy_believes_no_refusal_of_another_key_and_stops_as_without_a_server(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", NO_LIMITS)
    token = server.new_account("ann")

    def keys(*arguments: str) -> dict[str, str]:
        ended = server.cli("keys", *arguments, "--data", str(server.data), "--json")
        return dict(json.loads(ended.stdout))

    with server:
        with Developer(server.url, token) as me:
            project = me.new_project()
            script = me.new_script(project, "while true do print('runs') sleep(5) end", profile="minify")
            key = me.new_key(project)
        url = f"{server.url}/loader/{script}"
        with LoaderRun(url, key=key, engine="lua54", websocket=False, time_rate=RATE) as run:
            run.wait_line("runs")
            old = json.loads(server.cli("keys", "list", "--data", str(server.data), "--json").stdout)[0]["id"]
            keys("rotate")
            server.stop()
            server.start()
            with Developer(server.url, token) as me:
                me.post(f"/scripts/{script}/update", script="print('new')")
            keys("retire", old, "--now")
            server.stop()
            server.start()
            began = time.monotonic()
            assert run.kicked is None, "no refusal of the new key's is believed"
            assert run.wait_for("kicked", timeout_seconds=120) == "the server could not be reached for 10 minutes"
            assert time.monotonic() - began < 3 * TOLERATED_SECONDS / RATE
        with LoaderRun(url, key=key, engine="lua54") as run:
            run.wait_line("new")
