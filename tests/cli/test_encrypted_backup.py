"""Backups that only who may can read: to a recipient or a passphrase, in age's own format."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from support import quick_age
from support.commands import Command
from support.forked import HeardCommand
from support.server import MoonlatchServer

PASSPHRASE = "five words that nobody guesses"
VARIABLE = "MOONLATCH_BACKUP_PASSPHRASE"


@pytest.fixture
def folder(moonlatch: Command, tmp_path: Path) -> Path:
    data = tmp_path / "data"
    assert moonlatch("accounts", "create", "ann", "--data", str(data)).status == 0
    (data / "master.key").write_text("ab" * 32 + "\n")
    return data


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, Path]:
    """A recipient, and the file of its identity as `age-keygen` writes it."""
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity.txt"
    file.write_text(f"# created: 2026-11-29T00:00:00Z\n# public key: {identity.to_public()}\n{identity}\n")
    return str(identity.to_public()), file


def backed_up(moonlatch: Command, folder: Path, file: Path, *options: str) -> None:
    ended = moonlatch("backup", str(file), "--data", str(folder), *options)
    assert ended.status == 0, ended.err
    assert "It is encrypted" in ended.err
    assert "contains the master key" not in ended.err


def test_a_backup_to_a_recipient_is_restored_by_its_identity_and_no_other(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path
) -> None:
    recipient, identity = keys
    file = tmp_path / "backups" / "monday.age"
    file.parent.mkdir()
    backed_up(moonlatch, folder, file, "--recipient", recipient)
    content = file.read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert b"ab" * 32 not in content
    assert b"ann" not in content
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    for options, why in (((), "--identity FILE"), (("--identity", str(other)), "cannot be decrypted")):
        ended = moonlatch("restore", str(file), "--data", str(tmp_path / "new"), *options)
        assert ended.status == 1
        assert why in ended.err
        assert not (tmp_path / "new").exists()
    ended = moonlatch("restore", str(file), "--data", str(tmp_path / "new"), "--identity", str(identity))
    assert ended.status == 0, ended.err
    assert (tmp_path / "new" / "master.key").read_text() == "ab" * 32 + "\n"
    assert "1 account" in ended.out
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".moonlatch")) == []


def test_each_of_several_recipients_can_restore_it(moonlatch: Command, folder: Path, tmp_path: Path) -> None:
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    file = tmp_path / "both.age"
    backed_up(moonlatch, folder, file, *(word for one in identities for word in ("--recipient", str(one.to_public()))))
    for number, one in enumerate(identities):
        written = tmp_path / f"{number}.txt"
        written.write_text(str(one))
        into = str(tmp_path / str(number))
        assert moonlatch("restore", str(file), "--data", into, "--identity", str(written)).status == 0


def test_a_backup_with_a_passphrase_needs_it(
    moonlatch: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "monday.age"
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    backed_up(moonlatch, folder, file, "--passphrase")
    assert re.match(rb"age-encryption\.org/v1\n-> scrypt [\w+/]{22} [12]\d\n", file.read_bytes())
    monkeypatch.delenv(VARIABLE)
    assert "nobody to ask" in moonlatch("restore", str(file), "--data", str(tmp_path / "new")).err
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    assert moonlatch("restore", str(file), "--data", str(tmp_path / "new")).status == 0
    assert (tmp_path / "new" / "master.key").read_text() == "ab" * 32 + "\n"


def test_another_passphrase_does_not_restore_it(
    moonlatch: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear, file = tmp_path / "monday.zip", tmp_path / "monday.age"
    assert moonlatch("backup", str(clear), "--data", str(folder)).status == 0
    file.write_bytes(quick_age.encrypted(clear.read_bytes(), PASSPHRASE))
    monkeypatch.setenv(VARIABLE, "some other words of mine")
    ended = moonlatch("restore", str(file), "--data", str(tmp_path / "new"))
    assert (ended.status, (tmp_path / "new").exists()) == (1, False)
    assert "with this passphrase" in ended.err
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    assert moonlatch("restore", str(file), "--data", str(tmp_path / "new")).status == 0


def test_what_cannot_be_an_encryption_writes_nothing(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.age"
    monkeypatch.setenv(VARIABLE, "too short")
    for options, why in (
        (("--recipient", "age1nobody"), "is not a recipient"),
        (("--recipient", str(keys[1].read_text().splitlines()[-1])), "is not a recipient"),
        (("--passphrase",), "fewer than 12 characters"),
        (("--passphrase", "--recipient", keys[0]), "not to both"),
    ):
        ended = moonlatch("backup", str(file), "--data", str(folder), *options)
        assert ended.status == 1
        assert why in ended.err
        assert not file.exists()


def test_a_damaged_encrypted_backup_restores_nothing(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "x.age"
    backed_up(moonlatch, folder, file, "--recipient", keys[0])
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content in (whole[:-1], bytes(flipped), whole[:100], b"age-encryption.org/v1\n-> X25519 \n"):
        file.write_bytes(content)
        ended = moonlatch("restore", str(file), "--data", str(tmp_path / "new"), "--identity", str(keys[1]))
        assert (ended.status, (tmp_path / "new").exists()) == (1, False)
        assert "Traceback" not in ended.err
        assert str(file) in ended.err


def test_an_identity_is_not_asked_for_in_vain(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path
) -> None:
    clear, encrypted = tmp_path / "x.zip", tmp_path / "x.age"
    assert moonlatch("backup", str(clear), "--data", str(folder)).status == 0
    backed_up(moonlatch, folder, encrypted, "--recipient", keys[0])
    into = ("--data", str(tmp_path / "new"), "--identity")
    assert "is not encrypted" in moonlatch("restore", str(clear), *into, str(keys[1])).err
    nothing = tmp_path / "nothing.txt"
    nothing.write_text("# a comment\n")
    assert "holds no identity" in moonlatch("restore", str(encrypted), *into, str(nothing)).err
    assert "is not a file of identities" in moonlatch("restore", str(encrypted), *into, str(clear)).err


def test_without_the_library_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyrage'] = None\n"
        "from moonlatch.cli import main\n"
        f"main(['backup', {str(tmp_path / 'x.age')!r}, '--data', {str(folder)!r}, '--recipient', 'age1x'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "pip install 'moonlatch[age]'" in ended.stderr


def slowly_restored(file: Path, identity: Path, data: Path) -> HeardCommand:
    """A restore that waits for its identity, which somebody is to write into a pipe."""
    os.mkfifo(identity)
    return HeardCommand(["restore", str(file), "--data", str(data), "--identity", str(identity)], os.environ)


def test_no_server_starts_in_a_folder_that_is_being_restored(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path
) -> None:
    file, pipe, new = tmp_path / "x.age", tmp_path / "pipe", tmp_path / "new"
    backed_up(moonlatch, folder, file, "--recipient", keys[0])
    restoring = slowly_restored(file, pipe, new)
    with pipe.open("w") as identity:  # it waits for its reader
        with pytest.raises(AssertionError, match="another server is running"):
            MoonlatchServer(new).start()
        again = moonlatch("restore", str(file), "--data", str(new), "--identity", str(keys[1]))
        assert (again.status, "a backup is being restored into it" in again.err) == (1, True)
        identity.write(keys[1].read_text())
    said = restoring.communicate(timeout=60)[1]
    assert restoring.returncode == 0, said
    assert sorted(path.name for path in new.iterdir()) == ["master.key", "moonlatch.db"]
    with MoonlatchServer(new):
        pass


def test_what_a_command_makes_in_the_folder_meanwhile_stays(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path
) -> None:
    file, pipe, new = tmp_path / "x.age", tmp_path / "pipe", tmp_path / "new"
    backed_up(moonlatch, folder, file, "--recipient", keys[0])
    restoring = slowly_restored(file, pipe, new)
    with pipe.open("w") as identity:
        assert moonlatch("accounts", "create", "bob", "--data", str(new)).status == 0
        identity.write(keys[1].read_text())
    said = restoring.communicate(timeout=60)[1]
    assert restoring.returncode == 1
    assert "is not empty" in said
    assert [path.name for path in new.iterdir()] == ["moonlatch.db"]
    assert "bob" in moonlatch("accounts", "list", "--data", str(new)).out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_command_that_is_ended_leaves_nothing_in_the_clear(
    moonlatch: Command, folder: Path, keys: tuple[str, Path], tmp_path: Path, number: signal.Signals
) -> None:
    """Not for longer than until the next one, where it was killed."""
    file, new = tmp_path / "x.age", tmp_path / "new"
    for event, arguments in (
        ("pyrage encrypts", ["backup", str(file), "--data", str(folder), "--recipient", keys[0]]),
        ("moonlatch unpacks", ["restore", str(file), "--data", str(new), "--identity", str(keys[1])]),
    ):
        stopped = subprocess.Popen([sys.executable, "-c", STOPPED, event, *arguments])
        _, status = os.waitpid(stopped.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        left = [path for place in (folder, tmp_path) for path in place.glob(".moonlatch-*/*")]
        assert any(b"ab" * 32 in path.read_bytes() or path.read_bytes().startswith(b"PK") for path in left)
        os.kill(stopped.pid, number)
        os.kill(stopped.pid, signal.SIGCONT)
        assert stopped.wait(60) in (-number, 128 + number)
        if number == signal.SIGKILL:
            assert moonlatch(*arguments).status == 0
        elif arguments[0] == "backup":
            assert not file.exists()
            backed_up(moonlatch, folder, file, "--recipient", keys[0])
        assert [path.name for place in (folder, tmp_path) for path in place.glob(".moonlatch-*")] == []
    assert new.exists() is (number == signal.SIGKILL)


STOPPED = """
import os, runpy, signal, sys

import pyrage
from moonlatch.cli import restore

where = sys.argv.pop(1)
held, unpacked = pyrage.encrypt_io, restore._restore

def stopped(work):
    def first_stopped(*arguments):
        os.kill(os.getpid(), signal.SIGSTOP)
        return work(*arguments)
    return first_stopped

if where == "pyrage encrypts":
    pyrage.encrypt_io = stopped(held)
else:
    restore._restore = stopped(unpacked)
sys.argv[0] = "moonlatch"
runpy.run_module("moonlatch", run_name="__main__")
"""
