"""What systemd hears of a server that it started with `Type=notify`."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from moonlatch.serving.service_manager import tell_ready
from support.server import MoonlatchServer


def test_it_is_told_when_the_server_serves(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        server = MoonlatchServer(tmp_path / "data", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        server.new_account("owner")
        with server:
            assert manager.recv(100) == b"READY=1"
            assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_an_abstract_address_is_one_too_and_nobody_there_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0moonlatch-test-notify")
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", "@moonlatch-test-notify")
        tell_ready()
        assert manager.recv(100) == b"READY=1"
    tell_ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    tell_ready()
