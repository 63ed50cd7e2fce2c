"""What systemd hears of a server that it started with `Type=notify`, and what that hears of systemd."""

from __future__ import annotations

import socket
import subprocess
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


def test_a_word_to_stop_that_comes_while_the_server_starts_is_heard(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\ncat {key}\n")
    command.chmod(0o700)
    server = MoonlatchServer(tmp_path / "data", {"MOONLATCH_MASTER_KEY_COMMAND": str(command)})
    server.new_account("owner")
    # It reads its key long before anybody is served.
    command.write_text(f"#!/bin/sh\nkill -TERM $PPID\ncat {key}\n")
    process = subprocess.Popen(server.command, env=server.environment(), stderr=subprocess.DEVNULL)
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
