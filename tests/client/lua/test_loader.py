"""The whole loader against a server that is written from the protocol's page alone, over real HTTP and WebSockets."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from moonlatch.clock import now_ms
from support.lua_host import ENGINES, LoaderRun, ProtocolServer
from support.lua_host.protocol_server import LOADER_ID, SCRIPT_ID, TOKEN, Json, derive, encode, refusal
from support.protecting import protected

PAYLOAD = r"""
local la, first, second = ...
print("started with", first, second)
print("premium", la.la_is_premium, "executions", la.la_executions, "discord", la.la_discord_id, "left", la.la_seconds_left)
print("note", la.la_user_note, "name", la.la_script_name, "build", la.la_script_build, "exists", la.la_exists)
la.la_handle("double", function(data) return { n = data.n * 2, list = data.list, none = data.none == nil } end)
la.la_handle("patient", function(data) sleep(0.2) return {} end)
la.la_handle("nothing", function() end)
la.la_handle("raises", function() error("broke", 0) end)
la.la_handle("raises much", function() error(string.rep("\195\169", 2000), 0) end)
la.la_handle("raises a table", function() error({}) end)
la.la_handle("a number", function() return 5 end)
la.la_handle("a function", function() return { print } end)
la.la_handle("too much", function() return { string.rep("a", 300000) } end)
la.la_handle("note", function() return { la.la_user_note, la.la_seconds_left or "never", la.la_discord_id } end)
return "first", nil, 3
"""

# Where everything but the arithmetic differs: Luau, no yielding across pcall, integers.
UNLIKE_EACH_OTHER = ["luau", "lua51", "lua54"]
UNVERIFIED = "the server's reply could not be verified"


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(PAYLOAD) as server:
        server.loader = server.own_loader(base_url=server.url + "/")
        yield server


def start(server: ProtocolServer, *arguments: str, **options: Any) -> LoaderRun:
    return LoaderRun(server.loader_url, *arguments, **{"key": "KEY", **options})


def ask(server: ProtocolServer, number: int, key: str, data: Any) -> Json:
    server.send({"type": "message", "id": number, "key": key, "data": data})
    return server.wait_frame(type="reply", id=number)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_runs_with_its_variables_answers_messages_and_is_stopped(server: ProtocolServer, engine: str) -> None:
    with start(server, "one", "two", engine=engine) as run:
        assert run.wait_for("returned") == "first\tnil\t3"
        assert run.lines == [
            "started with\tone\ttwo",
            "premium\ttrue\texecutions\t7\tdiscord\tnil\tleft\t90",
            "note\tsnow \u2603 and \U0001f600\tname\tTest script\tbuild\t3\texists\ttrue",
        ]
        server.wait_until(lambda: server.sessions_opened)
        assert ask(server, 1, "double", {"n": 21, "list": [1, None], "none": None}) == {
            "type": "reply", "id": 1, "status": "returned", "data": {"n": 42, "list": [1], "none": True},
        }  # fmt: skip
        # A handler that waits holds up no other.
        server.send({"type": "message", "id": 2, "key": "patient", "data": []})
        assert ask(server, 3, "nothing", []) == {"type": "reply", "id": 3, "status": "returned", "data": None}
        assert server.wait_frame(type="reply", id=2) == {"type": "reply", "id": 2, "status": "returned", "data": []}
        assert ask(server, 4, "raises", []) == {"type": "reply", "id": 4, "status": "errored", "message": "broke"}
        assert ask(server, 5, "raises much", [])["message"] == "\u00e9" * 1000
        assert ask(server, 6, "raises a table", [])["message"].startswith("table")
        assert ask(server, 7, "a number", []) == {"type": "reply", "id": 7, "status": "invalid"}
        assert ask(server, 8, "a function", []) == {"type": "reply", "id": 8, "status": "invalid"}
        assert ask(server, 9, "too much", []) == {"type": "reply", "id": 9, "status": "invalid"}
        assert ask(server, 10, "unheard of", []) == {"type": "reply", "id": 10, "status": "missing"}
        server.send(
            {"type": "variables", "variables": {"la_user_note": None, "la_seconds_left": None, "la_discord_id": "5"}}
        )
        assert ask(server, 11, "note", [])["status"] == "invalid"  # an array that starts with nil
        server.send({"type": "variables", "variables": {"la_user_note": "new"}})
        assert ask(server, 12, "note", [])["data"] == ["new", "never", "5"]
        server.send({"type": "stop", "code": "DISCONNECTED", "message": "you were disconnected"})
        assert run.wait_for("kicked") == "you were disconnected"
        happened = run.finish()
    assert [entry.event for entry in happened if entry.event in {"raised", "thread_error", "kicked"}] == ["kicked"]


def test_an_execution_says_what_the_protocol_asks_for(server: ProtocolServer) -> None:
    options: Json = {
        "fingerprint": "device 1",
        "executor": "Host",
        "player": 10234711811,
        "place": 606849621,
        "job": "job-1",
    }
    with start(server, **options) as run:
        run.wait_for("returned")
    request = server.executions[0]
    assert re.fullmatch("[A-Za-z0-9]{32,64}", request.pop("nonce"))
    assert request == {
        "script_id": SCRIPT_ID, "loader": LOADER_ID, "protocol": 2, "key": "KEY", "fingerprint": "device 1", "executor": "Host",
        "roblox_id": 10234711811, "place_id": 606849621, "job_id": "job-1", "supports_sessions": True,
    }  # fmt: skip


def test_what_a_host_does_not_know_is_null(server: ProtocolServer) -> None:
    with start(server, key=None, fingerprint=None, executor=None, websocket=False) as run:
        run.wait_for("returned")
    request = server.executions[0]
    assert [request[name] for name in ("key", "fingerprint", "executor", "roblox_id", "place_id", "job_id")] == [
        None
    ] * 6
    assert request["supports_sessions"] is False
    assert server.sessions_opened == 0


def test_no_two_runs_choose_the_same_nonce(server: ProtocolServer) -> None:
    for engine in ("luau", "lua51", "lua51"):
        with start(server, engine=engine) as run:
            run.wait_for("returned")
    assert len({request["nonce"] for request in server.executions}) == 3


def flipped(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


FORGERIES = {
    "the proof": lambda reply: {**reply, "proof": "0" * 128},
    "no proof": lambda reply: {name: value for name, value in reply.items() if name != "proof"},
    "half a proof": lambda reply: {**reply, "proof": reply["proof"][:100]},
    "a proof's way": lambda reply: {**reply, "proof": reply["proof"][:-1]},
    "the digest": lambda reply: {**reply, "payload_digest": "0" * 64},
    "a variable": lambda reply: {**reply, "variables": {**reply["variables"], "la_is_premium": False}},
    "the instance": lambda reply: {**reply, "instance": "x" * 32},
    "the server's nonce": lambda reply: {**reply, "nonce": "y" * 32},
    "one more field": lambda reply: {**reply, "more": True},
    "the payload's key": lambda reply: {**reply, "payload_key": "0" * 64},
    "no payload's key": lambda reply: {name: value for name, value in reply.items() if name != "payload_key"},
    "the payload": lambda reply: {**reply, "payload": flipped(reply["payload"])},
    "a shorter payload": lambda reply: {**reply, "payload": reply["payload"][:-4]},
    "no payload": lambda reply: {**reply, "payload": ""},
    "a payload that is no base64": lambda reply: {**reply, "payload": "?"},
    "a fraction": lambda reply: {**reply, "heartbeat_seconds": 0.5},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_reply_changed_on_the_way_runs_nothing(server: ProtocolServer, forgery: str) -> None:
    server.tamper = FORGERIES[forgery]
    with start(server, engine="lua54") as run:
        assert run.wait_for("raised").endswith(UNVERIFIED)
        assert (run.lines, run.kicked) == ([], None)


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_who_has_the_loaders_secret_starts_nothing_for_others(server: ProtocolServer, engine: str) -> None:
    server.private_key = Ed25519PrivateKey.generate()
    with start(server, engine=engine) as run:
        assert run.wait_for("raised").endswith(UNVERIFIED)
        assert run.lines == []


def test_who_has_the_payloads_key_exchanges_no_payload(server: ProtocolServer) -> None:
    def exchange(reply: Json) -> Json:
        root = derive(server.secret, "moonlatch/1 execute", server.executions[-1]["nonce"], reply["nonce"])
        pad = derive(root, "payload")
        key = bytes(one ^ other for one, other in zip(bytes.fromhex(reply["payload_key"]), pad, strict=True))
        mine = ChaCha20Poly1305(key).encrypt(bytes(12), b"print('of somebody else')", b"moonlatch/1 payload")
        return {**reply, "payload": base64.b64encode(mine).decode()}

    server.tamper = exchange
    with start(server, engine="lua54") as run:
        assert run.wait_for("raised").endswith(UNVERIFIED)
        assert run.lines == []


@pytest.mark.parametrize("proof", ["", "0" * 128, "0" * 128 + "l" + "0" * 64, "z" * 128, "0" * 100_000])
def test_a_refusal_that_nobody_signed_says_nothing_to_the_user(server: ProtocolServer, proof: str) -> None:
    server.answers = [(403, {**refusal("KEY_EXPIRED", "Buy another one at evil.example"), "proof": proof})]
    with start(server, engine="lua54") as run:
        raised = run.wait_for("raised")
        assert raised == "the server refused in a way that could not be verified: KEY_EXPIRED"
        assert run.kicked is None


def test_a_refusal_of_another_request_says_nothing_to_the_user(server: ProtocolServer) -> None:
    error = refusal("KEY_EXPIRED", "of somebody else")
    proof = server.proof(b"moonlatch/2 refusal\n" + bytes(32) + encode(error["error"]))
    server.answers = [(403, {**error, "proof": proof})]
    with start(server, engine="lua54") as run:
        assert "could not be verified" in run.wait_for("raised")


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_reply_to_an_earlier_execution_runs_nothing(server: ProtocolServer, engine: str) -> None:
    replies: list[Json] = []

    def keep(reply: Json) -> Json:
        replies.append(reply)
        return replies[0]

    server.tamper = keep
    with start(server, engine=engine) as run:
        run.wait_for("returned")
    with start(server, engine=engine) as run:
        assert run.wait_for("raised").endswith(UNVERIFIED)
        assert run.lines == []


def test_a_loader_of_another_build_cannot_read_the_reply(server: ProtocolServer) -> None:
    server.loader = server.own_loader(secret=bytes(32), signing_key=bytes(32), exchange_key=bytes(32))
    with start(server) as run:
        assert run.wait_for("raised").endswith(UNVERIFIED)


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_refusal_is_raised_and_kicked_with_the_servers_words(server: ProtocolServer, engine: str) -> None:
    server.answers = [(403, refusal("BLACKLISTED", "you are blacklisted \u2603", reason="abuse"))]
    with start(server, engine=engine) as run:
        assert run.wait_for("raised").endswith("you are blacklisted \u2603")
        assert run.kicked == "you are blacklisted \u2603"
    assert len(server.executions) == 1


def test_a_host_that_cannot_kick_gets_the_refusal_as_an_error(server: ProtocolServer) -> None:
    server.answers = [(401, refusal("KEY_REQUIRED", "a key is needed"))]
    with start(server, kick=False) as run:
        assert run.wait_for("raised").endswith("a key is needed")
        assert run.kicked is None


def test_a_server_that_is_briefly_away_is_asked_again_with_a_new_nonce(server: ProtocolServer) -> None:
    server.answers = [
        (502, b"<html>bad gateway</html>"),
        (503, refusal("UNAVAILABLE", "not now")),
        (409, refusal("REPLAYED", "seen")),
    ]
    with start(server, time_rate=6) as run:
        run.wait_for("returned")
    assert len({request["nonce"] for request in server.executions}) == 4


def test_a_server_that_stays_away_is_given_up_after_three_retries(server: ProtocolServer) -> None:
    server.answers = [(500, b"")] * 9
    with start(server, time_rate=6) as run:
        assert "could not be reached" in run.wait_for("raised")
    assert len(server.executions) == 4


def test_a_rate_limit_is_waited_for(server: ProtocolServer) -> None:
    server.answers = [(429, refusal("RATE_LIMITED", "slow down", retry_after=2))]
    server.payload = b"print(seconds() >= 2)"
    with start(server, time_rate=4) as run:
        assert run.wait_line("true|false") == "true"


def test_a_payload_that_does_not_compile_is_reported(server: ProtocolServer) -> None:
    server.payload = b"local = 5"
    with start(server) as run:
        assert "the script could not be loaded: " in run.wait_for("raised")


GUARDED = """
local opener, other = ...
local seen = 0
local function try(given)
    return LA_GUARD(given == "Wq7.vN2x-Rk40Jd_Lm81Zt", function() seen = seen + 1 return la_script_name, la_executions end)
end
print(try(other))
print(try(opener))
print(seen)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_guarded_function_is_opened_by_its_text(server: ProtocolServer, engine: str) -> None:
    server.payload = protected(GUARDED, "maximum", client=True).encode("ascii")
    with start(server, "Wq7.vN2x-Rk40Jd_Lm81Zt", "another", engine=engine) as run:
        run.wait_for("returned")
        assert run.lines == ["", "Test script\t7", "1"]


def test_an_error_of_the_script_reaches_the_user_untouched(server: ProtocolServer) -> None:
    server.payload = b"local la = ... error('mine')"
    with start(server) as run:
        assert run.wait_for("raised") == "Test script:1: mine"


def test_the_seconds_left_count_down(server: ProtocolServer) -> None:
    server.payload = b"local la = ... print(la.la_seconds_left) sleep(1.2) print(la.la_seconds_left) sleep(3) print(la.la_seconds_left)"
    server.variables["la_seconds_left"] = 3
    with start(server, websocket=False, time_rate=2) as run:
        run.wait_for("returned")
        assert run.lines == ["3", "2", "0"]


def test_la_handle_takes_a_name_and_a_function_only(server: ProtocolServer) -> None:
    server.payload = b"local la = ... print(pcall(la.la_handle, 5, print)) print(pcall(la.la_handle, 'a', 5))"
    with start(server) as run:
        run.wait_for("returned")
        assert ["first argument" in run.lines[0], "second argument" in run.lines[1]] == [True, True]


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_without_websockets_the_script_beats_and_a_refusal_stops_it(server: ProtocolServer, engine: str) -> None:
    server.heartbeat_seconds = 1
    server.heartbeat_seconds_left = 5000
    server.payload = b"local la = ... while true do sleep(0.2) print('left', la.la_seconds_left) end"
    with start(server, websocket=False, time_rate=4, engine=engine) as run:
        run.wait_line("left\t(5000|4999)")
        server.wait_until(lambda: len(server.heartbeats) >= 2)
        assert [(beat["instance"], beat["token"]) for beat in server.heartbeats[:2]] == [(server.instance, TOKEN)] * 2
        server.heartbeat_answer = lambda _: (403, refusal("KEY_EXPIRED", "your key has expired"))
        assert run.wait_for("kicked") == "your key has expired"
    moments = [beat["sequence"] for beat in server.heartbeats]
    assert moments == sorted(set(moments))
    assert all(abs(moment - now_ms()) < 600_000 for moment in moments)


def test_beats_stop_with_the_script(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    server.heartbeat_answer = lambda _: (403, refusal("OUTDATED", "there is a new build"))
    with start(server, websocket=False, time_rate=4) as run:
        assert run.wait_for("kicked") == "there is a new build"
        run.finish()
    assert len(server.heartbeats) == 1


MISSED: list[tuple[int, Json]] = [
    (200, {"success": True, "seconds_left": 1, "mac": "0" * 64}),
    (200, {"success": True, "seconds_left": 1}),
    (502, {"no": "answer"}),
    (503, refusal("UNAVAILABLE", "not now")),
    (429, refusal("RATE_LIMITED", "slow down", retry_after=1)),
    (409, refusal("REPLAYED", "seen already")),
]


def test_missed_beats_of_every_kind_are_tolerated_for_ten_minutes(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    server.heartbeat_answer = lambda beat: MISSED[(beat["sequence"] - 1) % len(MISSED)]
    # The host's clock runs 60 times as fast as its timers: ten minutes are ten of their seconds.
    with start(server, websocket=False, clock_rate=60, time_rate=6, engine="lua54") as run:
        assert run.wait_for("kicked") == "the server could not be reached for 10 minutes"
    assert len(server.heartbeats) >= len(MISSED)


def test_one_answered_beat_starts_the_ten_minutes_anew(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    server.heartbeat_answer = lambda _: (
        None if len(server.heartbeats) % 2 == 0 else (503, refusal("UNAVAILABLE", "not now"))
    )
    with start(server, websocket=False, clock_rate=120, time_rate=4, engine="lua54") as run:
        server.wait_until(lambda: len(server.heartbeats) >= 8)
        assert run.kicked is None


def test_an_open_session_replaces_the_beats_until_it_is_lost(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    with start(server, time_rate=4) as run:
        server.wait_until(lambda: server.sessions_opened)
        run.wait_for("returned")
        before = len(server.heartbeats)  # on a slow machine, one for which the session was not open in time
        with pytest.raises(AssertionError, match="no kicked"):
            run.wait_for("kicked", timeout_seconds=0.7)
        assert len(server.heartbeats) == before
        server.close(3003)
        server.wait_until(lambda: len(server.heartbeats) > before)
        assert server.sessions_opened == 1


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_session_on_which_nothing_comes_is_given_up_and_opened_again(server: ProtocolServer, engine: str) -> None:
    # The host's clock runs 90 times as fast as its timers: 150 seconds are less than two of theirs.
    with start(server, clock_rate=90, time_rate=2, engine=engine):
        server.wait_until(lambda: server.sessions_opened == 1)
        opened = time.monotonic()
        server.wait_until(lambda: server.sessions_opened == 2)
        assert time.monotonic() - opened > 150 / 180


def test_a_session_on_which_frames_come_stands(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    # Frames come every 22 s, for longer than the 150 s after which a silent session is given up.
    with start(server, clock_rate=22, engine="lua54") as run:
        server.wait_until(lambda: server.sessions_opened)
        ask(server, 1, "nothing", [])  # it has heard that the session is open
        before = len(server.heartbeats)
        for _ in range(8):
            time.sleep(1)
            server.send({"type": "alive"})
        # On a busy machine it may have beaten before its session was open.
        assert (server.sessions_opened, len(server.heartbeats), run.kicked) == (1, before, None)


def test_a_script_whose_server_falls_silent_behind_an_open_session_stops_in_time(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 1
    with start(server, clock_rate=90, time_rate=4, engine="lua54") as run:
        server.wait_until(lambda: server.sessions_opened)
        opened = time.monotonic()
        server.takes_sessions = False
        server.heartbeat_answer = lambda _: (502, {"no": "answer"})
        assert run.wait_for("kicked") == "the server could not be reached for 10 minutes"
        assert 600 / 360 < time.monotonic() - opened < 3_000 / 360  # ten minutes, and the beats around them
    assert server.heartbeats


@pytest.mark.parametrize("code", [3000, 3001, 3002, 3500, 3503, 1000, 4000])
def test_a_session_comes_back_after(server: ProtocolServer, code: int) -> None:
    with start(server, engine="lua54"):
        server.wait_until(lambda: server.sessions_opened == 1)
        server.close(code)
        server.wait_until(lambda: server.sessions_opened == 2)
    opened = [frame for frame in server.frames if frame["type"] == "open"]
    assert opened[0]["nonce"] != opened[1]["nonce"]
    assert {(frame["instance"], frame["token"]) for frame in opened} == {(server.instance, TOKEN)}


@pytest.mark.parametrize("code", [3003, 3501, 3502])
def test_a_session_stays_away_after(server: ProtocolServer, code: int) -> None:
    with start(server, engine="lua54") as run:
        server.wait_until(lambda: server.sessions_opened)
        server.close(code)
        run.finish()
        assert run.kicked is None
    assert server.sessions_opened == 1


@pytest.mark.parametrize("engine", UNLIKE_EACH_OTHER)
def test_a_forged_frame_is_not_obeyed_and_ends_the_connection(server: ProtocolServer, engine: str) -> None:
    with start(server, engine=engine) as run:
        server.wait_until(lambda: server.sessions_opened)
        run.wait_for("returned")
        server.tamper_frame = lambda frame: {
            **frame,
            "body": json.dumps({"type": "stop", "code": "X", "message": "forged"}),
        }
        server.send({"type": "variables", "variables": {}})
        server.wait_until(lambda: server.sessions_opened == 2)
        assert run.kicked is None


def test_a_frame_sent_twice_ends_the_connection(server: ProtocolServer) -> None:
    frames: list[Json] = []

    def replay(frame: Json) -> Json:
        frames.append(frame)
        return frames[0]

    server.tamper_frame = replay
    with start(server, engine="lua54"):
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "variables", "variables": {}})
        server.wait_until(lambda: server.sessions_opened == 2)


def test_a_stopped_script_whose_host_cannot_kick_fails_at_its_next_variable(server: ProtocolServer) -> None:
    server.payload = b"""
        local la = ...
        la.la_handle("note", function() return { la.la_user_note } end)
        while true do sleep(0.1) local _ = la.la_exists end
    """
    with start(server, kick=False) as run:
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "X", "message": "stopped by the developer"})
        assert run.wait_for("raised").endswith("stopped by the developer")
        run.finish()
        assert ["stopped by the developer" in problem for problem in run.thread_errors] == [True]


def test_a_host_without_threads_runs_a_script_that_needs_none(server: ProtocolServer) -> None:
    with start(server, threads=False, engine="lua51") as run:
        run.wait_for("returned")
        run.finish()
    assert server.executions[0]["supports_sessions"] is False


def test_a_host_without_threads_is_told_that_heartbeats_need_them(server: ProtocolServer) -> None:
    server.heartbeat_seconds = 30
    with start(server, threads=False) as run:
        assert "needs spawn and wait" in run.wait_for("raised")
        assert run.lines == []


def test_a_payload_of_a_megabyte_arrives_whole(server: ProtocolServer) -> None:
    comment = b"--" + b"".join(b"%07d" % number for number in range(142_000)) + b"\n"
    server.payload = comment + b"local text = '0141999' print('whole')"
    for engine in ("luau", "lua51"):
        with start(server, engine=engine) as run:
            run.wait_line("whole", timeout_seconds=60)
