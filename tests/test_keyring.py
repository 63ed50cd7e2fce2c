"""The ring of master keys: the current one makes what is new, and what each made stays good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import moonlatch
from moonlatch import crypto
from moonlatch.crypto import LURAPH_KEY, MasterKey, UnreadableSecretError, seal_mark
from moonlatch.keyring import MOST_KEYS, Arrangement, Keyring, lines_of
from moonlatch.storage.sealed import PLACES

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
BEFORE, RING = Keyring(OLD), Keyring(NEW, OLD)
ARRANGED = RING.arranged(Arrangement(RING.current.id, BEFORE.current.id))
NONCE = "0190a1b2c3d" + "f" * 32


def unmarked(sealed: bytes) -> bytes:
    """As an earlier version sealed it."""
    return sealed.removeprefix(seal_mark(BEFORE.current.id))


def test_the_first_is_in_use_until_the_database_says_otherwise() -> None:
    assert RING.current.id == MasterKey(NEW).id == MasterKey(NEW).check_value().hex()[:8]
    other = RING.arranged(Arrangement(BEFORE.current.id, BEFORE.current.id))
    assert (other.current.id, [key.id for key in other.older]) == (BEFORE.current.id, [RING.current.id])


@pytest.mark.parametrize("is_marked", [True, False])
def test_what_an_older_key_sealed_is_opened(is_marked: bool) -> None:
    sealed = BEFORE.seal_secret(LURAPH_KEY, "owner", "a-secret")
    assert ARRANGED.open_secret(LURAPH_KEY, "owner", sealed if is_marked else unmarked(sealed)) == "a-secret"
    again = ARRANGED.seal_secret(LURAPH_KEY, "owner", "a-secret")
    assert again.startswith(seal_mark(ARRANGED.current.id))
    with pytest.raises(UnreadableSecretError):
        BEFORE.open_secret(LURAPH_KEY, "owner", again)
    with pytest.raises(UnreadableSecretError):
        ARRANGED.open_secret(LURAPH_KEY, "another", sealed)


def test_a_loader_keeps_its_secret_its_signatures_and_the_ids_of_its_instances() -> None:
    for loader in ("A" * 32, BEFORE.new_loader_id()):  # of before ids named a key, and of after
        key = ARRANGED.of_loader(loader)
        assert key is not None
        assert key.public_key == BEFORE.public_key
        assert ARRANGED.loader_secret(loader) == BEFORE.loader_secret(loader)
        assert ARRANGED.instance_id(loader, NONCE) == BEFORE.instance_id(loader, NONCE)
    new = ARRANGED.new_loader_id()
    assert re.fullmatch(r"[A-Za-z0-9]{32}", new)
    assert ARRANGED.of_loader(new) is ARRANGED.current
    assert ARRANGED.loader_secret(new) == Keyring(NEW).loader_secret(new)


def test_a_loader_whose_key_was_retired_has_none() -> None:
    third = Keyring(bytes(32))
    ring = Keyring(NEW).arranged(Arrangement(RING.current.id, BEFORE.current.id, [BEFORE.current.id, third.current.id]))
    assert [ring.of_loader(loader) for loader in ("A" * 32, BEFORE.new_loader_id(), third.new_loader_id())] == [
        None
    ] * 3
    assert ring.of_loader(ring.new_loader_id()) is ring.current
    still_there = RING.arranged(Arrangement(RING.current.id, BEFORE.current.id, [BEFORE.current.id]))
    assert still_there.of_loader(BEFORE.new_loader_id()) is not None


def test_tokens_of_every_key_are_good_and_no_others() -> None:
    for ring in (BEFORE, Keyring(NEW)):
        assert ARRANGED.is_instance_mac(b"claims", ring.instance_mac(b"claims"))
    assert not ARRANGED.is_instance_mac(b"claims", Keyring(bytes(32)).instance_mac(b"claims"))
    assert not ARRANGED.is_instance_mac(b"other claims", BEFORE.instance_mac(b"claims"))
    assert ARRANGED.instance_mac(b"claims") == Keyring(NEW).instance_mac(b"claims")


def test_which_older_keys_copies_need_is_noted() -> None:
    ring = RING.arranged(Arrangement(RING.current.id, BEFORE.current.id))
    ring.instance_mac(b"claims", ring.new_loader_id())
    assert ring.taken_uses() == set()
    ring.instance_mac(b"claims", "A" * 32)
    assert ring.taken_uses() == {BEFORE.current.id}
    assert ring.taken_uses() == set()


def test_devices_are_hashed_as_before() -> None:
    given = ARRANGED.arranged(Arrangement(RING.current.id, BEFORE.current.id, identity_key=BEFORE.identity_key))
    for ring in (RING, given):
        assert ring.fingerprint("P", "ip", "192.0.2.7") == BEFORE.fingerprint("P", "ip", "192.0.2.7")
    assert given.open_identity_key(given.seal_identity_key()) == BEFORE.identity_key
    assert Keyring(NEW).fingerprint("P", "ip", "192.0.2.7") != BEFORE.fingerprint("P", "ip", "192.0.2.7")


def test_keys_and_requests_are_looked_for_under_every_key() -> None:
    assert ARRANGED.user_key_hashes("key") == [Keyring(NEW).user_key_hash("key"), BEFORE.user_key_hash("key")]
    assert ARRANGED.is_request_hash(b"content", BEFORE.request_hash(b"content"))
    assert ARRANGED.is_request_hash(b"content", ARRANGED.request_hash(b"content"))
    assert not ARRANGED.is_request_hash(b"another", BEFORE.request_hash(b"content"))


def test_lines_have_remarks_and_gaps() -> None:
    text = f"{NEW.hex()} # 1a2b, made today\n\n# an older one\n  {OLD.hex().upper()}  \n"
    lines = lines_of(text, "x")
    assert [(line.master, line.remark) for line in lines] == [(NEW, "1a2b, made today"), (OLD, "")]
    assert lines_of("".join(f"{line}\n" for line in lines), "x") == lines
    assert NEW.hex() not in repr(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "x is not a Moonlatch master key: it must be 64 hexadecimal digits"),
        ("# nothing\n", "it must be 64 hexadecimal digits"),
        (f"{OLD.hex()}\nbeef\n", "line 2 must be 64 hexadecimal digits, got 4"),
        (f"{OLD.hex()}\n{NEW.hex()}#no gap\n", "line 2 must be 64 hexadecimal digits"),
        (f"{OLD.hex()}\n{OLD.hex()}\n", "the same master key is there twice"),
        ("".join(f"{number:064x}\n" for number in range(MOST_KEYS + 1)), "there must be 1 to 16 master keys, got 17"),
    ],
)
def test_lines_that_are_no_ring_are_refused_without_saying_them(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as told:
        Keyring.of_text(text, "x")
    assert OLD.hex() not in str(told.value)


def test_every_purpose_that_something_is_sealed_for_has_its_place() -> None:
    """What seals is found in the source: with a place missing, its key could be retired under it."""
    source = "".join(path.read_text() for path in Path(moonlatch.__file__).parent.rglob("*.py"))
    from moonlatch import proofs

    names = set(re.findall(r"seal_secret\(\s*([A-Z][A-Z_]+)", source))
    purposes = {getattr(crypto, name, None) or getattr(proofs, name) for name in names}
    assert {place.purpose for place in PLACES} == purposes
    assert len(names) >= 5
