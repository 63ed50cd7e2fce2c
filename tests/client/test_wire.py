"""Decoding what a client sends, and the bytes both sides authenticate."""

import hashlib
import hmac
import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.client.tokens import CLAIMS_VERSION, Claims, issue, read
from moonlatch.client.transcript import encode, heartbeat_mac
from moonlatch.client.wire import Execute, Heartbeat, MalformedError, decode_execute, decode_frame, decode_heartbeat
from moonlatch.crypto import FixedKeyHmac, hmac_sha256, new_id
from moonlatch.keyring import Keyring
from support.client import derive, mac, transcript

EXECUTE = {
    "script_id": "s" * 32,
    "loader": "l" * 32,
    "protocol": 1,
    "nonce": "n" * 32,
    "key": None,
    "fingerprint": None,
    "executor": None,
    "roblox_id": None,
    "place_id": None,
    "job_id": None,
    "supports_sessions": False,
}


def body(**changes) -> bytes:
    return json.dumps({**EXECUTE, **changes}).encode()


def test_a_request_as_described_is_read() -> None:
    request = decode_execute(body(roblox_id=2**53, key="k" * 128, fingerprint="🌙" * 512, nonce="A9" * 32))
    assert request.roblox_id == 2**53
    assert request.fingerprint == "🌙" * 512


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": 3},
        {"protocol": True},
        {"protocol": "1"},
        {"nonce": "n" * 31},
        {"nonce": "n" * 65},
        {"nonce": "n" * 31 + "-"},
        {"nonce": "n" * 32 + "\n"},
        {"nonce": None},
        {"key": "k" * 129},
        {"key": 1},
        {"key": "a\0b"},
        {"fingerprint": "f" * 513},
        {"executor": "e" * 65},
        {"job_id": "j" * 129},
        {"roblox_id": -1},
        {"roblox_id": 2**53 + 1},
        {"roblox_id": 1.5},
        {"roblox_id": "1"},
        {"place_id": True},
        {"supports_sessions": 1},
        {"supports_sessions": None},
        {"script_id": None},
        {"script_id": "s" * 65},
        {"more": None},
    ],
)
def test_one_wrong_field_makes_a_request_invalid(changes: dict) -> None:
    with pytest.raises(MalformedError):
        decode_execute(body(**changes))


@pytest.mark.parametrize("name", list(EXECUTE))
def test_every_field_must_be_there(name: str) -> None:
    with pytest.raises(MalformedError):
        decode_execute(json.dumps({other: value for other, value in EXECUTE.items() if other != name}).encode())


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert decode_execute(body(key="a\\u0000")).key == "a\\u0000"


def test_lone_surrogates_and_broken_utf8_are_invalid() -> None:
    for key in (b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x00"'):
        with pytest.raises(MalformedError):
            decode_execute(body(key="KEY").replace(b'"KEY"', key))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else_happens(content: bytes) -> None:
    for decode in (decode_execute, decode_heartbeat, lambda data: decode_frame(data.decode("latin-1"))):
        with pytest.raises(MalformedError):
            decode(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(list(EXECUTE)), json_values)
def test_any_value_in_any_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        assert isinstance(decode_execute(json.dumps({**EXECUTE, name: value}).encode()), Execute)
    except MalformedError:
        pass


@given(st.fixed_dictionaries({}, optional={"instance": json_values, "token": json_values, "sequence": json_values}))
def test_any_beat_is_read_or_refused(fields: dict) -> None:
    try:
        assert isinstance(decode_heartbeat(json.dumps(fields).encode()), Heartbeat)
    except MalformedError:
        pass


@given(st.dictionaries(st.sampled_from(["type", "id", "status", "data", "message"]), json_values, max_size=5))
def test_any_frame_is_read_or_refused(fields: dict) -> None:
    for kind in ("reply", "open", "ping"):
        try:
            decode_frame(json.dumps({**fields, "type": kind}))
        except MalformedError:
            pass


@pytest.mark.parametrize("depth", [200, 10_000, 100_000])
def test_deep_json_is_read_or_refused(depth: int) -> None:
    try:
        decode_frame('{"type":"reply","id":1,"status":"returned","data":' + "[" * depth + "]" * depth + "}")
    except MalformedError:
        pass
    with pytest.raises(MalformedError):
        decode_execute(b"[" * depth)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(plain)
def test_both_sides_encode_the_same_bytes(value: object) -> None:
    assert encode(value) == transcript(value)


def test_what_has_no_encoding_is_an_error() -> None:
    with pytest.raises(TypeError):
        encode(1.5)


@given(st.integers(1, 2**53), st.none() | st.integers(0, 2**40))
def test_the_written_out_beat_is_the_encoded_one(sequence: int, left: int | None) -> None:
    live = bytes(32)
    expected = mac(derive(live, "heartbeat", str(sequence)), transcript({"success": True, "seconds_left": left}))
    assert heartbeat_mac(FixedKeyHmac(live), sequence, left) == expected


@given(st.binary(max_size=64), st.binary(max_size=200))
def test_hmac_is_the_standard_one(key: bytes, message: bytes) -> None:
    expected = hmac.new(key, message, hashlib.sha256).digest()
    assert hmac_sha256(key, message) == expected
    assert FixedKeyHmac(key).digest(message) == expected


def test_instance_ids_are_32_letters_and_digits() -> None:
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(len(one) == 32 and one.isascii() and one.isalnum() for one in ids)


LONGEST = Claims(
    instance="i" * 32,
    script="s" * 32,
    loader="l" * 32,
    build=2**62,
    user_id="k" * 32,
    fingerprint=bytes(32),
    supports_sessions=True,
    started_at=2**62,
    roblox_id=2**53,
    place_id=2**53,
    job_id="🌙" * 128,
    version=CLAIMS_VERSION,
)


def test_the_longest_token_is_as_long_as_the_protocol_allows() -> None:
    keyring = Keyring(secrets.token_bytes(32))
    token = issue(keyring, LONGEST)
    assert len(token) <= 1024
    assert read(keyring, token, LONGEST.instance) == LONGEST


@given(st.text(max_size=100))
def test_a_made_up_token_is_none(token: str) -> None:
    assert read(Keyring(bytes(32)), token, "i") is None
