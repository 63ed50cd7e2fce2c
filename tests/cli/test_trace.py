"""`moonlatch trace`: whose copy was leaked, from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Command
from support.developer import Developer
from support.protecting import LUA51_PROGRAMS
from support.server import MoonlatchServer

JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua").read_text()


def test_a_leak_is_traced_as_far_as_it_can_be(
    moonlatch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MoonlatchServer(tmp_path / "data")
    token = server.new_account("owner")
    with server, Developer(server.url, token) as developer:
        monkeypatch.setenv("MOONLATCH_TOKEN", token)
        monkeypatch.setenv("MOONLATCH_URL", server.url)
        script = developer.new_script(developer.new_project(), JSON, profile="standard", mark_copies=True)
        leak = tmp_path / "leak.lua"
        leak.write_text(JSON)
        # The source has comparisons of the build, and the marks of nobody.
        traced = moonlatch("trace", str(leak), "--script", script)
        assert "Build 1: " in traced.out
        assert "No key agrees with it more than chance explains." in traced.out
        assert moonlatch("trace", str(leak), "--script", script, "--json").json["suspects"] == []
        leak.write_text("local = 1")
        assert "is not a script" in moonlatch("trace", str(leak), "--script", script).err
        leak.write_bytes(b"\xff")
        assert "not UTF-8" in moonlatch("trace", str(leak), "--script", script).err
