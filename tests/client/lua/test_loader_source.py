"""The text of a loader: what goes in, what is refused, and what the protector may do to it."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.builds.protection import LOADER_PROFILE
from moonlatch.client.loader_source import loader_source, lua_string, missing_loader_source
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from moonlatch.obfuscator.target import Target
from support.lua_host import ENGINES, LoaderRun, LuaRun, ProtocolServer, run_text
from support.lua_host.protocol_server import LOADER_ID, SCRIPT_ID
from support.rounds import IS_LONG

GOOD: dict[str, Any] = {
    "script_id": SCRIPT_ID,
    "loader_id": LOADER_ID,
    "secret": bytes(range(32)),
    "signing_key": bytes(32),
    "exchange_key": bytes(32),
    "base_url": "https://host.example",
}


def test_a_loader_is_ascii_and_the_same_every_time() -> None:
    source = loader_source(**GOOD)
    assert source.isascii()
    assert source == loader_source(**GOOD)


def test_a_closing_slash_of_the_base_url_makes_no_difference() -> None:
    assert loader_source(**{**GOOD, "base_url": "https://host.example/"}) == loader_source(**GOOD)


@pytest.mark.parametrize(
    "wrong",
    [
        {"script_id": "short"},
        {"script_id": '"' * 32},
        {"loader_id": "s" * 31 + "\n"},
        {"secret": b"short"},
        {"signing_key": b"short"},
        {"exchange_key": b"short"},
        {"base_url": "ftp://host.example"},
        {"base_url": 'https://host.example/" .. evil .. "'},
        {"base_url": "https://host.example\n"},
        {"base_url": "https://user:secret@host.example"},
    ],
)
def test_values_that_would_change_the_loaders_text_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"id|secret|key|URL"):
        loader_source(**{**GOOD, **wrong})


@pytest.mark.parametrize("engine", ENGINES)
def test_any_bytes_can_be_written_as_a_lua_string(engine: str) -> None:
    content = bytes(range(256)) + b"1\n\r\n]]0"
    text = f"local s = {lua_string(content)} print((string.gsub(s, '.', function(c) return string.format('%02x', string.byte(c)) end)))"
    assert run_text(text, engine=engine) == [content.hex()]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_loader_says_why(engine: str) -> None:
    message = 'this script was removed by "its" owner\n(\u2603)'
    with LuaRun(missing_loader_source(message), engine=engine) as run:
        assert run.wait_for("raised") == message


@pytest.mark.parametrize(("seed", "engine"), list(enumerate(ENGINES if IS_LONG else ["luau", "lua51", "luajit"])))
def test_the_protected_loader_does_what_the_plain_one_does(seed: int, engine: str) -> None:
    payload = 'local la, a = ... la.la_handle("echo", function(data) return data end) print(la.la_script_name, a)'
    with ProtocolServer(payload) as server:
        plain = loader_source(
            script_id=SCRIPT_ID,
            loader_id=LOADER_ID,
            secret=server.secret,
            signing_key=server.signing_key,
            exchange_key=server.exchange_key,
            base_url=server.url,
        )
        outcome = protect(plain, Options(profile=LOADER_PROFILE, target=Target.LUA51), seed)
        assert isinstance(outcome, Protected)
        server.loader = outcome.text.encode("ascii")
        assert server.secret.hex().encode() not in server.loader
        assert b"moonlatch/1" not in server.loader
        assert b"LA_NO_VIRTUALIZE" not in server.loader
        with LoaderRun(server.loader_url, "argument", key="KEY", engine=engine) as run:
            assert run.wait_line("") == "Test script\targument"
            server.wait_until(lambda: server.sessions_opened)
            server.send({"type": "message", "id": 1, "key": "echo", "data": {"a": 1}})
            assert server.wait_frame(type="reply")["data"] == {"a": 1}
            server.send({"type": "stop", "code": "X", "message": "stopped"})
            assert run.wait_for("kicked") == "stopped"
