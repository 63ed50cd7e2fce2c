"""Commands on an installation whose data is in PostgreSQL, and moving one there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moonlatch.master_key import MasterKeySource
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.migration import migrate_postgres
from support.commands import Command
from support.services import wait_for

NEWEST = len(shipped_migrations("postgres"))


@pytest.fixture
def on_postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MOONLATCH_DATABASE_URL", postgres_url)
    return postgres_url


def test_accounts_and_tokens_are_made_in_the_database_and_not_in_the_folder(
    moonlatch: Command, on_postgres: str, tmp_path: Path
) -> None:
    created = moonlatch("accounts", "create", "ann", "--json").json
    assert moonlatch("accounts", "create", "ann").status == 1
    token = moonlatch("tokens", "create", "ann", "--name", "bot", "--json").json
    assert moonlatch("accounts", "set", "ann", "--expires", "2030-12-31").status == 0

    assert [account["name"] for account in moonlatch("accounts", "list", "--json").json] == ["ann"]
    assert {one["id"] for one in moonlatch("tokens", "list", "ann", "--json").json} >= {token["token"]["id"]}
    assert created["secret"] != token["secret"]
    assert moonlatch("tokens", "revoke", "ann", token["token"]["id"]).status == 0
    assert not (tmp_path / "data" / "moonlatch.db").exists()


def test_migrate_makes_the_schema_and_then_has_nothing_to_do(moonlatch: Command, postgres_url: str) -> None:
    first = moonlatch("migrate", "--database-url", postgres_url, "--json").json
    second = moonlatch("migrate", "--database-url", postgres_url)

    assert (len(first["applied"]), first["applied"][0], first["version"]) == (NEWEST, "0001_initial", NEWEST)
    assert second.out == f"The schema is up to date: version {NEWEST}.\n"


def test_an_old_schema_is_refused_with_what_to_do(moonlatch: Command, on_postgres: str) -> None:
    wait_for(lambda: migrate_postgres(on_postgres, shipped_migrations("postgres")[:1]))

    refused = moonlatch("accounts", "list")
    assert (refused.status, "0002" in refused.err, " migrate " in refused.err) == (1, True, True)

    assert moonlatch("migrate").status == 0
    assert moonlatch("accounts", "list").status == 0


def test_migrate_brings_a_sqlite_file_up_to_date(moonlatch: Command) -> None:
    assert moonlatch("migrate").status == 1
    moonlatch("accounts", "create", "ann")

    assert moonlatch("migrate", "--json").json == {"applied": [], "version": NEWEST}


def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    moonlatch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/moonlatch")

    refused = moonlatch("accounts", "list")

    assert refused.status == 1
    assert "PostgreSQL cannot be reached" in refused.err
    assert "hunter2" not in refused.err + refused.out


def test_the_database_url_is_never_shown(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_DATABASE_URL", "postgresql://me:hunter2@db/moonlatch")
    shown = moonlatch("config")
    assert re.search(r"database_url +\S*\*{10}", shown.out)
    assert "hunter2" not in shown.out + moonlatch("config", "--json").out

    monkeypatch.setenv("MOONLATCH_DATABASE_URL", "mysql://me:hunter2@db/moonlatch")
    refused = moonlatch("config")
    assert refused.status == 1
    assert "should look like postgresql://" in refused.err
    assert "hunter2" not in refused.err + refused.out


def test_an_installation_moves_to_postgresql(
    moonlatch: Command, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moonlatch("accounts", "create", "ann", "--data", "old")
    before = (tmp_path / "old" / "moonlatch.db").read_bytes()

    monkeypatch.setenv("MOONLATCH_DATABASE_URL", postgres_url)
    moved = moonlatch("transfer", "old")
    assert moved.status == 0, moved.err
    assert "master.key" in moved.out
    assert re.search(r"accounts +1 +[0-9a-f]{16}", moved.out)
    assert (tmp_path / "old" / "moonlatch.db").read_bytes() == before
    assert moonlatch("transfer", "old", postgres_url).status == 1

    assert [account["name"] for account in moonlatch("accounts", "list", "--json").json] == ["ann"]


def test_there_must_be_something_to_move(moonlatch: Command, postgres_url: str) -> None:
    refused = moonlatch("transfer", "nowhere", postgres_url)

    assert (refused.status, "no Moonlatch data" in refused.err) == (1, True)


def test_a_backup_beside_postgresql_holds_the_rest_and_says_so(
    moonlatch: Command, on_postgres: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    MasterKeySource(tmp_path / "data").open()

    saved = moonlatch("backup", "saved.zip", "--json")
    assert saved.json["members"] == ["master.key"]
    assert "pg_dump" in saved.err

    assert moonlatch("restore", "saved.zip", "--data", "again").status == 0
    assert (tmp_path / "again/master.key").read_bytes() == (tmp_path / "data/master.key").read_bytes()
