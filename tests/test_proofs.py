"""Passwords, one-time codes, recovery codes and secrets: against the specifications' own numbers where they have some."""

from __future__ import annotations

import base64
import re

import pytest

from moonlatch import proofs
from moonlatch.licensing.signing_in import totp_steps


def test_a_hash_is_of_its_password_alone_and_never_twice_the_same() -> None:
    one, other = proofs.password_hash("correct horse battery"), proofs.password_hash("correct horse battery")
    assert one != other
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert proofs.password_matches("correct horse battery", one)
    assert not proofs.password_matches("correct horse batterx", one)


def test_a_hash_with_other_parameters_is_read_and_replaced() -> None:
    # Of the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -e`.
    old = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
    assert proofs.password_matches("password", old)
    assert not proofs.password_matches("Password", old)
    assert proofs.needs_new_hash(old)
    assert not proofs.needs_new_hash(proofs.password_hash("x"))


# RFC 6238, appendix B, of which six digits are used.
SECRET = base64.b32encode(b"12345678901234567890").decode()
CODES = {
    59: "287082",
    1_111_111_109: "081804",
    1_111_111_111: "050471",
    1_234_567_890: "005924",
    2_000_000_000: "279037",
}


@pytest.mark.parametrize(("seconds", "code"), CODES.items())
def test_codes_are_those_of_the_specification(seconds: int, code: str) -> None:
    assert proofs.totp_code(SECRET, seconds // 30) == code
    assert proofs.totp_step(SECRET, code, totp_steps(seconds * 1000)) == seconds // 30


def test_a_code_is_good_one_step_early_and_late() -> None:
    now = 2_000_000_000_000
    step = now // 30_000
    taken = [
        away
        for away in range(-3, 4)
        if proofs.totp_step(SECRET, proofs.totp_code(SECRET, step + away), totp_steps(now))
    ]
    assert taken == [-1, 0, 1]
    assert proofs.totp_step(SECRET, "", totp_steps(now)) is None
    assert proofs.totp_step(SECRET, "٢٧٩٠٣٧", totp_steps(now)) is None


def test_an_app_is_given_what_it_can_read() -> None:
    secret = proofs.new_totp_secret()
    assert re.fullmatch(r"[A-Z2-7]{32}", secret)
    url = proofs.totp_url(secret, issuer="Moonlatch", name="a b@example.com")
    assert url == f"otpauth://totp/Moonlatch%3Aa%20b%40example.com?secret={secret}&issuer=Moonlatch"


def test_recovery_codes_are_the_same_however_they_are_typed() -> None:
    codes = proofs.new_recovery_codes(10)
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", code)
        assert proofs.recovery_code_hash("m", code) == proofs.recovery_code_hash("m", code.upper().replace("-", " "))
        assert proofs.recovery_code_hash("m", code) != proofs.recovery_code_hash("n", code)


def test_what_a_page_shows_it_may_read_is_the_sessions_own() -> None:
    one, other = proofs.new_secret(), proofs.new_secret()
    assert len(one) == 43
    assert proofs.csrf_token(one) == proofs.csrf_token(one) != proofs.csrf_token(other)
    assert proofs.secret_hash(one).hex() != proofs.csrf_token(one)
