"""`backup` and `restore`: whole or not at all, while the server runs, and nothing believed of a file that comes from anywhere."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
import warnings
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonlatch.storage.archive import ArchiveError, open_archive
from support.commands import Command
from support.crash import assert_sound
from support.developer import Developer
from support.server import MoonlatchServer

MEMBERS = ["moonlatch.db", "master.key", "moonlatch.toml"]


@pytest.fixture
def folder(moonlatch: Command, tmp_path: Path) -> Path:
    """A data folder with an account, a master key and a settings file."""
    data = tmp_path / "data"
    assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    (data / "master.key").write_text("ab" * 32 + "\n")
    (data / "moonlatch.toml").write_text('[log]\nlevel = "debug"\n')
    return data


@pytest.fixture
def archive(moonlatch: Command, folder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "monday.zip"
    assert moonlatch("backup", str(file), "--data", str(folder)).status == 0
    return file


def names(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "moonlatch.db")) as connection:
        return [name for (name,) in connection.execute("select name from accounts order by name")]


def test_a_backup_is_the_owners_alone_and_says_what_it_holds(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "monday.zip"
    ended = moonlatch("backup", str(file), "--data", str(folder), "--json")
    assert ended.status == 0
    assert ended.json == {"file": str(file), "bytes": file.stat().st_size, "members": MEMBERS}
    assert "contains the master key" in ended.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "monday.zip"]


def test_what_was_restored_is_what_was_saved(moonlatch: Command, folder: Path, archive: Path, tmp_path: Path) -> None:
    ended = moonlatch("restore", str(archive), "--data", str(tmp_path / "new"))
    assert ended.status == 0, ended.err
    assert "moonlatch.db, master.key, moonlatch.toml, 1 account, 0 projects" in ended.out
    restored = tmp_path / "new"
    assert sorted(path.name for path in restored.iterdir()) == sorted(MEMBERS)
    assert restored.stat().st_mode & 0o777 == 0o700
    for name in MEMBERS[1:]:
        assert (restored / name).read_text() == (folder / name).read_text()
        assert (restored / name).stat().st_mode & 0o777 == 0o600
    assert names(restored) == ["ann"]
    assert_sound(restored / "moonlatch.db")
    assert moonlatch("accounts", "create", "bob", "--data", str(restored)).status == 0


def test_a_backup_under_load_is_one_moment_of_it(moonlatch: Command, tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", {"MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000"})
    token = server.new_account("ann")
    is_over, made = threading.Event(), 0
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()

        def load() -> None:
            nonlocal made
            while not is_over.is_set():
                developer.post(f"/projects/{project}/users", amount=3)
                made += 1

        loading = threading.Thread(target=load)
        loading.start()
        kept = []
        try:
            for number in range(3):
                file, before = tmp_path / f"{number}.zip", made
                assert moonlatch("backup", str(file), "--data", str(server.data)).status == 0
                kept.append((file, before, made))
        finally:
            is_over.set()
            loading.join(30)
        assert moonlatch("restore", str(kept[0][0]), "--data", str(server.data)).status == 1
    for number, (file, before, after) in enumerate(kept):
        restored = tmp_path / f"restored-{number}"
        assert moonlatch("restore", str(file), "--data", str(restored)).status == 0
        with closing(sqlite3.connect(restored / "moonlatch.db")) as connection:
            (users,) = connection.execute("select count(*) from users").fetchone()
        assert users % 3 == 0, "three users are added together or not at all"
        assert 3 * before <= users <= 3 * (after + 1)
    with MoonlatchServer(tmp_path / "restored-2") as again, Developer(again.url, token) as developer:
        assert developer.get(f"/projects/{project}")["project"]["id"] == project


def test_no_backup_takes_the_place_of_another(moonlatch: Command, folder: Path, archive: Path) -> None:
    before = archive.read_bytes()
    ended = moonlatch("backup", str(archive), "--data", str(folder))
    assert (ended.status, archive.read_bytes()) == (1, before)
    assert "is there already" in ended.err


def test_a_backup_without_a_database_or_master_key_is_refused(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "master.key").unlink()
    assert "master.key is missing" in moonlatch("backup", "x.zip", "--data", str(folder)).err
    assert "no Moonlatch data" in moonlatch("backup", "x.zip", "--data", str(tmp_path / "nowhere")).err
    assert not Path("x.zip").exists()


def test_a_damaged_database_is_not_called_a_backup(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(folder / "moonlatch.db")) as connection:
        connection.execute("pragma foreign_keys = off")
        connection.execute("insert into projects (id, account_id, name, created_at) values ('p', 'nobody', 'p', 1)")
        connection.commit()
    ended = moonlatch("backup", "x.zip", "--data", str(folder))
    assert (ended.status, Path("x.zip").exists()) == (1, False)
    assert "refers to a missing one" in ended.err


def test_a_full_disk_leaves_nothing_under_the_name(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    server = MoonlatchServer(folder)
    limited = (
        f"ulimit -f 16; exec {' '.join([*server.command[:3], 'backup', str(target / 'x.zip'), '--data', str(folder)])}"
    )
    ended = subprocess.run(
        ["bash", "-c", limited], capture_output=True, text=True, env=server.environment(), check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(target.iterdir()) == []


def test_a_folder_with_anything_in_it_is_not_restored_into(moonlatch: Command, archive: Path, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("mine")
    ended = moonlatch("restore", str(archive), "--data", str(used))
    assert (ended.status, [path.name for path in used.iterdir()]) == (1, ["notes.txt"])
    assert "is not empty" in ended.err


def test_a_running_servers_folder_is_named_as_such(moonlatch: Command, archive: Path, tmp_path: Path) -> None:
    with MoonlatchServer(tmp_path / "running") as server:
        ended = moonlatch("restore", str(archive), "--data", str(server.data))
    assert ended.status == 1
    assert "a server is running" in ended.err


def rebuilt(archive: Path, target: Path, **changes: Any) -> Path:
    """A copy of an archive with other members: bytes replace one, None removes one; `manifest` is a function."""
    edit = changes.pop("manifest", lambda manifest: manifest)
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        contents = {name: source.read(name) for name in source.namelist()}
        contents["manifest.json"] = json.dumps(edit(json.loads(contents["manifest.json"]))).encode()
        contents |= {name.replace("_", "."): content for name, content in changes.items()}
        for name, content in contents.items():
            if content is not None:
                copy.writestr(name, content)
    return target


def with_member(name: str, size: int) -> Any:
    def edit(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["members"][name] = {"bytes": size, "sha256": "0" * 64}
        return manifest

    return edit


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"master_key": b"cd" * 32 + b"\n"}, "has not the checksum"),
        ({"moonlatch_db": b"too short"}, "other members than its manifest says"),
        ({"moonlatch_toml": None}, "other members than its manifest says"),
        ({"evil_sh": b"rm"}, "other members than its manifest says"),
        ({"manifest_json": None}, "its manifest cannot be read"),
        ({"manifest_json": b"[]"}, "its manifest cannot be read"),
        ({"manifest_json": b" " * 70_000}, "manifest that is too large"),
        ({"manifest": with_member("../../etc/cron.d/evil", 2)}, "that no backup has"),
        ({"manifest": with_member("master.key", 2**40)}, "or not of this size"),
        ({"manifest": lambda manifest: {**manifest, "format": 2}}, "its manifest cannot be read"),
    ],
)
def test_an_archive_that_is_not_what_it_says_is_refused(
    moonlatch: Command, archive: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    bad = rebuilt(archive, tmp_path / "bad.zip", **changes)
    ended = moonlatch("restore", str(bad), "--data", str(tmp_path / "new"))
    assert ended.status == 1
    assert reason in ended.err
    assert not (tmp_path / "new").exists()


def test_a_compressed_bomb_is_not_unpacked_beyond_what_the_manifest_says(archive: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as copy:
        manifest = json.loads(source.read("manifest.json"))
        manifest["members"]["master.key"]["bytes"] = 100
        copy.writestr("manifest.json", json.dumps(manifest))
        copy.writestr("master.key", b"0" * 50_000_000)
        for name in ("moonlatch.db", "moonlatch.toml"):
            copy.writestr(name, source.read(name))
    # The directory lies too: it says what the manifest says.
    data = bytearray(bomb.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = -1
        while (start := data.find(signature, start + 1)) != -1:
            if b"master.key" in data[start : start + 60]:
                data[start + offset : start + offset + 4] = (100).to_bytes(4, "little")
    bomb.write_bytes(data)
    with open_archive(bomb) as opened, pytest.raises(ArchiveError):
        opened.extract("master.key", tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 1024


def test_two_members_of_one_name_are_refused(archive: Path, tmp_path: Path) -> None:
    doubled = tmp_path / "doubled.zip"
    shutil.copy(archive, doubled)
    with warnings.catch_warnings(), zipfile.ZipFile(doubled, "a") as copy:
        warnings.simplefilter("ignore")
        copy.writestr("master.key", "cd" * 32 + "\n")
    with pytest.raises(ArchiveError, match="other members"), open_archive(doubled):
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_archive_is_refused_or_read_as_it_was(
    archive: Path, tmp_path: Path, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(archive.read_bytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(data)
    try:
        with open_archive(damaged) as opened:
            opened.verify()
            assert sorted(opened.manifest.members) == sorted(MEMBERS)
    except ArchiveError:
        pass


def test_a_backup_of_a_newer_program_is_refused_by_name(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(folder / "moonlatch.db")) as connection:
        connection.execute("insert into schema_migrations (version, name, applied_at) values (9999, 'later', 1)")
        connection.commit()
    assert moonlatch("backup", "later.zip", "--data", str(folder)).status == 0
    ended = moonlatch("restore", "later.zip", "--data", str(tmp_path / "new"))
    assert (ended.status, (tmp_path / "new").exists()) == (1, False)
    assert "made by a newer program (schema version 9999)" in ended.err


def test_with_postgresql_the_key_is_saved_and_the_database_left_to_its_own_tools(
    moonlatch: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "moonlatch.db").unlink()
    monkeypatch.setenv("MOONLATCH_DATABASE_URL", "postgresql://moonlatch:SECRET@127.0.0.1:1/moonlatch")
    saved = moonlatch("backup", "x.zip", "--data", str(folder))
    assert saved.status == 0, saved.err
    assert "pg_dump" in saved.err
    assert "SECRET" not in saved.err + saved.out
    restored = moonlatch("restore", "x.zip", "--data", str(tmp_path / "new"))
    assert restored.status == 0, restored.err
    assert "pg_restore" in restored.err
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(MEMBERS[1:])
