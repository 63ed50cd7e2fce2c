"""An installation from before users had ids and changes left events goes on as it was, also after a move to PostgreSQL.

`fixtures/make_old_data.py` says how the data was made, and what is there.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fixtures.make_old_data import ARCHIVE, HOST, LOOP
from support.database import ENGINES
from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.luraph_server import LuraphServer, luraph_in_thread
from support.server import MoonlatchServer
from support.services import Databases

pytestmark = pytest.mark.xdist_group("old data")

SETTINGS = {"MOONLATCH_CLIENT__HEARTBEAT_SECONDS": "5", "MOONLATCH_MANAGEMENT__BURST": "10000"}


class Old:
    """The installation after it was brought up to date, and what was there before."""

    def __init__(self, server: MoonlatchServer, known: dict[str, Any]) -> None:
        self.server = server
        self.known = known
        self.keys: dict[str, str] = known["keys"]
        self.scripts: dict[str, str] = known["scripts"]

    def run(self, script: str, key: str | None = None, device: str | None = None, **options: Any) -> LoaderRun:
        """Start a script as its customers do, by the loader that they have had all along."""
        return LoaderRun(
            f"{self.server.url}/loader/{self.scripts[script]}",
            key=None if key is None else self.keys.get(key, key),
            fingerprint=device,
            leads=(HOST, f"127.0.0.1:{self.server.port}"),
            **options,
        )

    def refusal(self, script: str, key: str | None = None, device: str | None = None) -> str:
        """What the customer sees when the start is refused."""
        with self.run(script, key, device) as running:
            running.finish()
            assert running.lines == []
            return running.raised or ""

    def developer(self, token: str = "owner") -> Developer:
        return Developer(self.server.url, self.known["tokens"][token])


@pytest.fixture(scope="module")
def luraph() -> Iterator[LuraphServer]:
    with luraph_in_thread() as running:
        yield running


@pytest.fixture(scope="module", params=ENGINES)
def old(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, luraph: LuraphServer
) -> Iterator[Old]:
    """Brought up to date, for PostgreSQL moved there too, and served. The tests of an engine share it, in their order."""
    data = tmp_path_factory.mktemp("old") / "data"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(data, filter="data")
    known = json.loads((data / "known.json").read_text())
    settings = {**SETTINGS, "MOONLATCH_LURAPH__BASE_URL": luraph.base_url}
    before = MoonlatchServer(data, settings)
    assert json.loads(before.cli("migrate", "--data", str(data), "--json").stdout)["applied"]
    assert json.loads(before.cli("migrate", "--data", str(data), "--json").stdout)["applied"] == []
    if request.param == "sqlite":
        with before:
            yield Old(before, known)
        return
    databases: Databases = request.getfixturevalue("databases")
    with databases.fresh() as url:
        before.cli("transfer", str(data), url)
        with MoonlatchServer(data, {**settings, "MOONLATCH_DATABASE_URL": url}) as moved:
            yield Old(moved, known)


def test_everything_is_shown_as_it_was(old: Old) -> None:
    with old.developer() as me:
        for path, before in old.known["shown"].items():
            now = me.get(path)
            before.get("account", {}).pop("obfuscations", None)  # starts again with its period
            assert _only(now, like=before) == before, path
    with old.developer("friend") as friend:
        account = old.known["friend"]["account"]
        assert friend.get("/account")["account"]["name"] == "friend"
        assert (friend.get("/account")["account"]["id"], account["tier"]) == (account["id"], "free")
        assert friend.get(f"/users/{old.known['friend']['key']}")["user"]["note"] == "somebody else's"
        assert (
            httpx.get(f"{old.server.url}/users/{old.keys['bound']}", headers=_token(old, "friend")).status_code == 404
        )


def test_every_token_is_what_it_was(old: Old) -> None:
    statuses = {
        name: httpx.get(f"{old.server.url}/projects", headers=_token(old, name)).status_code
        for name in old.known["tokens"]
    }
    assert statuses == {"owner": 200, "bot": 200, "here": 200, "friend": 200, "elsewhere": 403, "revoked": 401}
    with old.developer("bot") as bot:  # made when there were no permissions: it has all of them
        project = bot.new_project("Of the bot")
        bot.post(f"/projects/{project}/remove")
        made = bot.post("/account/tokens", name="another")
        bot.post(f"/account/tokens/{made['token']['id']}/revoke")
        kinds = [event["kind"] for event in bot.get("/events")["events"]]
    assert kinds[:4] == ["token.revoked", "token.created", "project.removed", "project.created"]


def test_a_bound_key_goes_on_where_it_was_and_nowhere_else(old: Old) -> None:
    with old.developer() as me:
        user = me.get(f"/users/{old.keys['bound']}")["user"]
        with old.run("main", "bound", "device of bound") as running:
            running.wait_line("running")
            assert running.lines[0] == "build\t2\tfirst customer\t3"
            (session,) = eventually(lambda: me.sessions(old.scripts["main"]), 30)
            assert session["user_key"] == old.keys["bound"]
            reply = me.post(f"/sessions/{session['id']}/message", key="ping", data=[1, "two"])
            assert (reply["processed"], reply["response"]) == (True, {"pong": [1, "two"]})
            me.post(f"/sessions/{session['id']}/disconnect")
            assert "disconnected" in running.wait_for("kicked", timeout_seconds=20)
        assert "another device" in old.refusal("main", "bound", "device of somebody")
        after = me.get(f"/users/{user['id']}")["user"]  # by its new id
        assert (after["key"], after["executions"]) == (old.keys["bound"], user["executions"] + 1)
        assert (after["discord_id"], after["fingerprint_assigned"]) == ("123456789012345678", True)


def test_a_key_that_was_never_used_begins_now(old: Old) -> None:
    with old.developer() as me, old.run("main", "fresh", "a new device") as running:
        running.wait_line("running")
        user = me.get(f"/users/{old.keys['fresh']}")["user"]
        assert (user["executions"], user["fingerprint_assigned"], user["key_days"]) == (1, True, 30)
        assert user["key_expires"] is not None


def test_heartbeats_go_on_and_hear_of_a_blacklisting(old: Old) -> None:
    with old.developer() as me:
        with old.run("main", "counting", "device of counting", websocket=False, clock_rate=1) as running:
            running.wait_line("running")
            me.post(f"/users/{old.keys['counting']}/blacklist", reason="for testing")
            assert "for testing" in running.wait_for("kicked", timeout_seconds=60)
        me.post(f"/users/{old.keys['counting']}/unblacklist")
        with old.run("main", "counting", "device of counting") as running:
            running.wait_line("running")


def test_limits_and_ends_hold(old: Old) -> None:
    assert "as often as it may" in old.refusal("main", "used up", "device of used up")
    assert "expired" in old.refusal("main", "expired", "a device")
    assert "does not exist" in old.refusal("main", "removed", "a device")
    assert "needs a key" in old.refusal("main")
    with old.run("main", "alone", "one") as running:
        running.wait_line("running")
        assert "Close another copy" in old.refusal("main", "alone", "one")
    with old.run("main", "anywhere", "yet another device") as running:
        running.wait_line("running")


def test_blacklists_hold_and_so_does_the_bar_on_the_device(old: Old) -> None:
    assert "for charging back" in old.refusal("main", "barred", "device of barred")
    assert "for shouting" in old.refusal("main", "barred for a while", "a device")
    with old.developer() as me:
        other = me.new_key(old.known["projects"]["game"])
        assert "blacklisted" in old.refusal("main", other, "device of barred")
        me.post(f"/users/{old.keys['barred']}/unblacklist")
        with old.run("main", other, "device of barred") as running:
            running.wait_line("running")


def test_scripts_are_on_or_off_as_they_were_and_are_published_anew(old: Old) -> None:
    with old.run("elsewhere") as running:
        assert running.wait_line("") == "free for all\tElsewhere\t1"
    assert "switched off" in old.refusal("off")
    with old.developer() as me:
        assert me.refused(f"/scripts/{old.scripts['never']}/toggle", state=True)["message"] == "script update required"
        me.post(f"/scripts/{old.scripts['off']}/toggle", state=True)
        key = me.new_key(old.known["projects"]["bought"])
        assert me.post(f"/scripts/{old.scripts['main']}/update", script=LOOP)["build"] == 3
        # With the key for the service that was set then.
        assert me.post(f"/scripts/{old.scripts['elsewhere']}/update", script="print('anew')")["build"] == 2
    with old.run("elsewhere") as running:
        assert running.wait_line("") == "anew"
    with old.run("off", key, "a device") as running:
        assert running.wait_line("") == "free for all\tOff\t1"
    with old.run("main", "bound", "device of bound") as running:
        assert running.wait_line("build").startswith("build\t3")


def _token(old: Old, name: str) -> dict[str, str]:
    return {"token": old.known["tokens"][name]}


def _only(now: Any, *, like: Any) -> Any:
    """What `like` has, too: fields that came since are left out."""
    match like:
        case dict():
            return {name: _only(now[name], like=value) for name, value in like.items()}
        case list():
            assert len(now) == len(like)
            return [_only(one, like=other) for one, other in zip(now, like, strict=True)]
        case _:
            return now
