"""`LA_VARIANT` from an upload to a trace: what a customer's copy does in real interpreters tells whose it is, when it was written down anew."""

from __future__ import annotations

import pytest

from support.developer import Developer
from support.lua_host import LoaderRun
from support.server import MoonlatchServer

COUNT = 160
SCRIPT = "\n".join(
    f"print(LA_VARIANT('{number} is odd or even', 'odd or even {number}'), {number})" for number in range(COUNT)
)


def lines_of(server: MoonlatchServer, script: str, key: str, engine: str) -> list[str]:
    """What the copy of that key prints."""
    with LoaderRun(f"{server.url}/loader/{script}", engine=engine, key=key) as run:
        run.wait_for("returned")
        return run.lines


def lifted(lines: list[str]) -> str:
    """The script as somebody writes it down who saw what it prints: nothing of the build is left, nor a name, nor how it was set."""
    texts = [line.split("\t") for line in lines]
    return "local say = nil\n\n" + "\n\n".join(f'print(\n  "{text}"\n, {number})' for text, number in texts)


@pytest.mark.parametrize(("profile", "engine"), [("light", "lua51"), ("maximum", "luau"), ("maximum", "luajit")])
def test_a_script_that_was_written_down_anew_names_its_key(
    server: MoonlatchServer, developer: Developer, project: str, profile: str, engine: str
) -> None:
    script = developer.new_script(project, SCRIPT, profile=profile, mark_copies=True)
    users = [developer.post(f"/projects/{project}/users")["users"][0] for _ in range(3)]
    copies = [lines_of(server, script, user["key"], engine) for user in users[:2]]
    assert [len(lines) for lines in copies] == [COUNT, COUNT]
    assert copies[0] != copies[1]
    assert copies[1] == lines_of(server, script, users[1]["key"], engine)
    # Other builds of the same source have other words, and are told from the one that it is of.
    developer.post(f"/scripts/{script}/update", script=SCRIPT)
    found = developer.post(f"/scripts/{script}/trace", file=lifted(copies[1]))
    assert found["build"] == 1
    assert found["read"] >= 0.9 * COUNT
    assert [one["user_key"] for one in found["suspects"] if one["named"]] == [users[1]["key"]]
