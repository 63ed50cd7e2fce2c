"""`moonlatch members`: nobody is locked out of their own server."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Command

NAME = "ana@example.com"


@pytest.fixture
def data(moonlatch: Command, tmp_path: Path) -> str:
    """A data folder with an account."""
    folder = str(tmp_path / "data")
    assert moonlatch("accounts", "create", "owner", "--data", folder).status == 0
    return folder


def invited(moonlatch: Command, data: str, name: str = NAME, role: str = "owner") -> dict[str, object]:
    made = moonlatch("members", "invite", "owner", name, "--role", role, "--data", data, "--json")
    assert made.status == 0, made.err
    return made.json


def test_a_member_is_invited_listed_and_removed(moonlatch: Command, data: str) -> None:
    made = invited(moonlatch, data)
    assert str(made["url"]) == f"http://127.0.0.1:8400/dashboard/#/invite/{made['secret']}"
    (listed,) = moonlatch("members", "list", "owner", "--data", data, "--json").json
    assert (listed["sign_in_name"], listed["role"], listed["state"]) == (NAME, "owner", "invited")
    shown = moonlatch("members", "list", "owner", "--data", data)
    assert NAME in shown.out
    assert str(made["secret"]) not in shown.out
    assert moonlatch("members", "remove", NAME.upper(), "--data", data).status == 0
    assert moonlatch("members", "list", "owner", "--data", data, "--json").json == []


def test_a_link_is_printed_with_its_end(moonlatch: Command, data: str) -> None:
    invited(moonlatch, data)
    made = moonlatch("members", "link", NAME, "--data", data)
    assert "http://127.0.0.1:8400/dashboard/#/invite/" in made.out
    assert "good once" in made.out


def test_a_member_is_changed(moonlatch: Command, data: str) -> None:
    invited(moonlatch, data)
    changed = moonlatch("members", "set", NAME, "--role", "support", "--disable", "--data", data, "--json")
    assert (changed.json["role"], changed.json["state"]) == ("support", "disabled")
    assert moonlatch("members", "set", NAME, "--enable", "--data", data, "--json").json["state"] == "invited"
    assert moonlatch("members", "reset-second-factor", NAME, "--data", data).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("invite", "nobody", NAME), "there is no account 'nobody'"),
        (("invite", "owner", "a b"), "sign_in_name must be an e-mail address or a name"),
        (("invite", "owner", NAME, "--role", "king"), "there is no role 'king'"),
        (("invite", "owner", "b@example.com", "--project", "x"), "'x' is not one"),
        (("invite", "owner", "B@EXAMPLE.com"), ""),
        (("link", "nobody"), "nobody signs in as 'nobody'"),
        (("set", "nobody"), "nothing to change"),
        (("set", "nobody", "--enable"), "nobody signs in as 'nobody'"),
        (("remove", "nobody"), "nobody signs in as 'nobody'"),
    ],
)
def test_a_mistake_is_told(moonlatch: Command, data: str, arguments: tuple[str, ...], said: str) -> None:
    ended = moonlatch("members", *arguments, "--data", data)
    assert ended.status == (1 if said else 0)
    assert said in ended.err


def test_a_sign_in_name_is_taken_once(moonlatch: Command, data: str) -> None:
    invited(moonlatch, data)
    again = moonlatch("members", "invite", "owner", NAME, "--data", data)
    assert (again.status, "sign-in name is taken" in again.err) == (1, True)
