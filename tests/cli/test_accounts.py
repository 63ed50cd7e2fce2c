"""`accounts` and `tokens`: what they write is what the server reads."""

from __future__ import annotations

import asyncio
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
    token = stored_token(created["token"])
    assert token is not None
    assert token.account_id == created["id"]
    assert created["token"].encode() not in b"".join(file.read_bytes() for file in Path("data").iterdir())


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
    assert moonlatch("accounts", "create", "ann", "--json").json["tier"] == "pro"


def test_accounts_are_listed_with_what_they_have(moonlatch: Command) -> None:
    moonlatch("accounts", "create", "ann")
    moonlatch("accounts", "create", "bob", "--expires", "2020-01-01")
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
    stored = stored_token(made["token"])
    assert stored is not None
    assert (stored.name, stored.ip_allow) == ("bot", ("192.0.2.0/24", "::1/128"))
    assert stored.expires_at == end_of_utc_day_ms("2030-01-31")
    assert moonlatch("tokens", "revoke", "ann", made["id"]).status == 0
    first, second = moonlatch("tokens", "list", "ann", "--json").json
    assert (first["revoked_at"], second["id"]) == (None, made["id"])
    assert second["revoked_at"] is not None
    assert "token" not in second
    lines = moonlatch("tokens", "list", "ann").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["good", "2030-01-31"]
    assert "revoked" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("accounts", "create", "ann"), "there is an account 'ann' already"),
        (("accounts", "create", "eve", "--tier", "gold"), "there is no tier 'gold'"),
        (("accounts", "create", "eve", "--expires", "soon"), "'soon' is no date"),
        (("accounts", "create", "eve", "--expires", "2030-02-30"), "'2030-02-30' is no date"),
        (("accounts", "create", ""), "a name should be 1 to 100 printable characters"),
        (("accounts", "create", "a\nb"), "a name should be 1 to 100 printable characters"),
        (("accounts", "set", "eve", "--tier", "pro"), "there is no account 'eve'"),
        (("accounts", "set", "ann"), "nothing to change"),
        (("accounts", "set", "ann", "--tier", "gold"), "there is no tier 'gold'"),
        (("tokens", "create", "eve"), "there is no account 'eve'"),
        (("tokens", "create", "ann", "--ip", "here"), "'here' is no IP address"),
        (("tokens", "list", "eve"), "there is no account 'eve'"),
        (("tokens", "revoke", "ann", "x"), "'ann' has no token 'x'"),
    ],
)
def test_a_fault_is_told_in_a_sentence_and_changes_nothing(
    moonlatch: Command, arguments: tuple[str, ...], message: str
) -> None:
    moonlatch("accounts", "create", "ann")
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
    assert (ended.status, ended.err) == (1, "error: the data folder file/data cannot be made: Not a directory\n")


def test_a_file_that_is_no_database_is_told(moonlatch: Command) -> None:
    Path("data").mkdir()
    Path("data/moonlatch.db").write_text("not a database" * 100)
    ended = moonlatch("accounts", "list")
    assert ended.status == 1
    assert "file is not a database" in ended.err
    assert "Traceback" not in ended.err
