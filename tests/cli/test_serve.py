"""`serve` and `push` against a real server process: the first start, and what it tells people to try."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from moonlatch.cli.first_start import FILE_NAME
from moonlatch.master_key import MasterKeySource
from support.client import Client, Refused
from support.commands import Command, Ended
from support.developer import Developer
from support.server import MoonlatchServer, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoonlatchServer]:
    with MoonlatchServer(tmp_path_factory.mktemp("installation") / "data") as running:
        example_is_told(running)
        yield running


def example_is_told(server: MoonlatchServer) -> str:
    """What the first start told, once it has told everything."""
    give_up = time.monotonic() + 60
    while "/docs" not in server.log.read_text() and time.monotonic() < give_up:
        time.sleep(0.05)
    return server.told()


def told_token(server: MoonlatchServer) -> str:
    return re.findall(r"^    (ml_\S+)$", server.told(), re.MULTILINE)[0]


def told_script(server: MoonlatchServer) -> str:
    return re.findall(r"/loader/(\w{32})", server.told())[0]


def pushed(moonlatch: Command, server: MoonlatchServer, source: str, *options: str) -> Ended:
    Path("mine.lua").write_text(source)
    return moonlatch("push", "mine.lua", "--script", told_script(server), "--url", server.url, *options)


def test_the_curl_lines_of_the_first_start_work_as_pasted(server: MoonlatchServer) -> None:
    lines = re.findall(r"^    (curl .*)$", server.told(), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        _, url, *rest = shlex.split(line)
        options = list(zip(rest[::2], rest[1::2], strict=True))
        headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
        data = [value for option, value in options if option == "-d"]
        answer = httpx.request("POST" if data else "GET", url, headers=headers, content="".join(data) or None)
        assert answer.json()["success"] is True


def test_the_loader_line_of_the_first_start_names_a_loader_and_a_key_that_exist(server: MoonlatchServer) -> None:
    shown = server.told()
    (loader,) = re.findall(r'HttpGet\("(http[^"]+)"\)', shown)
    (key,) = re.findall(r'script_key = "(\w{32})"', shown)
    assert httpx.get(loader).status_code == 200
    user = httpx.get(f"{server.url}/users/{key}", headers={"token": told_token(server)})
    assert user.json()["user"]["key"] == key


def test_the_push_lines_of_the_first_start_work_as_pasted(server: MoonlatchServer, tmp_path: Path) -> None:
    (lines,) = re.findall(r"^    (echo .*\n.*\n.*push.*)$", server.told(), re.MULTILINE)
    done = subprocess.run(["sh", "-ec", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[:8]) == (0, "source: ")
    assert re.fullmatch(r"Published hello\.lua as build \d+\.\n", done.stdout)


def test_the_token_is_told_once_and_a_second_start_makes_nothing_new(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data")
    with server:
        example_is_told(server)
        assert server.stop() in {0, -2, 130}
    first = server.log.read_text()
    with server:
        server.stop()
    later = server.log.read_text()[len(first) :]
    assert server.told().count("    ml_") == 1
    assert (server.data / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert str(server.data / FILE_NAME) in first
    assert re.search(r"ml_|#/invite/|script_key", first) is None
    assert "Moonlatch is running at" in later
    assert "ml_" not in later
    assert len(json.loads(server.cli("accounts", "list", "--data", str(server.data), "--json").stdout)) == 1


def test_the_link_of_the_first_start_lets_its_owner_in(server: MoonlatchServer) -> None:
    (secret,) = re.findall(rf"^    {server.url}/dashboard/#/invite/(\S+)$", server.told(), re.MULTILINE)
    with httpx.Client(base_url=server.url, headers={"Origin": server.url}) as browser:
        body = {"secret": secret, "password": "correct horse battery"}
        me = browser.post("/auth/accept", json=body).json()["me"]
        assert (me["role"], me["account_name"], me["sign_in_name"]) == ("owner", "owner", "owner")
        made = browser.post("/projects", json={"name": "Mine"}, headers={"X-CSRF-Token": me["csrf"]})
        assert made.json()["success"] is True
        again = browser.post("/auth/accept", json=body)
        assert again.status_code == 404


def test_at_a_terminal_the_first_start_tells_everything_there(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data")
    ours, theirs = pty.openpty()
    shown = b""
    process = subprocess.Popen(
        server.command, env=server.environment(), stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    try:
        while b"/docs" not in shown:
            shown += os.read(ours, 4096)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        os.close(ours)
    assert re.search(rb"^    ml_\S+\r$", shown, re.MULTILINE)
    assert re.search(rb"^    http\S+/dashboard/#/invite/\S+\r$", shown, re.MULTILINE)
    assert b"script_key" in shown
    assert not (server.data / FILE_NAME).exists()


def test_accounts_and_tokens_can_be_made_while_the_server_runs(server: MoonlatchServer) -> None:
    token = server.new_account("beside")
    headers = {"token": token}
    assert httpx.get(f"{server.url}/account", headers=headers).json()["account"]["name"] == "beside"
    (listed,) = json.loads(server.cli("tokens", "list", "beside", "--data", str(server.data), "--json").stdout)
    server.cli("tokens", "revoke", "beside", listed["id"], "--data", str(server.data))
    assert httpx.get(f"{server.url}/account", headers=headers).status_code == 401


async def test_a_removed_account_takes_everything_with_it_while_the_server_runs(server: MoonlatchServer) -> None:
    token = server.new_account("leaving")
    with Developer(server.url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, "print('here')")
        key = developer.new_key(project)
        developer.post("/account/luraph", api_key="a-key")
    with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
        (loader,) = connection.execute("select loader from scripts where id = ?", [script]).fetchone()
    keyring = MasterKeySource(server.data).open()
    secret, key_hash = keyring.loader_secret(loader), keyring.user_key_hash(key).hex().upper()
    async with httpx.AsyncClient(timeout=60) as http:
        copy = await Client(server.url, script, loader, secret, http).execute(key=key)
        place = ("--data", str(server.data))
        refused = server.cli("accounts", "remove", "leaving", "--yes", *place, check=False)
        assert (refused.returncode, "1 project, 1 script and 1 user" in refused.stderr) == (1, True)
        before = everything_in(server)
        removed = server.cli("accounts", "remove", "leaving", "--yes", "--with-projects", *place)
        assert removed.stdout == "Account 'leaving' was removed with 1 project, 1 script and 1 user.\n"
        with pytest.raises(Refused):
            await copy.beat()
    assert httpx.get(f"{server.url}/account", headers={"token": token}).status_code == 401
    after = everything_in(server)
    for value in (project, script, key_hash, loader, copy.instance, "leaving"):
        assert value in before
        assert value not in "\n".join(line for line in after.splitlines() if '"events"' not in line)
    for value in (key_hash, loader, copy.instance, "leaving"):  # that something was done stays, and names nobody
        assert value not in after


def everything_in(server: MoonlatchServer) -> str:
    """All that any table holds, as text."""
    with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
        return "\n".join(connection.iterdump())


def test_a_port_in_use_is_told_without_a_traceback(server: MoonlatchServer, tmp_path: Path) -> None:
    ended = server.cli("serve", "--port", str(server.port), "--data", str(tmp_path / "other"), check=False)
    assert ended.returncode == 1
    assert f"error: cannot listen on 127.0.0.1 port {server.port}: Address already in use" in ended.stderr
    assert f"`MOONLATCH_PORT={server.port + 1} make run`" in ended.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"MOONLATCH_PORT": "TAKEN"},
        {"MOONLATCH_METRICS__PORT": "TAKEN"},
        {"MOONLATCH_HOST": "moonlatch.invalid"},
        {"MOONLATCH_DATABASE_URL": "postgresql://127.0.0.1:1/nobody"},
        {"MOONLATCH_DATABASE_URL": "postgresql://127.0.0.1:1/nobody", "MOONLATCH_REDIS_URL": "redis://127.0.0.1:1"},
        {
            "MOONLATCH_DATABASE_URL": "postgresql://127.0.0.1:1/nobody",
            "MOONLATCH_REDIS_URL": "redis://127.0.0.1:1",
            "MOONLATCH_WORKERS": "2",
        },
    ],
    ids=" ".join,
)
def test_a_start_that_fails_leaves_no_folder(server: MoonlatchServer, tmp_path: Path, settings: dict[str, str]) -> None:
    given = {name: value.replace("TAKEN", str(server.port)) for name, value in settings.items()}
    failing = MoonlatchServer(tmp_path / "new" / "data", {"MOONLATCH_PORT": str(free_port()), **given})
    ended = failing.cli("serve", "--data", str(failing.data), check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert not (tmp_path / "new").exists()
    if "MOONLATCH_METRICS__PORT" in settings:
        assert "metrics.port" in ended.stderr


def test_a_start_that_fails_leaves_a_folder_that_was_there(server: MoonlatchServer, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    ended = server.cli("serve", "--port", str(server.port), "--data", str(tmp_path / "kept"), check=False)
    assert ended.returncode == 1
    assert list((tmp_path / "kept").iterdir()) == []


def test_an_address_that_is_none_is_told(server: MoonlatchServer, tmp_path: Path) -> None:
    ended = server.cli("serve", "--host", "moonlatch.invalid", "--data", str(tmp_path / "other"), check=False)
    assert ended.returncode == 1
    assert re.search(r"error: cannot listen on moonlatch.invalid port 8400: [A-Z][a-z ]+\n.*--host", ended.stderr)
    assert "Unknown error" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_data_folder_that_cannot_be_written_is_told(moonlatch: Command) -> None:
    Path("file").write_text("")
    ended = moonlatch("serve", "--data", "file/data")
    assert ended.status == 1
    assert ended.err.startswith("error: the data folder file/data cannot be made or written to: Not a directory")


def test_a_broken_master_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("not a key")
    ended = subprocess.run(
        [sys.executable, "-m", "moonlatch", "serve", "--port", str(free_port()), "--data", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "is not a Moonlatch master key" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_push_publishes_and_tells_the_build(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    first = pushed(moonlatch, server, "print(1)", "--json").json
    assert first["success"] is True
    second = pushed(moonlatch, server, "print(2) -- é")
    assert (second.status, second.out) == (0, f"Published mine.lua as build {first['build'] + 1}.\n")


def test_a_push_tells_what_changed_in_size(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    pushed(moonlatch, server, "print(1)\nprint(2)")
    told = pushed(moonlatch, server, "print(1)\nprint(2)\nprint(3)\n").err
    assert re.fullmatch(r"source: 3 lines \(\+1\), 27 bytes \(\+10\); protected: [0-9,]+ bytes \([+-][0-9,]+\)\n", told)


def test_a_dry_run_of_a_push_publishes_nothing(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    current = pushed(moonlatch, server, "print(1)", "--json").json["build"]
    tried = pushed(moonlatch, server, "print(2)", "--dry-run")
    assert (tried.status, tried.out) == (0, f"mine.lua would be published as build {current + 1}. Nothing was.\n")
    assert pushed(moonlatch, server, "print(1)", "--json").json["build"] == current + 1


def test_a_push_to_some_first_or_at_a_time_leaves_the_current_build(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    current = pushed(moonlatch, server, "print(1)", "--json").json["build"]
    later = pushed(moonlatch, server, "print(2)", "--publish-at", "2099-01-01T00:30+01:00")
    assert later.out == f"mine.lua is build {current + 1}, and published at 2098-12-31 23:30 UTC.\n"
    some = pushed(moonlatch, server, "print(3)", "--rollout", "5,100")
    assert some.out == f"Published mine.lua as build {current + 2}, to 5 % of the keys. `rollout halt` takes it back.\n"
    for moment in ("tomorrow", "2099-01-01", "2099-01-01T00:00"):
        ended = pushed(moonlatch, server, "print(4)", "--publish-at", moment)
        assert (ended.status, ended.err.startswith("error: '")) == (1, True)
    given = ("--script", told_script(server), "--url", server.url)
    listed = moonlatch("builds", *given, "--json").json["builds"]
    assert [build["number"] for build in listed if build["current"]] == [current]
    assert moonlatch("rollout", "halt", *given).status == 0


def folder_of(**files: str) -> None:
    for name, text in files.items():
        path = Path("game", name.replace("__", "/") + ".luau")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_folder_of_modules_is_pushed_as_one_script(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    folder_of(main="local a = require('./lib/a')\nprint(a)\nlocal x = require(a)", lib__a="return 1")
    given = ("push", "game", "--script", told_script(server), "--url", server.url)
    ended = moonlatch(*given)
    assert (ended.status, ended.out.startswith("Published game as build ")) == (0, True)
    assert "warning: main.luau:3: the module is chosen while it runs, so it is not in the bundle\n" in ended.err
    folder_of(lib__a="local t = 1\nla_is_premium = true\nreturn t")
    ended = moonlatch(*given)
    assert ended.status == 1
    assert re.search(r"^  game/lib/a.luau:2: .*la_is_premium", ended.err, re.MULTILINE), ended.err
    folder_of(lib__a="return require('../main')")
    ended = moonlatch(*given)
    assert ended.err == (
        "error: game/lib/a.luau:1: The modules ask for each other in a circle: main.luau -> lib/a.luau -> main.luau\n"
    )
    ended = moonlatch(*given, "--entry", "lib/b.luau")
    assert ended.err == "error: game/lib/b.luau: There is no such file in the folder\n"
    assert moonlatch("push", "mine.lua", *given[2:], "--entry", "x").status == 1


def test_a_bundle_is_printed_or_written_and_links_lead_nowhere_else(moonlatch: Command, tmp_path: Path) -> None:
    folder_of(main="return require('./lib/a')", lib__a="return 1")
    printed = moonlatch("bundle", "game").out
    assert "return 1" in printed
    assert moonlatch("bundle", "game", "-o", "out.lua").out == "out.lua is 2 modules of game.\n"
    assert Path("out.lua").read_text() == printed
    assert moonlatch("bundle", "game", "--json").json["files"] == ["main.luau", "lib/a.luau"]
    Path("secret.luau").write_text("return 'secret'")
    Path("game/lib/a.luau").unlink()
    Path("game/lib/a.luau").symlink_to(tmp_path / "secret.luau")
    ended = moonlatch("bundle", "game")
    assert (ended.status, ended.err) == (1, "error: game/main.luau:1: There is no module ./lib/a\n")
    assert moonlatch("bundle", "nowhere").err == "error: nowhere is not a folder\n"


def test_what_is_saved_is_published_to_a_channel_for_ones_own_key(server: MoonlatchServer) -> None:
    folder_of(main="print(require('./lib/a'))", lib__a="return 1")
    (key,) = re.findall(r'script_key = "(\w{32})"', server.told())
    command = [sys.executable, "-m", "moonlatch", "watch", "game", "--script", told_script(server), "--url", server.url]
    environment = {**os.environ, "MOONLATCH_TOKEN": told_token(server), "PYTHONUNBUFFERED": "1"}
    unknown = subprocess.run(
        [*command, "--key", "x" * 32], env=environment, capture_output=True, text=True, check=False
    )
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error: nothing was published")
    with (
        Developer(server.url, told_token(server)) as developer,
        subprocess.Popen(
            [*command, "--key", key, "--channel", "mine"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as watching,
    ):
        assert watching.stdout is not None
        assert watching.stderr is not None
        try:
            first = watching.stdout.readline()
            assert first.startswith("Published game as build "), first + watching.stderr.read()
            assert watching.stdout.readline() == (
                "The key is on mine: it is given these builds from its next start on.\n"
            )
            (pin,) = developer.get(f"/users/{key}/pins")["pins"]
            assert pin["channel"] == "mine"
            folder_of(lib__a="return = 2")
            while "error:" not in (line := watching.stderr.readline()):
                assert line, "it has ended"
            assert "game/lib/a.luau:1: " in line
            folder_of(lib__a="return 2")
            second = watching.stdout.readline()
            found = developer.get(f"/scripts/{told_script(server)}/channels")["channels"]
            build = {each["name"]: each["build"] for each in found}["mine"]
            assert second == f"Published game as build {build}, to the keys on mine.\n"
        finally:
            watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0


def test_a_push_can_say_how_its_build_is_protected(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    choices = {"profile": "minify", "target": "luau", "engine": "embedded"}
    options = [part for name, choice in choices.items() for part in (f"--{name}", choice)]
    published = pushed(moonlatch, server, "print(1)", *options, "--json").json["build"]
    builds = httpx.get(f"{server.url}/scripts/{told_script(server)}/builds", headers={"token": told_token(server)})
    (build,) = (each for each in builds.json()["builds"] if each["number"] == published)
    assert {name: build[name] for name in choices} == choices
    assert pushed(moonlatch, server, "print(1)", "--profile", "extreme").status == 2


def test_a_push_of_a_large_script_works(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    assert pushed(moonlatch, server, "--" + "x" * 3_000_000).status == 0


def test_a_push_of_an_invalid_script_tells_the_places_in_the_file(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    ended = pushed(moonlatch, server, "print(1)\nlocal = 2")
    assert ended.status == 1
    expected = "error: mine.lua was not published: script is invalid\n  mine.lua:2: Expected identifier when parsing"
    assert ended.err.startswith(expected)
    as_json = pushed(moonlatch, server, "print(1)\nlocal = 2", "--json")
    assert (as_json.status, as_json.json["error"]["code"]) == (1, 2)


def test_a_push_with_a_wrong_token_or_script_is_told(moonlatch: Command, server: MoonlatchServer) -> None:
    ended = pushed(moonlatch, server, "print(1)", "--token", "ml_wrong")
    assert ended.status == 1
    assert "Is the token right?" in ended.err
    token = told_token(server)
    ended = moonlatch("push", "mine.lua", "--script", "x" * 32, "--url", server.url, "--token", token)
    assert ended.status == 1
    assert "script not found" in ended.err


def test_a_push_without_a_token_says_where_it_is_taken_from(moonlatch: Command) -> None:
    Path("mine.lua").write_text("print(1)")
    ended = moonlatch("push", "mine.lua", "--script", "x" * 32)
    assert (ended.status, ended.err) == (1, "error: no API token\nSet the variable MOONLATCH_TOKEN to it.\n")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("http://name.invalid", "cannot be reached"),
        ("nonsense", "is not an address"),
        ("ftp://127.0.0.1", "is not an address"),
    ],
)
def test_a_push_to_nobody_is_told(moonlatch: Command, url: str, problem: str) -> None:
    Path("mine.lua").write_text("print(1)")
    ended = moonlatch("push", "mine.lua", "--script", "x" * 32, "--url", url, "--token", "t")
    assert ended.status == 1
    assert problem in ended.err
    assert "Traceback" not in ended.err


def test_a_push_to_what_is_no_id_goes_nowhere_else(moonlatch: Command, server: MoonlatchServer) -> None:
    Path("mine.lua").write_text("print(1)")
    ended = moonlatch("push", "mine.lua", "--script", "../account?", "--url", server.url, "--token", "t")
    assert ended.status == 1
    assert "mine.lua was not published" in ended.err


def test_a_push_to_another_server_is_told(moonlatch: Command, server: MoonlatchServer) -> None:
    Path("mine.lua").write_text("print(1)")
    ended = moonlatch("push", "mine.lua", "--script", "x", "--url", f"{server.url}/loader", "--token", "t")
    assert ended.status == 1
    assert "Traceback" not in ended.err


def test_builds_are_listed_served_again_and_yanked_by_the_command_line(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    for label in ("1.0", "1.1"):
        last = pushed(moonlatch, server, "print(1)", "--label", label, "--notes", "New.", "--json").json["build"]
    given = ("--script", told_script(server), "--url", server.url, "--token", told_token(server))
    assert f"{last} 1.1 (current): " in moonlatch("builds", *given).out
    ended = moonlatch("rollback", *given, "--build", str(last - 1))
    assert (ended.status, ended.out) == (0, f"Build {last - 1} is served from the next start on.\n")
    ended = moonlatch("yank", *given, "--build", str(last - 1))
    assert (ended.status, "current build needs a successor" in ended.err) == (1, True)
    ended = moonlatch("yank", *given, "--build", str(last - 1), "--successor", str(last), "--json")
    assert (ended.status, ended.json) == (0, {"success": True})
    listed = moonlatch("builds", *given).out
    assert f"{last} 1.1 (current): " in listed
    assert f"{last - 1} 1.0 (yanked): " in listed
    ended = moonlatch("rollback", *given, "--build", str(last - 1), "--json")
    assert (ended.status, ended.json["error"]["message"]) == (1, "build was yanked")


def test_a_push_to_a_channel_leaves_the_current_build(
    moonlatch: Command, server: MoonlatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", told_token(server))
    current = pushed(moonlatch, server, "print(1)", "--json").json["build"]
    tried = pushed(moonlatch, server, "print(2)", "--channel", "beta", "--json").json["build"]
    given = ("--script", told_script(server), "--url", server.url, "--token", told_token(server))
    listed = moonlatch("builds", *given, "--json").json["builds"]
    assert [build["number"] for build in listed if build["current"]] == [current]
    assert tried == current + 1
    ended = pushed(moonlatch, server, "print(3)", "--channel", "Beta&x")
    assert (ended.status, "channel" in ended.err) == (1, True)


def test_a_loader_is_rotated_by_the_command_line(moonlatch: Command, server: MoonlatchServer) -> None:
    given = ("--script", told_script(server), "--url", server.url)
    address = f"{server.url}/loader/{told_script(server)}"
    before = httpx.get(address)
    ended = moonlatch("rotate-loader", *given, "--token", told_token(server), "--grace-hours", "0.5")
    assert ended.status == 0, ended.err
    assert "start it for 0.5 h more" in ended.out
    after = httpx.get(address)
    assert (after.status_code, after.headers["etag"] != before.headers["etag"]) == (200, True)
    assert after.text != before.text
    shown = moonlatch("rotate-loader", *given, "--token", told_token(server), "--grace-hours", "0", "--json")
    assert shown.json["success"] is True
    assert "no API token" in moonlatch("rotate-loader", *given).err
    unknown = moonlatch("rotate-loader", "--script", "x" * 32, "--url", server.url, "--token", told_token(server))
    assert (unknown.status, "Is the script's id right" in unknown.err) == (1, True)
