"""`moonlatch keys`: what it writes, prints and refuses. What a rotation means for a running server is in `tests/end_to_end/test_master_keys.py`."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moonlatch.app import open_moonlatch
from moonlatch.clock import now_ms
from moonlatch.config import load_settings
from moonlatch.crypto import MasterKey
from moonlatch.keyring import Keyring
from moonlatch.master_key import CREDENTIAL_NAME, MasterKeySource
from moonlatch.operations import master_keys as operations
from moonlatch.storage import sealed
from moonlatch.storage.sqlite.engine import open_sqlite
from support.commands import Command, Ended
from support.forked import HeardCommand
from support.services import wait_for

Keys = Callable[..., Ended]


def run_once(data: Path) -> None:
    """A server's start and end, with what it does in the background in between."""

    async def life() -> None:
        async with open_moonlatch(load_settings({"data_dir": data})) as moonlatch:
            assert moonlatch.world.keyring is not None
            await sealed.rewrap(moonlatch.database, moonlatch.world.keyring, lambda *_: None)

    wait_for(life)


@pytest.fixture
def data(tmp_path: Path, moonlatch: Command) -> Path:
    """A data folder that a server has run with."""
    folder = tmp_path / "data"
    assert moonlatch("accounts", "create", "ann", "--data", str(folder)).status == 0
    run_once(folder)
    return folder


@pytest.fixture
def keys(moonlatch: Command, data: Path) -> Keys:
    return lambda *arguments: moonlatch("keys", *arguments, "--data", str(data))


def ids(data: Path) -> list[str]:
    return [key.id for key in MasterKeySource(data).open().keys]


def states(keys: Keys) -> dict[str, Any]:
    return {key["id"]: key["state"] for key in keys("list", "--json").json}


def test_a_new_key_stands_in_front_and_is_the_owners_alone(keys: Keys, data: Path) -> None:
    (old,) = ids(data)
    text = keys("rotate").out
    new = text.split()[3]
    file = data / "master.key"
    assert ids(data) == [new, old]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in data.iterdir() if "key" in path.name) == ["master.key"]
    assert "1. Restart the server: it then uses the key." in text
    assert not re.search(r"[0-9a-f]{64}", text), "it stands in the file, and nowhere else"
    assert re.search(rf"^{old} +current .* 2 +1 key of the hashes of devices$", keys("list").out, re.MULTILINE)
    run_once(data)
    assert states(keys) == {old: "older", new: "current"}


def test_a_key_that_waits_can_be_given_up(keys: Keys, data: Path) -> None:
    (old,) = ids(data)
    new = keys("rotate", "--json").json["id"]
    again = keys("rotate")
    assert (again.status, f"keys retire {new}" in again.err) == (1, True)
    assert keys("retire", new, "--json").json == {"id": new, "line_removed": True}
    assert (ids(data), states(keys)) == ([old], {old: "current", new: "retired"})
    run_once(data)
    assert keys("rotate").status == 0


def test_a_key_that_nothing_needs_but_copies_waits_for_them_or_not(keys: Keys, data: Path) -> None:
    (old,) = ids(data)
    new = keys("rotate", "--json").json["id"]
    run_once(data)
    refused = keys("retire", old)
    assert refused.status == 1
    assert "copies that run may need it until" in refused.err
    assert ids(data) == [new, old]
    done = keys("retire", old, "--now")
    assert done.status == 0, done.err
    assert (ids(data), states(keys)) == ([new], {old: "retired", new: "current"})
    assert re.search(rf"^{old} +retired \d{{4}}-\d\d-\d\d +.* not here +nothing *$", keys("list").out, re.MULTILINE)
    assert keys("retire", old, "--json").json == {"id": old, "line_removed": False}, "once more does no harm"


@pytest.mark.parametrize("command", [("retire",), ("retire", "--now"), ("use",)])
def test_a_key_that_nobody_knows_is_told(keys: Keys, command: tuple[str, ...]) -> None:
    refused = keys(command[0], "00000000", *command[1:])
    assert refused.status == 1
    assert "master key" in refused.err
    assert "Traceback" not in refused.err


def test_the_current_key_is_not_retired(keys: Keys, data: Path) -> None:
    (old,) = ids(data)
    for now in ((), ("--now",)):
        refused = keys("retire", old, *now)
        assert (refused.status, "is the current master key" in refused.err) == (1, True)


def test_nothing_is_rotated_before_a_server_ran(moonlatch: Command, tmp_path: Path) -> None:
    data = str(tmp_path / "fresh")
    assert moonlatch("accounts", "create", "ann", "--data", data).status == 0
    refused = moonlatch("keys", "rotate", "--data", data)
    assert (refused.status, "Start it once." in refused.err) == (1, True)
    assert not (tmp_path / "fresh" / "master.key").exists()


def test_of_many_who_rotate_at_once_one_does(data: Path) -> None:
    together = [HeardCommand(["keys", "rotate", "--data", str(data), "--json"], os.environ) for _ in range(4)]
    for each in together:
        each.communicate(timeout=60)
    assert sorted(each.returncode for each in together) == [0, 1, 1, 1]
    assert len(ids(data)) == 2


KILLED_IN_WRITING = """
import os, runpy, signal, sys

deadly = sys.argv.pop(1)

def hook(event, arguments):
    if event == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
sys.argv[0] = "moonlatch"
runpy.run_module("moonlatch", run_name="__main__")
"""


def killed_in_writing(data: Path, *arguments: str, when: str = "os.rename") -> None:
    """Run `moonlatch keys ...` until it is about to put its file in the place of the ring's, or has done so (`os.remove`)."""
    command = [sys.executable, "-c", KILLED_IN_WRITING, when, "keys", *arguments, "--data", str(data)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_who_is_killed_in_rotating_leaves_no_key_behind(keys: Keys, data: Path) -> None:
    before = (data / "master.key").read_bytes()
    killed_in_writing(data, "rotate")
    assert (data / "master.key").read_bytes() == before
    assert list(data.glob(".master.key.*")), "it was killed before it wrote"
    assert keys("rotate").status == 0
    assert list(data.glob(".master.key.*")) == []


def test_a_rotation_that_was_killed_behind_its_file_goes_on_with_the_next_start(keys: Keys, data: Path) -> None:
    killed_in_writing(data, "rotate", when="os.remove")
    new, old = ids(data)
    refused = keys("rotate")
    assert (refused.status, f"{new} stands in" in refused.err, "Restart the server" in refused.err) == (1, True, True)
    assert ids(data) == [new, old]
    run_once(data)
    assert states(keys) == {old: "older", new: "current"}


def test_who_is_killed_in_giving_a_key_up_gives_it_up_next_time(keys: Keys, data: Path) -> None:
    assert keys("rotate").status == 0
    waiting, before = ids(data)
    killed_in_writing(data, "retire", waiting)
    assert ids(data) == [waiting, before], "its line goes last"
    run_once(data)
    assert states(keys) == {before: "current", waiting: "retired"}
    assert keys("use", waiting).status == 1
    assert keys("retire", waiting).status == 0
    assert ids(data) == [before]
    run_once(data)


def test_a_key_that_a_server_begins_to_use_meanwhile_is_not_retired(keys: Keys, data: Path) -> None:
    waiting = keys("rotate", "--json").json["id"]

    async def race() -> bool:
        database = await open_sqlite(data / "moonlatch.db")
        try:
            (seen,) = [each for each in await operations.standings(database, now=now_ms()) if each.key.id == waiting]
            await database.run(lambda tx: operations.use(tx, waiting, now=now_ms()))
            return await database.run(lambda tx: operations.retire(tx, seen, now=now_ms()))
        finally:
            await database.close()

    assert wait_for(race) is False
    assert states(keys)[waiting] == "current"


def test_the_line_goes_where_a_command_or_credential_has_it(
    keys: Keys, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = ids(data)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    credential = credentials / CREDENTIAL_NAME
    credential.write_bytes((data / "master.key").read_bytes())
    (data / "master.key").unlink()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    run_once(data)
    text = keys("rotate").out
    (line,) = re.findall(r"^    ([0-9a-f]{64} # .*)$", text, re.MULTILINE)
    new = MasterKey(bytes.fromhex(line[:64])).id
    assert f"The master key {new} is made." in text
    assert credential.read_text().count("\n") == 1, "it is nobody's to write"
    assert not (data / "master.key").exists()
    run_once(data)
    assert states(keys) == {old: "current", new: "waits"}
    credential.write_text(f"{line}\n{credential.read_text()}")
    run_once(data)
    assert states(keys) == {old: "older", new: "current"}
    done = keys("retire", old, "--now")
    assert "Take its line out of where the keys are" in done.out
    credential.write_text(f"{line}\n")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    monkeypatch.setenv("MOONLATCH_MASTER_KEY_COMMAND", f"cat {credential}")
    run_once(data)
    assert states(keys) == {old: "retired", new: "current"}


def test_what_is_known_is_listed_where_the_keys_cannot_be_read(keys: Keys, data: Path, tmp_path: Path) -> None:
    (old,) = ids(data)
    (data / "master.key").rename(tmp_path / "elsewhere")
    listed = keys("list")
    assert listed.status == 0
    assert re.search(rf"^{old} +current .* not here ", listed.out, re.MULTILINE)
    assert "cannot be read from here" in listed.err
    line = keys("rotate", "--json").json["line"]
    assert Keyring.of_text(line, "x").current.id in states(keys)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_stays_the_servers_users(keys: Keys, data: Path) -> None:
    os.chown(data / "master.key", 12_345, 12_346)
    assert keys("rotate").status == 0
    found = (data / "master.key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12_345, 12_346, 0o600)


def test_a_backup_holds_the_ring_and_what_is_restored_starts(
    moonlatch: Command, keys: Keys, data: Path, tmp_path: Path
) -> None:
    keys("rotate")
    run_once(data)
    file, new = tmp_path / "x.zip", tmp_path / "new"
    assert moonlatch("backup", str(file), "--data", str(data)).status == 0
    assert moonlatch("restore", str(file), "--data", str(new)).status == 0
    assert ids(new) == ids(data)
    run_once(new)
