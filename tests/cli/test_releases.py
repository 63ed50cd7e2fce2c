"""`moonlatch rollout`, `channels` and `pin`: what the API can do, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.commands import Command, Ended
from support.developer import Developer
from support.server import MoonlatchServer


@dataclass
class Released:
    """A script with two builds, and a key."""

    script: str
    key: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server's URL, and a token."""
    server = MoonlatchServer(tmp_path_factory.mktemp("releases") / "data")
    token = server.new_account("owner")
    with server:
        yield server.url, token


@pytest.fixture(autouse=True)
def surroundings(served: tuple[str, str], clean_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    url, token = served
    monkeypatch.setenv("MOONLATCH_TOKEN", token)
    monkeypatch.setenv("MOONLATCH_URL", url)


@pytest.fixture
def released(served: tuple[str, str]) -> Released:
    return new_release(*served)


@pytest.fixture(scope="module")
def left(served: tuple[str, str]) -> Released:
    """One that no test changes; it takes a second to make."""
    return new_release(*served)


def new_release(url: str, token: str) -> Released:
    with Developer(url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, "print(1)")
        developer.post(f"/scripts/{script}/update", script="print(2)")
        developer.post(f"/scripts/{script}/rollback", build=1)
        return Released(script, developer.new_key(project))


def test_a_rollout_is_started_paused_halted_resumed_and_finished(moonlatch: Command, released: Released) -> None:
    def told(verb: str, *options: str) -> Ended:
        return moonlatch("rollout", verb, "--script", released.script, *options)

    assert told("show").out == "There is no rollout.\n"
    none = told("halt")
    assert (none.status, none.err.splitlines()[0]) == (1, "error: the script has no open rollout")
    begun = told("start", "--build", "2", "--steps", "0.5:30,25,100", "--minutes", "90")
    assert begun.status == 0, begun.err
    assert begun.out.startswith("Build 2: 0.5 % of the keys are given it, from ")
    assert begun.out.endswith(" UTC on 25 %.\n")
    (shown,) = told("show", "--json").json["rollouts"]
    assert [(step["basis_points"], step["minutes"]) for step in shown["steps"]] == [(50, 30), (2_500, 90), (10_000, 90)]
    assert told("pause").out == "Build 2: paused, 0.5 % of the keys are given it.\n"
    again = told("pause")
    assert (again.status, "rollout does not stand so" in again.err) == (1, True)
    resumed = told("resume")
    assert (resumed.status, resumed.err.splitlines()[1]) == (1, "--yes resumes without asking.")
    assert told("resume", "--yes", "--json").json["rollout"]["state"] == "rolling"
    assert told("halt").out == "Build 2: halted, nobody is given it.\n"
    assert told("resume", "--yes").status == 0
    assert told("finish").out.startswith("Build 2: finished at ")
    assert "2 (current): " in moonlatch("builds", "--script", released.script).out


@pytest.mark.parametrize("steps", ["", "5,,100", "5;100", "-5", "5:x", "1000000"])
def test_steps_that_are_none_are_told(moonlatch: Command, left: Released, steps: str) -> None:
    ended = moonlatch("rollout", "start", "--script", left.script, "--build", "2", "--steps", steps)
    assert (ended.status, "is not a step" in ended.err) == (1, True)


def test_steps_that_the_server_refuses_are_told(moonlatch: Command, left: Released) -> None:
    ended = moonlatch("rollout", "start", "--script", left.script, "--build", "2", "--steps", "50,5")
    assert (ended.status, "steps: must give the build to more keys each" in ended.err) == (1, True)


def test_a_key_is_put_on_a_channel_pinned_and_let_go(moonlatch: Command, released: Released) -> None:
    given = ("--script", released.script)
    assert moonlatch("channels", "set", "beta", *given, "--build", "2").status == 0
    assert moonlatch("channels", "list", *given).out == "stable: build 1\nbeta: build 2\n"
    assert moonlatch("pin", released.key, *given, "--channel", "beta", "--build", "1", "--hours", "3").status == 0
    listed = moonlatch("channels", "pins", *given).out
    assert released.key in listed
    assert "beta" in listed
    (pin,) = moonlatch("channels", "pins", *given, "--json").json["pins"]
    assert (pin["channel"], pin["build"], pin["expires"] is not None) == ("beta", 1, True)
    both = moonlatch("pin", released.key, *given, "--clear", "--build", "1")
    assert (both.status, both.err.splitlines()[0]) == (1, "error: --clear takes everything away")
    assert moonlatch("pin", released.key, *given, "--clear").out == "The key is given what others are.\n"
    assert moonlatch("channels", "pins", *given, "--json").json["pins"] == []
    assert moonlatch("channels", "remove", "beta", *given).status == 0
    gone = moonlatch("channels", "remove", "beta", *given)
    assert (gone.status, "beta was not removed" in gone.err) == (1, True)
