"""`moonlatch public-key`."""

from __future__ import annotations

import json
from pathlib import Path

from moonlatch.keyring import Keyring
from moonlatch.master_key import MASTER_KEY_NAME
from support.commands import Command

KEY = "ab" * 32
PUBLIC = Keyring(bytes.fromhex(KEY)).public_key.hex()


def test_it_prints_the_line_that_pins_the_installations_key(moonlatch: Command, tmp_path: Path) -> None:
    (tmp_path / MASTER_KEY_NAME).write_text(KEY)
    assert moonlatch("public-key", "--data", str(tmp_path)).out == f'moonlatch_key = "{PUBLIC}"\n'
    assert json.loads(moonlatch("public-key", "--data", str(tmp_path), "--json").out) == {"public_key": PUBLIC}


def test_it_makes_no_key_and_shows_none_that_cannot_be_read(moonlatch: Command, tmp_path: Path) -> None:
    ended = moonlatch("public-key", "--data", str(tmp_path))
    assert (ended.status, "there is no master key at" in ended.err) == (1, True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / MASTER_KEY_NAME).write_text("not a key")
    ended = moonlatch("public-key", "--data", str(tmp_path))
    assert (ended.status, "is not a Moonlatch master key" in ended.err) == (1, True)
