"""A start without the server: the whole loader by what a host kept, or was given, on every Lua there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.lua_host import ENGINES, LoaderRun, ProtocolServer

PAYLOAD = r"""
local la, argument = ...
print("build", la.la_script_build, "note", la.la_user_note, "left", la.la_seconds_left, argument)
"""
STARTED = "build\t3\tnote\tsnow \u2603\tleft\tnil\targument"
UNLIKE_EACH_OTHER = ["luau", "lua51", "lua54"]
DAYS = 7


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.lease_days = DAYS
        server.variables |= {"la_user_note": "snow \u2603", "la_seconds_left": None}
        server.loader = server.own_loader(keeps_leases=True)
        yield server


def start(server: ProtocolServer, files: Path, **options: Any) -> LoaderRun:
    """As a user does who keeps the loader too."""
    return LoaderRun(
        server.loader_url,
        "argument",
        **{"key": "KEY", "files": files, "loader": server.loader, "time_rate": 20, **options},
    )


def kept(server: ProtocolServer, files: Path, **options: Any) -> None:
    """Start once while the server is there, and have it go."""
    with start(server, files, **options) as run:
        assert run.wait_line("build") == STARTED
    assert server.executions[-1]["keeps_leases"] is True
    assert sorted(path.name for path in files.iterdir()) == sorted(server.lease.kept())
    server.__exit__(None, None, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_starts_for_a_week_without_its_server(server: ProtocolServer, tmp_path: Path, engine: str) -> None:
    kept(server, tmp_path, engine=engine)
    for days in (0, 6.9, DAYS + 0.5):
        with start(server, tmp_path, engine=engine, days_ahead=days) as run:
            assert run.wait_line("build") == STARTED
            assert ("soon start no more" in "".join(run.lines)) == (days > DAYS)
    with start(server, tmp_path, engine=engine, days_ahead=DAYS + 1.1) as run:
        assert run.wait_for("raised").endswith("the lease that is kept here cannot be used: it has ended")
    assert run.lines == []
