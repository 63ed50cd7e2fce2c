"""A disk that fails at the first, second, third ... write or flush under the real server: no success for what is not saved."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from support.crash import assert_sound
from support.developer import Developer
from support.failing_disk import FLUSH, FOR_EVER, WRITE, FailingDisk
from support.rounds import rounds
from support.server import MoonlatchServer

pytestmark = pytest.mark.xdist_group("failing disk")

OPERATIONS = rounds(8, 40)
CALLERS = 6
HEALED_SECONDS = 5.0
FAULTS = [
    pytest.param(WRITE, errno.ENOSPC, id="no space"),
    pytest.param(WRITE, errno.EIO, id="failing write"),
    pytest.param(FLUSH, errno.EIO, id="failing flush"),
]


class Installation:
    """A server on a disk that fails on demand, and what it acknowledged."""

    def __init__(self, server: MoonlatchServer, disk: FailingDisk, http: httpx.AsyncClient, project: str) -> None:
        self.server = server
        self.disk = disk
        self._http = http
        self._project = project
        self._number = 0
        self.acknowledged: set[str] = set()

    async def write(self) -> bool:
        """Create a user; whether that was acknowledged."""
        self._number += 1
        note = f"user {self._number} " + "x" * 200
        reply = await self._http.post(f"/projects/{self._project}/users", json={"note": note})
        if reply.status_code == 200:
            self.acknowledged.add(note)
            return True
        assert reply.status_code in (500, 503), reply.text
        assert reply.json()["success"] is False
        return False

    async def heal(self) -> None:
        """The disk works again: so does the server, by itself."""
        self.disk.work()
        async with asyncio.timeout(HEALED_SECONDS):
            while not await self.write():
                await asyncio.sleep(0.02)

    def verify(self) -> None:
        """What another process finds in the files, as it would if the server were killed now."""
        path = self.server.data / "moonlatch.db"
        assert_sound(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            stored = {note for (note,) in connection.execute("select note from users")}
        assert self.acknowledged - stored == set(), "acknowledged and not saved"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> FailingDisk:
    return FailingDisk(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def server(disk: FailingDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoonlatchServer]:
    limits = {"MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000", "MOONLATCH_MANAGEMENT__BURST": "100000"}
    with MoonlatchServer(tmp_path_factory.mktemp("server") / "data", {**limits, **disk.environment}) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: MoonlatchServer) -> str:
    return server.new_account("disk")


@pytest.fixture
async def installation(server: MoonlatchServer, disk: FailingDisk, token: str) -> AsyncIterator[Installation]:
    with Developer(server.url, token) as developer:
        project = developer.new_project()
    async with httpx.AsyncClient(base_url=server.url, headers={"token": token}, timeout=20) as http:
        yield Installation(server, disk, http, project)
        disk.work()


@pytest.mark.parametrize(("kind", "error"), FAULTS)
async def test_a_log_that_fails_from_some_operation_on_is_never_acknowledged(
    installation: Installation, kind: int, error: int
) -> None:
    disk = installation.disk
    for nth in range(1, OPERATIONS + 1):
        disk.fail(kind, nth=nth, error=error, wal_only=True)
        refused = 0
        for _ in range(nth + 3):
            is_acknowledged = await installation.write()
            assert not (is_acknowledged and disk.has_unflushed), "acknowledged before it was on the disk"
            refused += not is_acknowledged
        assert refused >= 3, "the fault was not met"
        assert disk.failed > 0
        await installation.heal()
    installation.verify()


@pytest.mark.parametrize(("kind", "error"), FAULTS)
async def test_one_failure_among_many_callers_spares_what_was_acknowledged(
    installation: Installation, kind: int, error: int
) -> None:
    refused = 0
    for nth in range(1, OPERATIONS + 1):
        for times in (1, FOR_EVER):
            installation.disk.fail(kind, nth=nth, error=error, times=times)
            for _ in range(nth):
                outcomes = await asyncio.gather(*(installation.write() for _ in range(CALLERS)))
                refused += outcomes.count(False)
                if installation.disk.failed:
                    break
            assert installation.disk.failed, "the fault was not met"
            await installation.heal()
    assert refused > OPERATIONS
    installation.verify()


async def test_reads_go_on_while_the_disk_takes_nothing(installation: Installation) -> None:
    installation.disk.fail(WRITE | FLUSH, nth=1, error=errno.EIO)
    assert not await installation.write()
    async with httpx.AsyncClient(base_url=installation.server.url) as http:
        assert (await http.get("/health/live")).status_code == 200
    reply = await installation._http.get(f"/projects/{installation._project}")
    assert reply.status_code == 200
    await installation.heal()
    installation.verify()
