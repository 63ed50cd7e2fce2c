"""`accounts` and `tokens`: what they write is what the server reads."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from moonlatch.clock import end_of_utc_day_ms
from moonlatch.crypto import token_hash
from moonlatch.storage import tokens
from support.commands import Command
from support.database import opened


def stored_token(secret: str) -> tokens.Token | None:
    async def find() -> tokens.Token | None:
        async with opened(Path("data/moonlatch.db")) as database:
            return await tokens.find_by_hash(database, token_hash(secret))

    return asyncio.run(find())


def test_a_new_account_has_a_token_that_is_stored_only_as_a_hash(moonlatch: Command) -> None:
    created = moonlatch("accounts", "create", "ann", "--json").json
    token = stored_token(created["secret"])
    assert token is not None
    assert token.account_id == created["account"]["id"]
    assert created["secret"].encode() not in b"".join(file.read_bytes() for file in Path("data").iterdir())


def test_the_token_of_a_new_account_is_shown_on_a_line_of_its_own(moonlatch: Command) -> None:
    shown = moonlatch("accounts", "create", "ann").out
    (secret,) = (line.strip() for line in shown.splitlines() if line.strip().startswith("ml_"))
    assert stored_token(secret) is not None


def test_tier_and_expiry_are_kept_and_can_be_changed(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann", "--tier", "pro", "--expires", "2030-01-31")
    (before,) = moonlatch("accounts", "list", "--json").json
    assert (before["tier"], before["expires_at"]) == ("pro", end_of_utc_day_ms("2030-01-31"))
    assert moonlatch("accounts", "set", "ann", "--tier", "free", "--expires", "never").status == 0
    (after,) = moonlatch("accounts", "list", "--json").json
    assert (after["tier"], after["expires_at"], after["id"]) == ("free", None, before["id"])


def test_a_change_of_one_thing_leaves_the_other(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann", "--tier", "pro", "--expires", "2030-01-31")
    assert moonlatch("accounts", "set", "ann", "--tier", "free", "--json").json["expires_at"] is not None
    assert moonlatch("accounts", "set", "ann", "--expires", "never", "--json").json["tier"] == "free"


def test_without_a_tier_the_configured_default_holds(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_DEFAULT_TIER", "pro")
    assert moonlatch("accounts", "create", "ann", "--json").json["account"]["tier"] == "pro"


def test_accounts_are_listed_with_what_they_have(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann")
    moonlatch("accounts", "create", "bob")
    moonlatch("accounts", "set", "bob", "--expires", "2020-01-01")
    heading, first, second = moonlatch("accounts", "list").out.splitlines()
    assert heading.split() == ["account", "tier", "expires", "projects", "scripts", "users", "id"]
    assert first.split()[:6] == ["ann", "unlimited", "never", "0", "0", "0"]
    assert second.split()[:4] == ["bob", "unlimited", "2020-01-01", "(expired)"]


def test_a_token_can_be_limited_listed_and_revoked(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann")
    made = moonlatch(
        *("tokens", "create", "ann", "--name", "bot", "--expires", "2030-01-31"),
        *("--ip", "192.0.2.0/24", "--ip", "::1", "--json"),
    ).json
    stored = stored_token(made["secret"])
    assert stored is not None
    assert (stored.name, stored.ip_allow) == ("bot", ("192.0.2.0/24", "::1/128"))
    assert stored.expires_at == end_of_utc_day_ms("2030-01-31")
    assert moonlatch("tokens", "revoke", "ann", made["token"]["id"]).status == 0
    first, second = moonlatch("tokens", "list", "ann", "--json").json
    assert (first["revoked_at"], second["id"]) == (None, made["token"]["id"])
    assert second["revoked_at"] is not None
    assert second == {**made["token"], "revoked_at": second["revoked_at"]}
    lines = moonlatch("tokens", "list", "ann").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["good", "2030-01-31"]
    assert "revoked" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("accounts", "create", "ann"), "there is an account 'ann' already"),
        (("accounts", "create", "eve", "--tier", "gold"), "there is no tier 'gold'"),
        (("accounts", "create", "eve", "--expires", "soon"), "'soon' is not a date"),
        (("accounts", "create", "eve", "--expires", "2030-02-30"), "'2030-02-30' is not a date"),
        (("accounts", "create", "eve", "--expires", "0203-02-28"), "'0203-02-28' is not a date"),
        (("accounts", "create", "eve", "--expires", "2020-01-01"), "'2020-01-01' is in the past"),
        (("accounts", "set", "ann", "--expires", "1970-01-31"), "'1970-01-31' is not a date"),
        (("tokens", "create", "ann", "--expires", "2020-01-01"), "'2020-01-01' is in the past"),
        (("accounts", "create", ""), "a name should be 1 to 100 printable characters"),
        (("accounts", "create", "a\nb"), "a name should be 1 to 100 printable characters"),
        (("accounts", "set", "eve", "--tier", "pro"), "there is no account 'eve'"),
        (("accounts", "set", "ann"), "nothing to change"),
        (("accounts", "set", "ann", "--tier", "gold"), "there is no tier 'gold'"),
        (("accounts", "rename", "eve", "ann"), "there is no account 'eve'"),
        (("accounts", "rename", "ann", "bob"), "there is an account 'bob' already"),
        (("accounts", "rename", "ann", ""), "a name should be 1 to 100 printable characters"),
        (("accounts", "remove", "eve", "--yes"), "there is no account 'eve'"),
        (("tokens", "create", "eve"), "there is no account 'eve'"),
        (("tokens", "create", "ann", "--ip", "here"), "'here' is not an IP address"),
        (("tokens", "list", "eve"), "there is no account 'eve'"),
        (("tokens", "revoke", "ann", "x"), "'ann' has no token 'x'"),
    ],
)
def test_a_fault_is_told_in_a_sentence_and_changes_nothing(
    moonlatch: Command, arguments: tuple[str, ...], message: str
) -> None:
    moonlatch("accounts", "create", "ann")
    moonlatch("accounts", "create", "bob")
    before = moonlatch("accounts", "list", "--json").json, moonlatch("tokens", "list", "ann", "--json").json
    ended = moonlatch(*arguments)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {message}")
    assert (moonlatch("accounts", "list", "--json").json, moonlatch("tokens", "list", "ann", "--json").json) == before


def test_a_folder_without_data_is_not_filled_by_looking_at_it(moonlatch: Command) -> None:
    ended = moonlatch("accounts", "list", "--data", "elsewhere")
    assert ended.status == 1
    assert "there is no Moonlatch data in elsewhere" in ended.err
    assert not Path("elsewhere").exists()


def test_a_data_folder_that_cannot_be_made_is_told(moonlatch: Command) -> None:
    Path("file").write_text("")
    ended = moonlatch("accounts", "create", "ann", "--data", "file/data")
    assert ended.status == 1
    assert ended.err.startswith("error: the data folder file/data cannot be made or written to: Not a directory\n")


@pytest.mark.parametrize(
    "options", [("--tier", "gold"), ("--expires", "soon"), ("--database-url",)], ids=lambda options: options[0]
)
def test_an_account_that_is_refused_leaves_no_folder(
    moonlatch: Command, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    if options == ("--database-url",):
        monkeypatch.setenv("MOONLATCH_DATABASE_URL", "postgresql://127.0.0.1:1/nobody")
        options = ()
    assert moonlatch("accounts", "create", "ann", *options, "--data", "new/data").status == 1
    assert not Path("new").exists()


def test_a_hint_can_be_pasted_whatever_the_folder_and_the_account_are_called(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann's bot", "--data", "my data")
    refused = moonlatch("tokens", "revoke", "ann's bot", "x", "--data", "my data")
    (command,) = re.findall("`(.*)`", refused.err)
    pasted = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, cwd="/")
    assert "first token" in pasted.stdout


def test_a_renamed_account_is_the_same_one(moonlatch: Command) -> None:
    created = moonlatch("accounts", "create", "ann", "--json").json
    assert moonlatch("accounts", "rename", "ann", "bob").out == "Account 'ann' is called 'bob' now.\n"
    (account,) = moonlatch("accounts", "list", "--json").json
    assert (account["id"], account["name"]) == (created["account"]["id"], "bob")
    assert [token["id"] for token in moonlatch("tokens", "list", "bob", "--json").json] == [created["token"]["id"]]
    assert moonlatch("tokens", "list", "ann").status == 1


def test_an_account_is_removed_once_its_name_is_typed(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = moonlatch("accounts", "create", "ann", "--json").json["secret"]
    for typed in ("", "yes\n", "bob\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        refused = moonlatch("accounts", "remove", "ann")
        assert (refused.status, "nothing was removed" in refused.err) == (1, True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("ann\n"))
    removed = moonlatch("accounts", "remove", "ann")
    assert (removed.status, removed.out) == (0, "Account 'ann' was removed.\n")
    assert "Type its name" in removed.err
    assert moonlatch("accounts", "list", "--json").json == []
    assert stored_token(secret) is None


def test_a_file_that_is_no_database_is_told(moonlatch: Command) -> None:
    Path("data").mkdir()
    Path("data/moonlatch.db").write_text("not a database" * 100)
    ended = moonlatch("accounts", "list")
    assert ended.status == 1
    assert "file is not a database" in ended.err
    assert "Traceback" not in ended.err
