"""A start without the server: the whole loader by what a host kept, or was given, on every Lua there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moonlatch.builds.protection import LOADER_PROFILE
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from moonlatch.obfuscator.target import Target
from support.lua_host import ENGINES, LoaderRun, ProtocolServer
from support.lua_host.leases import DAY_MS
from support.lua_host.protocol_server import refusal

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


AWAY = [(502, b"<html>Bad gateway</html>")] * 4


@pytest.fixture
def files(server: ProtocolServer, tmp_path: Path) -> Path:
    """What a host keeps of a start that was granted; the server goes on."""
    with start(server, tmp_path, engine="lua54") as run:
        run.wait_line("build")
    return tmp_path


@pytest.mark.parametrize(
    "answer",
    [
        (502, b"<html>Bad gateway</html>"),
        (522, b""),
        (200, b"<html>Log in to our WLAN</html>"),
        (503, refusal("UNAVAILABLE", "not now")),
    ],
)
@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_lease_is_used_where_no_server_is_there(
    server: ProtocolServer, files: Path, engine: str, answer: tuple[int, Any]
) -> None:
    server.answers = [answer] * 4
    with start(server, files, engine=engine) as run:
        assert run.wait_line("build") == STARTED
    assert len(server.answers) == 2  # so often it was asked before


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((403, b"<html>Your country is blocked</html>"), "it answered with status 403"),
        ((404, b""), "it answered with status 404"),
        ((403, {**refusal("BLACKLISTED", "no"), "proof": "0" * 128}), "could not be verified: BLACKLISTED"),
        ((200, {"success": True, "payload": "", "nonce": ""}), "could not be verified"),
        ((403, refusal("TOO_MANY_INSTANCES", "close another")), "close another"),
    ],
)
def test_and_nowhere_else(server: ProtocolServer, files: Path, answer: tuple[int, Any], message: str) -> None:
    server.answers = [answer] * 4
    with start(server, files, engine="lua54") as run:
        assert message in run.wait_for("raised")
    assert run.lines == []
    server.answers = list(AWAY)
    with start(server, files, engine="lua54") as run:
        assert run.wait_line("build") == STARTED


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_refusal_deletes_the_lease(server: ProtocolServer, files: Path, engine: str) -> None:
    server.answers = [(403, refusal("BLACKLISTED", "you are blacklisted"))]
    with start(server, files, engine=engine) as run:
        assert run.wait_for("raised").endswith("you are blacklisted")
    assert (files / server.lease.name()).read_text() == ""
    server.answers = list(AWAY)
    with start(server, files, engine=engine) as run:
        assert run.wait_for("raised").endswith("it answered with status 502")
    assert run.lines == []


def test_a_script_that_gives_none_any_more_takes_its_leases_back(server: ProtocolServer, files: Path) -> None:
    server.lease_days = None
    with start(server, files, engine="lua54") as run:
        run.wait_line("build")
    assert (files / server.lease.name()).read_text() == ""


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_copy_joins_when_the_server_is_back_and_is_judged_then(
    server: ProtocolServer, files: Path, engine: str
) -> None:
    server.answers = AWAY[:3]
    with start(server, files, engine=engine, time_rate=60) as run:
        run.wait_line("build")
        server.wait_until(lambda: server.sessions_opened)
        assert server.executions[-1]["build"] == 3
        server.send({"type": "stop", "code": "BLACKLISTED", "message": "stopped"})
        assert run.wait_for("kicked") == "stopped"
    assert len(run.lines) == 1  # the script itself was started once
    assert (files / server.lease.name()).read_text() == ""


def test_a_copy_that_is_refused_when_it_joins_stops(server: ProtocolServer, files: Path) -> None:
    server.answers = [*AWAY[:2], (403, refusal("KEY_EXPIRED", "expired"))]
    with start(server, files, engine="lua54", time_rate=60) as run:
        run.wait_line("build")
        assert run.wait_for("kicked") == "expired"


def test_a_copy_stops_when_its_lease_no_longer_holds(server: ProtocolServer, files: Path) -> None:
    server.answers = AWAY * 20
    with start(server, files, engine="lua54", time_rate=60) as run:
        run.wait_line("build")
        later = server.lease.record(seen=server.lease.issued + DAY_MS)
        (files / server.lease.name("-time.txt")).write_text(later)
        assert run.wait_for("kicked").endswith("the clock of this device went back")


@pytest.mark.parametrize("engine", ["lua51", "lua54"])
def test_a_copy_that_loses_its_server_goes_on_by_its_lease(server: ProtocolServer, tmp_path: Path, engine: str) -> None:
    server.offers_session, server.heartbeat_seconds = False, 2
    server.heartbeat_answer = lambda _: (502, {})
    with start(server, tmp_path, engine=engine, time_rate=20, clock_rate=60) as run:
        run.wait_line("build")
        server.wait_until(lambda: len(server.executions) == 2)
        assert run.kicked is None
    assert "build" not in server.executions[0]
    assert server.executions[1]["build"] == 3


def test_a_host_that_cannot_keep_anything_starts_all_the_same(server: ProtocolServer, tmp_path: Path) -> None:
    nowhere = tmp_path / "not there"
    with start(server, nowhere, engine="lua54") as run:
        assert run.wait_line("build") == STARTED
    server.answers = list(AWAY)
    with start(server, nowhere, engine="lua54") as run:
        assert run.wait_for("raised").endswith("it answered with status 502")


def test_the_protected_loader_keeps_and_uses_leases_too(server: ProtocolServer, tmp_path: Path) -> None:
    outcome = protect(server.loader, Options(profile=LOADER_PROFILE, target=Target.LUA51), 1)
    assert isinstance(outcome, Protected)
    server.loader = outcome.text.encode("ascii")
    kept(server, tmp_path, engine="lua51")
    with start(server, tmp_path, engine="lua51", days_ahead=6) as run:
        assert run.wait_line("build") == STARTED
