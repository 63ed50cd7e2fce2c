"""`moonlatch errors` and `explain`: what went wrong, and where in the source, from a terminal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from support.commands import Command
from support.developer import Developer
from support.server import MoonlatchServer

SOURCE = "-- a script\nlocal function follow(thing)\n    return thing.Humanoid.Health\nend\n\nfollow({})\n"
LINES = "nothing here\nScript:{line}: attempt to index nil with 'Health'\nend\n"


def line_of_index(text: str) -> int:
    """The line of a protected text that has the place."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if "Health" in line)


def test_a_map_beside_a_protected_file_explains_its_lines(moonlatch: Command, tmp_path: Path) -> None:
    source, output, line_map, console = (tmp_path / name for name in ("a.luau", "b.luau", "b.map", "console.txt"))
    source.write_text(SOURCE)
    moonlatch("protect", str(source), "--profile", "minify", "-o", str(output), "--map", str(line_map))
    console.write_text(LINES.format(line=line_of_index(output.read_text())))
    explained = moonlatch("explain", str(console), "--map", str(line_map))
    assert "line 3 in follow" in explained.out
    (found,) = moonlatch("explain", str(console), "--map", str(line_map), "--json").json
    assert found["place"] == {"file": None, "line": 3, "function": "follow"}
    console.write_text("nothing\n")
    assert "no line names a place" in moonlatch("explain", str(console), "--map", str(line_map)).err
    assert "is not a map" in moonlatch("explain", str(console), "--map", str(source)).err
    assert "neither a map nor a build" in moonlatch("explain", str(console)).err


def test_errors_are_listed_shown_and_settled(
    moonlatch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MoonlatchServer(tmp_path / "data")
    token = server.new_account("owner")
    with server, Developer(server.url, token) as developer:
        monkeypatch.setenv("MOONLATCH_TOKEN", token)
        monkeypatch.setenv("MOONLATCH_URL", server.url)
        script = developer.new_script(developer.new_project(), SOURCE, profile="minify", report_errors=True)
        with sqlite3.connect(tmp_path / "data" / "moonlatch.db", timeout=30) as database:
            database.execute(
                "insert into error_groups (id, script_id, build, place, kin, signature, kind, message, line, function, state, instances, "
                "keys, executors, first_seen, last_seen) values ('ERROR', ?, 1, '2', x'01', x'02', 'main', 'attempt to index nil', 3, "
                "'follow', 'open', 5, 4, '{\"Delta\":5}', 1, 2)",
                [script],
            )
            (payload,) = database.execute("select payload from builds").fetchone()
        listed = moonlatch("errors", "list", "--script", script, "--state", "open", "--build", "1")
        assert "attempt to index nil" in listed.out
        assert "line 3 in follow" in listed.out
        assert [each["id"] for each in moonlatch("errors", "list", "--script", script, "--json").json] == ["ERROR"]
        assert "Delta 5" in moonlatch("errors", "show", "ERROR").out
        for verb, state in (("resolve", "resolved"), ("ignore", "ignored"), ("reopen", "open")):
            moonlatch("errors", verb, "ERROR")
            assert moonlatch("errors", "show", "ERROR", "--json").json["error"]["state"] == state
        console = tmp_path / "console.txt"
        console.write_text(LINES.format(line=line_of_index(payload.decode())))
        assert "line 3 in follow" in moonlatch("explain", str(console), "--script", script, "--build", "1").out
