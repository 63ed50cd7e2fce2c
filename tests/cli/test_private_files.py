"""Whatever is made in a data folder is its owner's alone, also where the umask keeps nobody out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlatch.app import LOCK_NAME, data_folder_locked, open_moonlatch
from moonlatch.cli.first_start import write_down
from moonlatch.config import Settings
from moonlatch.private_files import copy_private
from moonlatch.storage.sqlite.copying import copy_database
from support.commands import Command


@pytest.fixture(autouse=True)
def _careless() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Of a folder and all that is in it."""
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}


def of_a_server(data: Path) -> dict[str, int]:
    """What is there while a server runs on it."""

    async def run() -> dict[str, int]:
        async with open_moonlatch(Settings(data_dir=data)):
            write_down(data, "told once")
            return modes(data)

    return asyncio.run(run())


def test_what_a_server_makes(tmp_path: Path) -> None:
    found = of_a_server(tmp_path / "data")
    files = ["moonlatch.db", "moonlatch.db-shm", "moonlatch.db-wal", "master.key", LOCK_NAME, "first-start.txt"]
    assert found == {".": 0o700, **dict.fromkeys(files, 0o600)}


def test_a_lock_that_an_earlier_version_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / LOCK_NAME).touch(mode=0o666)
    with data_folder_locked(data):
        assert modes(data) == {".": 0o700, LOCK_NAME: 0o600}


def test_what_commands_make(tmp_path: Path, moonlatch: Command) -> None:
    data, again, backup = tmp_path / "data", tmp_path / "again", tmp_path / "monday.zip"
    assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    of_a_server(data)
    for command in (
        ["keys", "rotate", "--data", str(data)],
        ["backup", str(backup), "--data", str(data)],
        ["restore", str(backup), "--data", str(again)],
    ):
        assert moonlatch(*command).status == 0, command
    made = {path: mode for folder in (data, again) for path, mode in modes(folder).items() if path != "."}
    assert {"moonlatch.db", "master.key"} <= made.keys()
    assert set(made.values()) == {0o600}
    assert [path.stat().st_mode & 0o777 for path in (data, again, backup)] == [0o700, 0o700, 0o600]


def test_copies_on_their_way_into_a_backup(tmp_path: Path, moonlatch: Command) -> None:
    data = tmp_path / "data"
    assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    copy_database(data / "moonlatch.db", tmp_path / "copy.db")
    copy_private(data / "moonlatch.db", tmp_path / "other")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("copy.db", "other")] == [0o600] * 2


@pytest.mark.parametrize("maker", ["a server", "a command"])
def test_nobody_else_can_put_another_folder_in_its_place(tmp_path: Path, moonlatch: Command, maker: str) -> None:
    data = tmp_path / "srv" / "moonlatch" / "data"
    if maker == "a server":
        of_a_server(data)
    else:
        assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    assert [path.stat().st_mode & 0o777 for path in (data, data.parent, data.parent.parent)] == [0o700, 0o755, 0o755]
