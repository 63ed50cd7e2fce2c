"""The rules of signing in."""

from __future__ import annotations

import pytest

from moonlatch.licensing.signing_in import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    SignInRules,
    canonical_name,
    canonical_password,
    is_loopback_name,
    weakness,
)

RULES = SignInRules(url="https://panel.example.com", idle_ms=100, absolute_ms=1_000, recent_ms=10)


def test_a_session_ends_by_whichever_comes_first() -> None:
    assert RULES.session_ends_at(0, 0) == 100
    assert RULES.session_ends_at(0, 850) == 950
    assert RULES.session_ends_at(0, 999) == 1_000


def test_a_proof_is_recent_for_a_while_and_for_nobody_without_one() -> None:
    assert RULES.is_recent(5, 14)
    assert not RULES.is_recent(5, 15)
    assert not RULES.is_recent(None, 0)


def test_a_links_secret_is_behind_the_hash_sign() -> None:
    before, _, behind = RULES.link("SECRET").partition("#")
    assert (before, behind) == ("https://panel.example.com/dashboard/", "/invite/SECRET")


@pytest.mark.parametrize("name", ["Ana@Example.com", "ana", "a_b-c.d+e%f"])
def test_a_sign_in_name_has_one_spelling(name: str) -> None:
    assert canonical_name(name) == name.lower()


@pytest.mark.parametrize("name", ["", "a", "ä@example.com", "a b", "a\n", "ana@example.com\n", "x" * 255])
def test_what_is_not_a_sign_in_name(name: str) -> None:
    with pytest.raises(ValueError, match="must be an e-mail address or a name"):
        canonical_name(name)


@pytest.mark.parametrize("password", ["x" * (MIN_PASSWORD - 1), "xy" * MAX_PASSWORD, "a" * 20, "ANA.LONG.NAME"])
def test_a_password_that_is_too_weak(password: str) -> None:
    assert weakness(password, sign_in_name="ana.long.name@example.com") is not None


@pytest.mark.parametrize("password", ["only small letters", "123456789012", "пароль пароль", "x" * 255 + "y"])
def test_a_password_needs_no_kinds_of_characters(password: str) -> None:
    assert weakness(password, sign_in_name="ana@example.com") is None


def test_a_password_is_the_same_however_it_is_composed() -> None:
    assert canonical_password("cafe\u0301") == canonical_password("caf\u00e9")
    assert canonical_password("ﬁ") != canonical_password("fi")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0", False),
        ("192.168.0.1", False),
        ("", False),
    ],
)
def test_which_names_are_always_this_machine(host: str, is_local: bool) -> None:
    assert is_loopback_name(host) is is_local
