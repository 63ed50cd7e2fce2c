"""What a loader tells the server of errors: under every interpreter, without the script or its host noticing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.lua_host import ENGINES, LoaderRun, ProtocolServer
from support.lua_host.protocol_server import TOKEN, Json, refusal

MAIN = """
local la = ...
print("before")
sleep(0.1)
local function inner(thing)
  return thing.missing.field
end
inner({})
"""


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with ProtocolServer(MAIN) as server:
        server.loader = server.own_loader(reports_errors=True)
        server.takes_reports = True
        server.offers_session = False
        yield server


def start(server: ProtocolServer, payload: str | None = None, **options: Any) -> LoaderRun:
    if payload is not None:
        server.payload = payload.encode()
    return LoaderRun(server.loader_url, **{"key": "KEY", "executor": "Host", **options})


def errors(server: ProtocolServer, number: int) -> list[Json]:
    server.wait_until(lambda: len([each for each in server.reports if "error" in each]) >= number)
    return [each["error"] for each in server.reports if "error" in each]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_of_the_script_is_reported_and_reaches_its_host_as_it_is(server: ProtocolServer, engine: str) -> None:
    with start(server, engine=engine) as run:
        raised = run.wait_for("raised")
        (error,) = errors(server, 1)
    server.takes_reports = False
    with start(server, engine=engine) as unreported:
        assert unreported.wait_for("raised") == raised
    assert server.executions[0]["reports"] is True
    assert raised.startswith("Test script:6:")
    assert error == {
        "message": raised.removeprefix("Test script:6: "),
        "line": 6,
        "kind": "main",
        "executor": "Host",
        "seconds": error["seconds"],
    }
    assert 0 <= error["seconds"] < 60
    report = server.reports[0]
    assert (report["instance"], report["token"]) == (server.reports[0]["instance"], TOKEN)
    assert isinstance(report["sequence"], int)


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_errors_of_threads_handlers_and_those_that_are_given_are_reported(server: ProtocolServer, engine: str) -> None:
    server.offers_session = True
    payload = """
    local la = ...
    la.la_handle("raises", function() error("in the handler") end)
    thread(function() error("in the thread") end)
    thread(function() error("of another script", 0) end)
    local ok, problem = pcall(error, "given")
    la.la_report(problem)
    la.la_report({})
    print("ready")
    """
    with start(server, payload, engine=engine, errors=True) as run:
        run.wait_line("ready")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "message", "id": 1, "key": "raises", "data": []})
        server.wait_frame(type="reply", id=1, status="errored")
        found = {(each["kind"], each["message"].split(":")[0], each["line"]) for each in errors(server, 4)}
    assert found == {
        ("handler", "in the handler", 3),
        ("thread", "in the thread", 4),
        ("reported", "given", None),
        ("reported", "table", None),
    }


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_a_script_that_waits_and_returns_is_run_as_ever(server: ProtocolServer, engine: str) -> None:
    with start(server, "sleep(0.1) print(select('#', ...)) return 1, nil, 3", engine=engine) as run:
        assert run.wait_for("returned") == "1\tnil\t3"
    assert server.reports == []


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_what_is_no_text_is_raised_as_it_is_and_found_by_its_trace(server: ProtocolServer, engine: str) -> None:
    payload = "local la = ...\nlocal function f()\n  error(setmetatable({}, { __tostring = function() return 'told' end }))\n  return 1\nend\nlocal x = f()"
    with start(server, payload, engine=engine) as run:
        run.wait_for("raised")
        (error,) = errors(server, 1)
    assert (error["message"], error["kind"]) == ("told", "main")
    assert error["line"] == 3


def test_at_most_five_are_reported_and_each_once(server: ProtocolServer) -> None:
    payload = "local la = ... for i = 1, 20 do la.la_report('same') la.la_report('number ' .. i) end"
    with start(server, payload, time_rate=60) as run:
        server.wait_until(lambda: any("health" in each for each in server.reports))
        run.finish()
    found = [each["error"]["message"] for each in server.reports if "error" in each]
    assert sorted(found) == ["number 1", "number 2", "number 3", "number 4", "same"]
    assert [each["health"] for each in server.reports if "health" in each] == ["error"]


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_how_the_start_went_is_said_once_after_half_a_minute(server: ProtocolServer, engine: str) -> None:
    payload = "print(seconds()) while seconds() < 300 do sleep(1) end print(seconds())"
    with start(server, payload, engine=engine, time_rate=100) as run:
        run.wait_for("returned")
        run.finish()
    assert [{"health": each["health"]} for each in server.reports] == [{"health": "ok"}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r"C:\Users\Jane Doe\scripts\farm.lua: no such file", "<path>: no such file"),
        ("cannot open /home/jane/keys/secret.txt now", "cannot open <path> now"),
        ("cannot open ~/secret.txt", "cannot open <path>"),
        ("said '" + "a b" * 100 + "' twice", "said <long> twice"),
        ("x" * 201, "<long>"),
        ("line one\nline two", "line one line two"),
        ("ab " * 300, ("ab " * 300)[:400]),
        ("\xff and snow", "? and snow"),
    ],
)
def test_paths_and_long_texts_stay_where_they_are(server: ProtocolServer, text: str, told: str) -> None:
    with start(server, f"local la = ... la.la_report({lua_text(text)})"):
        (error,) = errors(server, 1)
    assert error["message"] == told


@pytest.mark.parametrize("engine", ["luau", "lua51"])
def test_who_it_was_is_not_told_by_the_message(server: ProtocolServer, engine: str) -> None:
    key, device = "MY-OWN.KEY%d", "a device+[1]"
    payload = f"local la = ... la.la_report({lua_text(f'{key} on {device}: {key}')})"
    with start(server, payload, key=key, fingerprint=device, engine=engine):
        (error,) = errors(server, 1)
    assert error["message"] == "<key> on <device>: <key>"


def lua_text(text: str) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode("latin-1")) + '"'


@pytest.mark.parametrize("engine", ["luau", "lua51", "luajit"])
def test_a_report_that_fails_is_forgotten(server: ProtocolServer, engine: str) -> None:
    server.report_answer = (429, refusal("RATE_LIMITED", "too many"))
    payload = "local la = ... la.la_report('one') sleep(1) print('on')"
    with start(server, payload, engine=engine) as run:
        run.wait_line("on")
        errors(server, 1)
        happened = run.happened
    assert [each.event for each in happened if each.event in ("raised", "thread_error", "kicked")] == []
    assert len(server.reports) == 1


@pytest.mark.parametrize("lacks", ["setting", "threads", "part"])
def test_nothing_is_reported_unless_its_owner_wants_it_and_the_host_has_threads(
    server: ProtocolServer, lacks: str
) -> None:
    if lacks == "setting":
        server.takes_reports = False
    if lacks == "part":
        server.loader = server.own_loader()
    with start(server, "local la = ... la.la_report('one') error('two', 0)", threads=lacks != "threads") as run:
        assert run.wait_for("raised") == "two"
        run.finish()
    assert server.reports == []
    assert server.executions[0].get("reports") is (True if lacks == "setting" else None)


def test_a_loader_without_reports_holds_nothing_of_them(server: ProtocolServer) -> None:
    assert b"/client/v1/report" not in server.own_loader()
    assert b"/client/v1/report" in server.loader


def test_the_servers_own_stop_is_no_error_of_the_script(server: ProtocolServer) -> None:
    server.offers_session = True
    payload = "local la = ... print('ready') while true do sleep(0.05) local _ = la.la_nothing end"
    with start(server, payload, kick=False, time_rate=60) as run:
        run.wait_line("ready")
        server.wait_until(lambda: server.sessions_opened)
        server.send({"type": "stop", "code": "DISCONNECTED", "message": "you were disconnected"})
        assert run.wait_for("raised") == "you were disconnected"
        run.finish()
    assert server.reports == []
