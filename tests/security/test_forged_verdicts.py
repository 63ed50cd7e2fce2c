"""Somebody on the way who knows the loader's secret, and has what he recorded: no verdict of his on a running copy is believed.

He is the server that is written from the protocol's page alone, after it was made to forget the installation's private keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from support.lua_host import LoaderRun, ProtocolServer
from support.lua_host.protocol_server import Json, derive, encode, refusal

UNLIKE_EACH_OTHER = ["luau", "lua51", "lua54"]
AWAY = "the server could not be reached for 10 minutes"
PAYLOAD = """
local la = ...
la.la_handle("obey", function(data) print("obeyed", data.what) return {} end)
print("runs")
"""
SOON: dict[str, Any] = {"clock_rate": 60, "time_rate": 6}
"""Ten minutes are less than two seconds."""


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.heartbeat_seconds = 1
        server.loader = server.own_loader()
        yield server


def start(server: ProtocolServer, **options: Any) -> LoaderRun:
    return LoaderRun(server.loader_url, key="KEY", **options)


def go_to_the_thief(server: ProtocolServer) -> None:
    """From now on it answers who has the loader's secret, and no private key of the installation."""
    server.private_key, server.exchange = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()


def under_the_secret(server: ProtocolServer, beat: Json) -> tuple[int, Json]:
    """What loaders before version 4 believe."""
    live = derive(server.secret, "moonlatch/1 live", server.instance)
    reply: Json = {"success": True, "seconds_left": None, "token": None}
    key = derive(live, "heartbeat", str(beat["sequence"]))
    return 200, {**reply, "mac": hmac.digest(key, encode(reply), hashlib.sha256).hex()}


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_stopped_script_is_not_kept_running(server: ProtocolServer, engine: str) -> None:
    with start(server, websocket=False, engine=engine, **SOON) as run:
        server.wait_until(lambda: server.heartbeats)
        go_to_the_thief(server)
        assert run.wait_for("kicked") == AWAY


def test_nor_by_leaving_out_that_the_copy_has_a_key_of_its_own(server: ProtocolServer) -> None:
    with start(server, websocket=False, engine="lua54", **SOON) as run:
        server.wait_until(lambda: server.heartbeats)
        server.heartbeat_answer = lambda beat: under_the_secret(server, beat)
        assert run.wait_for("kicked") == AWAY


def test_nor_by_having_it_ask_again_what_was_answered_once(server: ProtocolServer) -> None:
    """Told an earlier time by nobody knows whom, it would name a moment whose answer was recorded."""
    recorded: dict[int, Json] = {}

    def record(beat: Json) -> None:
        recorded[beat["sequence"]] = server._heartbeat(beat)

    with start(server, websocket=False, engine="lua54", **SOON) as run:
        server.heartbeat_answer = record
        server.wait_until(lambda: len(recorded) >= 3)
        go_to_the_thief(server)
        server.heartbeat_answer = lambda beat: (
            (200, recorded[beat["sequence"]])
            if beat["sequence"] in recorded
            else (409, refusal("CLOCK_WRONG", "it is earlier", time=min(recorded) - 1))
        )
        assert run.wait_for("kicked") == AWAY


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_running_script_is_not_stopped(server: ProtocolServer, engine: str) -> None:
    with start(server, websocket=False, time_rate=6, engine=engine) as run:
        server.wait_until(lambda: server.heartbeats)
        mine = server.private_key
        server.private_key = Ed25519PrivateKey.generate()
        server.heartbeat_answer = lambda _: (403, refusal("BLACKLISTED", "pay at evil.example"))
        before = len(server.heartbeats)
        server.wait_until(lambda: len(server.heartbeats) > before + 2)
        assert run.kicked is None
        server.private_key = mine
        assert run.wait_for("kicked") == "pay at evil.example"


def test_nor_by_a_refusal_of_another_beat(server: ProtocolServer) -> None:
    error = refusal("KEY_EXPIRED", "of another copy")
    error["proof"] = server.proof(b"moonlatch/2 refusal\n" + bytes(32) + encode(error["error"]))
    server.heartbeat_answer = lambda _: (403, error)
    with start(server, websocket=False, time_rate=6, engine="lua54") as run:
        server.wait_until(lambda: len(server.heartbeats) > 2)
        assert run.kicked is None


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_no_message_reaches_a_handler_and_no_frame_stops(server: ProtocolServer, engine: str) -> None:
    server.heartbeat_seconds = None
    with start(server, engine=engine, time_rate=4) as run:
        server.wait_until(lambda: server.sessions_opened)
        run.wait_line("runs")
        mine = server.exchange
        for opened, body in enumerate(
            [
                {"type": "message", "id": 1, "key": "obey", "data": {"what": "the thief"}},
                {"type": "stop", "code": "X", "message": "pay at evil.example"},
                {"type": "variables", "variables": {"la_is_premium": False}},
            ],
            start=1,
        ):
            server.tamper_frame = lambda frame, body=body: forged(server, body)
            server.send(body)
            server.tamper_frame = lambda frame: frame
            server.wait_until(lambda opened=opened: server.sessions_opened > opened)
        server.exchange = mine
        server.send({"type": "message", "id": 1, "key": "obey", "data": {"what": "the developer"}})
        assert run.wait_line("obeyed.*") == "obeyed\tthe developer"
        assert run.kicked is None


def forged(server: ProtocolServer, body: Json) -> Json:
    """The second frame of the latest session, as who has the loader's secret makes it."""
    nonce = [frame for frame in server.frames if frame["type"] == "open"][-1]["nonce"]
    key = derive(derive(server.secret, "moonlatch/1 live", server.instance), "session", nonce)
    text = json.dumps(body)
    return {"body": text, "mac": hmac.digest(key, f"1\n{text}".encode(), hashlib.sha256).hex()}


@pytest.mark.parametrize("code", [3500, 3501, 3502, 3003])
def test_no_close_stops_a_script_that_needs_its_session(server: ProtocolServer, code: int) -> None:
    """Closes are signed by nobody. The script opens its session again, until ten minutes have passed without an answer."""
    server.heartbeat_seconds, server.session_required = None, True
    with start(server, engine="lua54", **SOON) as run:
        server.wait_until(lambda: server.sessions_opened == 1)
        server.close(code, "pay at evil.example")
        server.wait_until(lambda: server.sessions_opened == 2)
        assert run.kicked is None
        go_to_the_thief(server)
        server.close(code)
        assert run.wait_for("kicked") == AWAY
