"""Opening an installation: one server a folder, and never a new master key where an old one is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.app import FILES_OF_OTHERS, FolderInUseError, Moonlatch, open_moonlatch, room_for
from moonlatch.config import Settings
from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import Query, Transaction

ADD_LOADER = Query(
    "test.add_loader",
    "insert into loaders (id, script_id, version, source, created_at) select 'l', id, 1, 'x', 1 from scripts",
)
STATEMENTS = [
    Query(
        "test.account",
        "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('a', 'a', 'free', 1, 1)",
    ),
    Query("test.project", "insert into projects (id, account_id, name, created_at) values ('p', 'a', 'p', 1)"),
    Query("test.script", "insert into scripts (id, project_id, name, created_at) values ('s', 'p', 's', 1)"),
    ADD_LOADER,
]


async def publish(moonlatch: Moonlatch) -> None:
    async def unit(tx: Transaction) -> None:
        for statement in STATEMENTS:
            await tx.execute(statement)

    await moonlatch.database.run(unit)


@pytest.mark.parametrize("files", [1_024, 4_096, 65_536, 1_048_576])
def test_the_open_files_are_enough_for_everything_at_once(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    settings = Settings()
    room = room_for(settings)
    used = room.webhooks + room.functions + room.providers + room.idle + room.connections.most
    assert used + settings.database.max_connections + FILES_OF_OTHERS <= files
    assert room.connections.most >= files // 2 or room.connections.most == settings.connections.most


async def test_a_second_server_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_moonlatch(settings):
        with pytest.raises(FolderInUseError, match="another server is running"):
            async with open_moonlatch(settings):
                pass
    async with open_moonlatch(settings):
        pass


async def test_a_lost_master_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_moonlatch(settings) as moonlatch:
        await publish(moonlatch)
    key = (tmp_path / "master.key").read_text()
    (tmp_path / "master.key").unlink()

    with pytest.raises(ValueError, match=r"master\.key is missing"):
        async with open_moonlatch(settings):
            pass
    assert not (tmp_path / "master.key").exists()

    (tmp_path / "master.key").write_text(key)
    async with open_moonlatch(settings):
        pass


async def test_another_master_key_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_moonlatch(settings) as moonlatch:
        await publish(moonlatch)
    key = (tmp_path / "master.key").read_text()
    (tmp_path / "master.key").write_text("ab" * 32)

    with pytest.raises(ValueError, match="is not the master key"):
        async with open_moonlatch(settings):
            pass

    (tmp_path / "master.key").write_text(key)
    async with open_moonlatch(settings):
        pass


async def test_a_folder_in_which_nothing_was_published_gets_a_new_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_moonlatch(settings):
        pass
    (tmp_path / "master.key").unlink()
    async with open_moonlatch(settings):
        assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    first = MasterKeySource(tmp_path).open().loader_secret("loader")
    assert MasterKeySource(tmp_path).open().loader_secret("loader") == first
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]
