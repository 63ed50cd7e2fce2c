"""`moonlatch trace`: whose copy was leaked, from a terminal."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from moonlatch.master_key import MasterKeySource
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.operations.marking import holder_of_key
from moonlatch.operations.run_keys import run_key
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
        project = developer.new_project()
        script = developer.new_script(project, JSON, profile="standard", mark_copies=True)
        leak = tmp_path / "leak.lua"
        leak.write_text(JSON)
        # The source has comparisons of the build, and the marks of nobody.
        traced = moonlatch("trace", str(leak), "--script", script)
        assert "Build 1: " in traced.out
        assert "No key agrees with it more than chance explains." in traced.out
        assert moonlatch("trace", str(leak), "--script", script, "--json").json["suspects"] == []
        user = developer.post(f"/projects/{project}/users")["users"][0]
        keyring = MasterKeySource(server.data).open()
        leak.write_text(run_key(keyring, Lock.drawn(random.Random(1)), script, holder_of_key(user["id"])).hex())
        traced = moonlatch("trace", str(leak), "--script", script)
        assert "It holds a run key; 1 keys were compared." in traced.out
        assert user["key"] in traced.out
        assert "Build" not in traced.out
        leak.write_text("local = 1")
        assert "is not a script" in moonlatch("trace", str(leak), "--script", script).err
        leak.write_bytes(b"\xff")
        assert "not UTF-8" in moonlatch("trace", str(leak), "--script", script).err
