"""`moonlatch licence`: a file from a real server, by which the real loader starts the script without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.commands import Command, Ended
from support.developer import Developer
from support.lua_host import LuaRun
from support.server import MoonlatchServer

DEVICE = "76561198000000000"


@dataclass(frozen=True)
class Sold:
    """A script that may start without the server, one that may not, and keys."""

    url: str
    token: str
    script: str
    online: str
    keys: list[str]


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sold]:
    server = MoonlatchServer(tmp_path_factory.mktemp("licence") / "data")
    token = server.new_account("owner")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        source = "print(la_script_name, (...))"
        script = developer.new_script(project, source, name="Fishing", offline_days=7, profile="minify")
        online = str(developer.post(f"/projects/{project}/scripts", name="Online")["script"]["id"])
        yield Sold(server.url, token, script, online, [developer.new_key(project) for _ in range(3)])


@pytest.fixture
def licence(moonlatch: Command, sold: Sold, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    monkeypatch.setenv("MOONLATCH_URL", sold.url)
    monkeypatch.setenv("MOONLATCH_TOKEN", sold.token)

    def made(key: str, *options: str, script: str = sold.script, out: str = "fishing.lua") -> Ended:
        return moonlatch("licence", key, "--script", script, "--device", DEVICE, "--out", out, *options)

    return made


def start(file: Path, key: str, *, device: str = DEVICE) -> LuaRun:
    settings = {"fingerprint": device, "http": "no", "keeps": "no"}
    return LuaRun(f'script_key = "{key}"\n{file.read_text()}', "argument", engine="lua54", settings=settings)


def test_the_file_starts_the_script_on_its_device_and_on_no_other(
    licence: Callable[..., Ended], sold: Sold, tmp_path: Path
) -> None:
    key, file = sold.keys[0], tmp_path / "fishing.lua"
    ended = licence(key, "--days", "30")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("fishing.lua starts build 1 on this device until ")
    assert list(tmp_path.iterdir()) == [file]
    with start(file, key) as run:
        assert run.wait_line("Fishing") == "Fishing\targument"
    with start(file, key, device="another") as run:
        assert run.wait_for("raised").endswith("the licence cannot be used: it is for another key or device")


def test_as_json_it_tells_of_the_licence_and_not_what_is_in_it(
    licence: Callable[..., Ended], sold: Sold, tmp_path: Path
) -> None:
    told = licence(sold.keys[1], "--json", out="other.lua").json["licence"]
    assert (told["build"], "program" in told, told["expires"] < told["grace"]) == (1, False, True)
    with start(tmp_path / "other.lua", sold.keys[1]) as run:
        run.wait_line("Fishing")


def test_what_cannot_be_made_is_told_and_leaves_no_file(
    licence: Callable[..., Ended], sold: Sold, tmp_path: Path
) -> None:
    (tmp_path / "fishing.lua").write_text("mine")
    for ended, said in (
        (licence("x" * 32), "Is the key right, and does it belong to the token's account?"),
        (licence(sold.keys[2], script=sold.online), "script does not start without the server"),
        (licence(sold.keys[2], "--token", "ml_" + "x" * 49), "Is the token right?"),
        (licence(sold.keys[2], "--url", "http://127.0.0.1:9"), "cannot be reached"),
        (licence(sold.keys[2], "--days", "367"), "less than or equal to 366"),
    ):
        assert ended.status != 0
        assert said in ended.err
        assert "Traceback" not in ended.err
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("fishing.lua", "mine")]
    refused = licence("x" * 32, "--json")
    assert (refused.status, refused.json["success"]) == (1, False)


@pytest.mark.parametrize("out", ["nowhere/fishing.lua", ".", "/proc/fishing.lua"])
def test_no_key_is_bound_by_a_licence_that_cannot_be_written(
    licence: Callable[..., Ended], sold: Sold, out: str
) -> None:
    ended = licence(sold.keys[2], out=out)
    assert (ended.status, "cannot be written" in ended.err) == (1, True)
    with Developer(sold.url, sold.token) as developer:
        assert developer.get(f"/users/{sold.keys[2]}")["user"]["fingerprint_assigned"] is False
