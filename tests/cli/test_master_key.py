"""A master key that is not in the data folder: from a command, or from a systemd credential."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from moonlatch.app import open_moonlatch
from moonlatch.config import Settings
from moonlatch.keyring import Keyring
from moonlatch.master_key import CREDENTIAL_NAME, MasterKeySource
from support.commands import Command
from support.server import free_port

KEY = "ab" * 32


def printing(text: str) -> str:
    return f"{sys.executable} -c \"print('{text}')\""


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


async def used(settings: Settings) -> bytes:
    """Start and stop a whole server; gives the check value of the key that it works with."""
    async with open_moonlatch(settings) as moonlatch:
        assert moonlatch.world.keyring is not None
        return moonlatch.world.keyring.check_value()


async def test_a_commands_output_is_the_key_and_none_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = Settings(data_dir=data, master_key_command=printing(KEY))
    assert await used(settings) == Keyring(bytes.fromhex(KEY)).check_value()
    assert not (data / "master.key").exists()


async def test_a_credential_is_the_key_and_none_is_made(tmp_path: Path, credentials: Path) -> None:
    (credentials / CREDENTIAL_NAME).write_text(f"{KEY}\n")
    data = tmp_path / "data"
    assert await used(Settings(data_dir=data)) == Keyring(bytes.fromhex(KEY)).check_value()
    assert not (data / "master.key").exists()


async def test_other_credentials_leave_the_key_in_the_folder(tmp_path: Path, credentials: Path) -> None:
    (credentials / "another").write_text("secret")
    await used(Settings(data_dir=tmp_path / "data"))
    assert (tmp_path / "data" / "master.key").exists()


def test_the_command_comes_before_the_credential(tmp_path: Path, credentials: Path) -> None:
    (credentials / CREDENTIAL_NAME).write_text("cd" * 32)
    source = MasterKeySource(tmp_path, printing(KEY))
    assert source.open().check_value() == Keyring(bytes.fromhex(KEY)).check_value()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            printing("no key"),
            "the output of master_key_command is not a Moonlatch master key: it must be 64 hexadecimal digits",
        ),
        (printing("ab" * 31), "it must be 64 hexadecimal digits, got 62"),
        (printing("ab" * 5000), "is not a Moonlatch master key"),
        (f'{sys.executable} -c "raise SystemExit(3)"', "master_key_command ended with status 3"),
        ("/nowhere/at-all", "master_key_command cannot be run: No such file or directory"),
    ],
)
def test_a_command_that_gives_no_key_is_told_and_no_key_is_made(tmp_path: Path, command: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as told:
        MasterKeySource(tmp_path, command).open()
    assert "abab" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_is_run_without_a_shell(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a Moonlatch master key"):
        MasterKeySource(tmp_path, f"/bin/echo {KEY} > {tmp_path / 'file'}").open()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["'unclosed", "   "])
def test_a_command_that_cannot_be_one_is_a_wrong_setting(command: str) -> None:
    with pytest.raises(ValidationError, match="master_key_command"):
        Settings(master_key_command=command)


def test_a_server_says_what_its_command_lacked(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "moonlatch", "serve", "--port", str(free_port()), "--data", tmp_path / "data"],
        env={"PATH": "/usr/bin:/bin", "MOONLATCH_MASTER_KEY_COMMAND": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "master_key_command ended with status 1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_backup_leaves_out_a_key_that_is_elsewhere_and_is_restored_without_it(
    moonlatch: Command, tmp_path: Path, credentials: Path
) -> None:
    (credentials / CREDENTIAL_NAME).write_text(KEY)
    data, file = tmp_path / "data", tmp_path / "x.zip"
    assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    ended = moonlatch("backup", str(file), "--data", str(data), "--json")
    assert ended.status == 0, ended.err
    assert ended.json["members"] == ["moonlatch.db"]
    assert f"The master key is the systemd credential {credentials / CREDENTIAL_NAME}" in ended.err
    assert "contains the master key" not in ended.err
    restored = moonlatch("restore", str(file), "--data", str(tmp_path / "new"))
    assert restored.status == 0, restored.err
    assert "not in this backup" in restored.err
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["moonlatch.db"]
