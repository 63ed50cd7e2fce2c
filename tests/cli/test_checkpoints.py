"""`moonlatch checkpoints`: what there is and how it goes, from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Command
from support.developer import Developer
from support.server import MoonlatchServer


def test_a_checkpoint_is_listed_shown_and_switched(
    moonlatch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MoonlatchServer(tmp_path / "data")
    token = server.new_account("owner")
    with server, Developer(server.url, token) as developer:
        monkeypatch.setenv("MOONLATCH_TOKEN", token)
        monkeypatch.setenv("MOONLATCH_URL", server.url)
        new = {"project_id": developer.new_project(), "name": "Free keys", "slug": "free-keys"}
        system = developer.post("/ads/systems/new", **new)["system_id"]
        gate = {"url": "https://gate.example/in"}
        step = developer.post(f"/ads/systems/{system}/steps", provider="custom", settings=gate)["step"]["id"]
        assert [each["id"] for each in moonlatch("checkpoints", "list", "--json").json] == [system]
        listed = moonlatch("checkpoints", "list").out
        assert "Free keys" in listed
        assert "24 h" in listed
        shown = moonlatch("checkpoints", "show", system)
        assert "0 keys in the last 24 hours" in shown.out
        assert step in shown.out
        moonlatch("checkpoints", "disable", system)
        assert moonlatch("checkpoints", "show", system, "--json").json["system"]["enabled"] is False
        moonlatch("checkpoints", "enable", system)
        assert moonlatch("checkpoints", "show", system, "--json").json["system"]["enabled"] is True
