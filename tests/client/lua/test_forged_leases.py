"""What a host gives back is believed only as far as the installation signed it: forged, copied, aged, swapped and broken leases, on every Lua."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.client.loader_source import lua_string, modules_source
from support.lua_host import ENGINES, run_text
from support.lua_host.leases import DAY_MS, Lease, key_id, unpadded
from support.luau import SYSTEM_LUAS, run_lua
from support.rounds import rounds

SCRIPT, LOADER, SECRET = "s" * 32, "L" * 32, bytes(range(32))
SIGNER, OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes_raw()
ORDER = 2**252 + 27742317777372353535851937790883648493
MINUTE = 60_000
SECOND = 1_000
NOW = 1_800_000_000_000
RANDOM = random.Random(2024)
SOURCE = b"return 'the script'"


def lease_of(source: bytes = SOURCE, payload_key: bytes = bytes(32)) -> Lease:
    sealed = ChaCha20Poly1305(payload_key).encrypt(bytes(12), source, b"moonlatch/1 payload")
    return Lease(
        script=SCRIPT,
        loader=LOADER,
        secret=SECRET,
        private_key=SIGNER,
        payload_key=payload_key,
        sealed=sealed,
        issued=NOW - DAY_MS,
    )


LEASE = lease_of()


@dataclass(frozen=True)
class Case:
    """What a host keeps and was given, and who it says it is."""

    text: str | None = LEASE.text()
    record: str | None = LEASE.record()
    given: str | None = None
    key: str | None = "KEY"
    fingerprint: str = "Test device"

    def lua(self) -> str:
        fields = (self.text, self.record, self.given, self.key, self.fingerprint)
        return ", ".join("nil" if field is None else lua_string(field.encode()) for field in fields)


def of(lease: Lease, **record: int) -> Case:
    return Case(lease.text(), lease.record(**record), key=lease.key, fingerprint=lease.fingerprint)


LICENCE = LEASE.but(kind="licence")
GENUINE = {
    "a lease": of(LEASE),
    "without a key": of(LEASE.but(key=None)),
    "in its grace": of(LEASE.but(issued=NOW - 8 * DAY_MS + SECOND)),
    "issued by a clock that is ahead": of(LEASE.but(issued=NOW + 10 * MINUTE)),
    "on a device whose clock is years behind": of(
        LEASE.but(issued=NOW + 1_000 * DAY_MS), seen=NOW + 1_000 * DAY_MS, ahead=1_000 * DAY_MS
    ),
    "a clock that went back a little": of(LEASE, seen=NOW + 10 * MINUTE),
    "a licence that is given": Case(None, None, given=LICENCE.text()),
    "a licence that is kept": Case(LICENCE.text(), None),
    "a licence beside a broken lease": Case(LEASE.text()[:-9], LEASE.record(), given=LICENCE.text()),
    "a key that lives": of(LEASE.but(key_expires=NOW + DAY_MS)),
    "a large script": of(lease_of(b"--" + b"x" * 100_000)),
}


def raw(token: str) -> tuple[bytes, bytes]:
    """The message with its signature, and the footer."""
    body, footer = token.removeprefix("v4.public.").split(".")
    return base64.urlsafe_b64decode(body + "=="), base64.urlsafe_b64decode(footer + "==")


def with_token(token: str, lease: Lease = LEASE) -> Case:
    return Case(lease.text().replace(lease.token(), token))


def flipped(content: bytes, bit: int) -> bytes:
    return (int.from_bytes(content, "big") ^ 1 << bit).to_bytes(len(content), "big")


BODY, FOOTER = raw(LEASE.token())
MESSAGE, SIGNATURE = BODY[:-64], BODY[-64:]
ANOTHER = lease_of(b"return 'another script'", bytes(range(32)))


def signed_by_another() -> Mapping[str, Case]:
    """Everything but the installation's key is known to a customer who takes their loader apart."""
    forged = LEASE.but(private_key=OTHER, days=3_650)
    id_of_ours = json.dumps({"kid": key_id(PUBLIC)})
    return {
        "another's key": of(forged),
        "another's key under our id": of(forged.but(footer=id_of_ours)),
        "another footer": of(LEASE.but(footer="{}")),
        "a footer that is no JSON": of(LEASE.but(footer="x")),
        "a footer that is no object": of(LEASE.but(footer="[]")),
        "the id of another key": of(LEASE.but(footer=json.dumps({"kid": key_id(bytes(32))}))),
        "for another script": of(LEASE.but(implicit="t" * 32)),
        "without an assertion": of(LEASE.but(implicit="")),
    }


def altered() -> Mapping[str, Case]:
    s = int.from_bytes(SIGNATURE[32:], "little") + ORDER
    token, longer = LEASE.token(), re.sub(rb"(grace.: )[0-9]+", rb"\g<1>99999999999999", MESSAGE)
    assert longer != MESSAGE
    return {
        "s + order": with_token(
            f"v4.public.{unpadded(MESSAGE + SIGNATURE[:32] + s.to_bytes(32, 'little'))}.{unpadded(FOOTER)}"
        ),
        "without a signature": with_token(f"v4.public.{unpadded(MESSAGE)}.{unpadded(FOOTER)}"),
        "a signature of nothing": with_token(f"v4.public.{unpadded(MESSAGE + bytes(64))}.{unpadded(FOOTER)}"),
        "without a footer": with_token(token.rpartition(".")[0]),
        "a byte moved into the footer": with_token(
            f"v4.public.{unpadded(MESSAGE[:-1] + SIGNATURE)}.{unpadded(MESSAGE[-1:] + FOOTER)}"
        ),
        "another version": with_token(token.replace("v4.public", "v2.public")),
        "another purpose": with_token(token.replace("v4.public", "v4.local")),
        "days added": with_token(f"v4.public.{unpadded(longer + SIGNATURE)}.{unpadded(FOOTER)}"),
        "an empty statement": with_token(""),
        "padded": with_token(token + "=="),
        "spaces": with_token(" " + token),
        "twice": Case(LEASE.text() + "\n" + LEASE.text()),
        "of Windows": Case(LEASE.text().replace("\n", "\r\n")),
        "empty": Case(""),
        "a heading alone": Case("moonlatch lease 1\n"),
        "not text of ours": Case("\0\xff" * 1_000),
        "a long line": Case("moonlatch lease 1\n" + "a" * 200_000),
        "many lines": Case("moonlatch lease 1\n" + "\n" * 200_000),
        "many dots": Case("moonlatch lease 1\nv4.public." + "." * 16_000 + "\n"),
        "another payload": Case(f"moonlatch lease 1\n{token}\n" + ANOTHER.text().rpartition("\n")[2]),
        "another statement": Case(f"moonlatch lease 1\n{ANOTHER.token()}\n" + LEASE.text().rpartition("\n")[2]),
        "no payload": Case(f"moonlatch lease 1\n{token}\n"),
        "a payload that is no base64": Case(f"moonlatch lease 1\n{token}\n????"),
        "a line after it": Case(LEASE.text() + "\n"),
    }


def elsewhere() -> Mapping[str, Case]:
    """What is genuine, and another's."""
    return {
        "another device": replace(of(LEASE), fingerprint="Another device"),
        "another device, its own record": Case(
            record=LEASE.but(fingerprint="Another device").record(), fingerprint="Another device"
        ),
        "another key": Case(record=LEASE.but(key="OTHER").record(), key="OTHER"),
        "no key": Case(record=LEASE.but(key=None).record(), key=None),
        "a licence on another device": Case(None, None, given=LICENCE.text(), fingerprint="Another device"),
        "another loader": of(LEASE.but(loader="M" * 32)),
        "another loader's secret": of(LEASE.but(secret=bytes(32))),
        "a lease in the place of a licence": Case(None, LEASE.record(), given=LEASE.text()),
        "another kind": Case(None, None, given=LEASE.but(kind="other").text()),
    }


def at_other_times() -> Mapping[str, Case]:
    return {
        "over": of(LEASE.but(issued=NOW - 8 * DAY_MS)),
        "the key is over": of(LEASE.but(claims={"expires": NOW - 1, "grace": NOW - 1})),
        "a licence that is over": Case(None, None, given=LICENCE.but(issued=NOW - 9 * DAY_MS).text()),
        "not issued yet": of(LEASE.but(issued=NOW + 10 * MINUTE + SECOND), seen=0),
        "a licence that is not issued yet": Case(None, None, given=LICENCE.but(issued=NOW + DAY_MS).text()),
        "the clock went back": of(LEASE, seen=NOW + 10 * MINUTE + SECOND),
        "the clock went back, by a licence": replace(
            of(LEASE, seen=NOW + 10 * MINUTE + SECOND), text=None, given=LICENCE.text()
        ),
        "no record of the time": Case(record=None),
        "an empty record": Case(record=""),
        "half a record": Case(record=LEASE.record()[:-32]),
        "a record of another key": Case(record=LEASE.but(key="OTHER").record()),
        "a record of another loader": Case(record=LEASE.but(secret=bytes(32)).record()),
        "a record that was edited": Case(record=LEASE.record().replace(str(LEASE.issued), str(LEASE.issued - DAY_MS))),
        "a huge record": Case(record=LEASE.record() + "0" * 100_000),
        "a later lease was kept": of(LEASE, sequence=8),
    }


def at_random() -> Iterator[tuple[str, Case]]:
    text, token = LEASE.text(), LEASE.token()
    while True:
        bit = RANDOM.randrange(8 * len(BODY))
        yield f"bit {bit}", with_token(f"v4.public.{unpadded(flipped(BODY, bit))}.{unpadded(FOOTER)}")
        length = RANDOM.randrange(len(text))
        yield f"cut to {length}", Case(text[:length])
        at, count = RANDOM.randrange(len(token)), RANDOM.randrange(1, 90)
        yield f"{count} characters out at {at}", with_token(token[:at] + token[at + count :])
        sealed = flipped(LEASE.sealed, RANDOM.randrange(8 * len(LEASE.sealed)))
        yield (
            f"payload {sealed.hex()}",
            Case(text.replace(base64.b64encode(LEASE.sealed).decode(), base64.b64encode(sealed).decode())),
        )
        name = RANDOM.choice([name for name in LEASE.stated() if name != "key"])
        claims = {**LEASE.stated(), name: RANDOM.choice([NOW + 10**10, "x", [], {}, -1, True])}
        yield (
            f"{name} as {claims[name]!r}",
            with_token(f"v4.public.{unpadded(json.dumps(claims).encode() + SIGNATURE)}.{unpadded(FOOTER)}"),
        )
        by_another = LEASE.but(private_key=OTHER, claims={name: claims[name]}, footer=FOOTER.decode())
        yield f"{name} as {claims[name]!r} by another", Case(by_another.text())
        yield from of_others_at_random()


def of_others_at_random() -> Iterator[tuple[str, Case]]:
    """Genuine ones that were copied, kept for too long, or put together of several."""
    who = f"{RANDOM.getrandbits(64):x}"
    yield f"copied to device {who}", replace(of(LEASE), fingerprint=who)
    yield f"copied to device {who}, its own record", replace(of(LEASE.but(fingerprint=who)), text=LEASE.text())
    yield f"copied to key {who}", replace(of(LEASE.but(key=who)), text=LEASE.text())
    over = RANDOM.randrange(8 * DAY_MS, 3_650 * DAY_MS)
    aged = LEASE.but(issued=NOW - over)
    yield f"{over} ms old", of(aged)
    yield f"{over} ms old, the record of a new one", Case(aged.text(), LEASE.record())
    ahead = RANDOM.randrange(10 * MINUTE + SECOND, 3_650 * DAY_MS)
    yield f"the clock went back by {ahead} ms", of(LEASE, seen=NOW + ahead)
    other = LEASE.but(key=who, issued=NOW - RANDOM.randrange(DAY_MS))
    yield f"the statement of {who}", Case(LEASE.text().replace(LEASE.token(), other.token()))
    yield f"the record of {who}", Case(LEASE.text(), other.record())
    yield f"given as the licence of {who}", Case(None, None, given=other.but(kind="licence").text())


FORGED = {**signed_by_another(), **altered(), **elsewhere(), **at_other_times()}

PROGRAM = (
    f"os = setmetatable({{ time = function() return {NOW // 1_000} end }}, {{ __index = os }})\n"
    "local settings = { "
    f'script_id = "{SCRIPT}", loader_id = "{LOADER}", secret = {lua_string(SECRET)}, '
    f'signing_key = {lua_string(PUBLIC)}, signing_key_id = "{key_id(PUBLIC)}" }}\n'
    + modules_source("leases")
    + r"""
local function try(name, text, record, given, key, fingerprint)
  moonlatch_licence = given
  local host = { fingerprint = fingerprint }
  function host.recall(of)
    if string.find(of, "-time.txt", 1, true) then return record end
    return text
  end
  function host.store(of, kept) end
  local ok, lease, source = pcall(leases.find, host, key)
  print((ok and lease and "accepted" or ok and "refused" or "failed: " .. tostring(lease)) .. "\t" .. name .. "\t" .. tostring(ok and lease and #source))
end
"""
)


def outcomes(cases: Mapping[str, Case], engine: str) -> dict[str, str]:
    """`accepted` or `refused`, by name."""
    tries = "".join(f"try({lua_string(name.encode())}, {case.lua()})\n" for name, case in cases.items())
    if engine in ENGINES:
        lines = run_text(PROGRAM + tries, engine=engine, timeout_seconds=600)
    else:
        result = run_lua(engine, PROGRAM + tries, timeout_seconds=600)
        assert (result.error, result.compile_error) == (None, None)
        lines = result.output.split("\n")
    return {name: outcome for outcome, name, _ in (line.split("\t") for line in lines)}


@pytest.mark.parametrize("engine", [*ENGINES, *SYSTEM_LUAS, "lua55"])
def test_of_all_that_a_host_can_give_back_only_what_is_genuine_starts_anything(engine: str) -> None:
    expected = {**dict.fromkeys(GENUINE, "accepted"), **dict.fromkeys(FORGED, "refused")}
    assert outcomes({**GENUINE, **FORGED}, engine) == expected


def test_of_ten_thousand_that_were_tampered_with_none_is_accepted() -> None:
    tampered = at_random()
    for number in range(rounds(1, 40)):
        cases: dict[str, Case] = {}
        while len(cases) < 250:
            cases |= [next(tampered)]
        engine = ("luajit", "lua54", "luau", "lua51")[number % 4]
        assert outcomes({"genuine": of(LEASE), **cases}, engine) == {
            "genuine": "accepted",
            **dict.fromkeys(cases, "refused"),
        }
