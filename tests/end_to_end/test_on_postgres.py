"""The real server on PostgreSQL: first start, a second machine, the database away and back."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from support.developer import Developer, eventually
from support.server import MoonlatchServer
from support.services import PostgresServer

HEALED_SECONDS = 5.0
BUSY_MACHINE_SECONDS = 10.0
DEADLINE_SECONDS = 1.0


@pytest.fixture
def first(own_postgres: PostgresServer, tmp_path: Path) -> MoonlatchServer:
    return MoonlatchServer(
        tmp_path / "first",
        {
            "MOONLATCH_DATABASE_URL": own_postgres.url("postgres"),
            "MOONLATCH_DATABASE__DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        },
    )


def test_a_first_start_a_second_machine_and_a_database_that_goes_away(
    first: MoonlatchServer, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with first:
        (token,) = eventually(lambda: re.findall(r"^    (ml_\S+)$", first.told(), re.MULTILINE))
        eventually(lambda: "An example script is published" in first.told(), 30)
        with Developer(first.url, token) as me:
            check_second_machine(first, me, token, tmp_path)
            check_database_away(first, me, own_postgres)


def check_second_machine(first: MoonlatchServer, me: Developer, token: str, tmp_path: Path) -> None:
    """It needs the first one's master key, and then serves the same."""
    second = MoonlatchServer(tmp_path / "second", first._settings)
    with pytest.raises(AssertionError, match=r"(?s)master\.key is missing.*copy it from the machine that has it"):
        second.start()
    second.data.mkdir(mode=0o700)  # a start that fails leaves no folder
    shutil.copy(first.data / "master.key", second.data / "master.key")
    with second, Developer(second.url, token) as there:
        assert there.get("/projects") == me.get("/projects")


def check_database_away(first: MoonlatchServer, me: Developer, postgres: PostgresServer) -> None:
    """Management calls say when to come again, and no call waits longer than it may."""
    project = me.new_project("before")
    for go, come in ((postgres.stop, postgres.start), (postgres.pause, postgres.resume)):
        go()
        for call in (lambda: me.http.get("/projects"), lambda: me.http.post("/projects", json={"name": "lost"})):
            reply = call()
            assert (reply.status_code, reply.json()["error"]) == (
                503,
                {"code": -1, "message": "temporarily unavailable", "retry_after": int(reply.headers["Retry-After"])},
            )
            assert reply.elapsed.total_seconds() < DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
        assert httpx.get(f"{first.url}/health/live").status_code == 200
        assert httpx.get(f"{first.url}/health/ready").status_code == 503
        come()
        eventually(
            lambda: me.http.get(f"/projects/{project}").status_code == 200, HEALED_SECONDS + BUSY_MACHINE_SECONDS
        )
    assert "lost" not in str(me.get("/projects"))
