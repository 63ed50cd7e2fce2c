"""A disk that fails at the first, second, third ... write or flush under the real server: no success for what is not saved."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from support.crash import assert_sound
from support.developer import Developer
from support.failing_disk import FLUSH, FOR_EVER, WRITE, FailingDisk
from support.rounds import rounds
from support.server import START_SECONDS, MoonlatchServer

pytestmark = pytest.mark.xdist_group("failing disk")

OPERATIONS = rounds(8, 40)
CALLERS = 6
HEALED_SECONDS = 15.0
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
def stopped_server(disk: FailingDisk, tmp_path_factory: pytest.TempPathFactory) -> MoonlatchServer:
    limits = {"MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000", "MOONLATCH_MANAGEMENT__BURST": "100000"}
    return MoonlatchServer(tmp_path_factory.mktemp("server") / "data", {**limits, **disk.environment})


@pytest.fixture(scope="module")
def token(stopped_server: MoonlatchServer) -> str:
    return stopped_server.new_account("disk")


@pytest.fixture(scope="module")
def server(stopped_server: MoonlatchServer, token: str) -> Iterator[MoonlatchServer]:
    # With an account there is no first start, whose example would meet the faults in its own time.
    with stopped_server as running:
        yield running


@pytest.fixture
async def installation(server: MoonlatchServer, disk: FailingDisk, token: str) -> AsyncIterator[Installation]:
    with Developer(server.url, token) as developer:
        project = developer.new_project()
    async with httpx.AsyncClient(base_url=server.url, headers={"token": token}, timeout=60) as http:
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


async def test_a_first_start_whose_example_cannot_be_saved_goes_on(disk: FailingDisk, tmp_path: Path) -> None:
    with MoonlatchServer(tmp_path / "data", disk.environment) as server:
        await _until_printed(server, "API token")
        disk.fail(WRITE, nth=1, error=errno.ENOSPC)
        await _until_printed(server, "example script could not be published: nothing was written")
        disk.work()
        with Developer(server.url, server.new_account("disk")) as developer:
            developer.new_project()


async def _until_printed(server: MoonlatchServer, text: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while text not in server.log.read_text():
            await asyncio.sleep(0.01)
