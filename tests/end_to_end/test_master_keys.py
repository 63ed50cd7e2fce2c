"""The master key is changed on a real server that has something of every kind: nobody who runs, signs in or holds a key notices, and the old one can go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from moonlatch import proofs
from moonlatch.crypto import LURAPH_KEY, USER_KEY, new_id, seal_mark
from moonlatch.keyring import Keyring
from moonlatch.master_key import MasterKeySource
from moonlatch.storage.user_keys import as_stored
from support.client import Client, Copy, Refused, UnverifiedError
from support.developer import Developer, eventually
from support.killed import NO_LIMITS
from support.lua_host import LoaderRun
from support.rounds import rounds
from support.server import MoonlatchServer

PASSWORD = "correct horse battery"
LURAPH = "a-luraph-key-0123456789"
MANY = rounds(1_000, 100_000)


@dataclass
class Shop:
    """A server with something of every kind that a master key has to do with, and what its people hold."""

    server: MoonlatchServer
    token: str
    key: str = ""
    own_key: str = "MYHUB-BROUGHT-ALONG-0001"
    removed: str = ""
    project: str = ""
    script: str = ""
    script_key: str = ""
    loader: str = ""
    old_ring: Keyring = field(init=False)
    member: str = ""
    totp: str = ""
    copy: Copy | None = None
    answer: Any = None

    def database(self) -> contextlib.closing[sqlite3.Connection]:
        return contextlib.closing(sqlite3.connect(self.server.data / "moonlatch.db", timeout=20))

    def read(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database() as connection:
            return connection.execute(sql, parameters).fetchall()

    def keys(self, *arguments: str, check: bool = True) -> Any:
        """Run `moonlatch keys ...`; gives its JSON, or what it says where it fails."""
        ended = self.server.cli("keys", *arguments, "--data", str(self.server.data), "--json", check=check)
        return json.loads(ended.stdout) if ended.returncode == 0 else ended.stderr

    def developer(self) -> Developer:
        return Developer(self.server.url, self.token)

    def open_shop(self) -> None:
        with self.developer() as me:
            self.project = me.new_project()
            self.script = me.new_script(self.project, "print('hello')")
            self.key = me.new_key(self.project)
            me.new_key(self.project, key=self.own_key)
            self.removed = me.new_key(self.project, note="comes back")
            me.post(f"/users/{self.removed}/remove")
            me.post("/account/luraph", api_key=LURAPH)
            self.answer = self.send_again(me)
            self.join(me)
        self.old_ring = self.ring()
        ((self.loader,),) = self.read("select loader from scripts where id = ?", self.script)

    def ring(self) -> Keyring:
        return MasterKeySource(self.server.data).open()

    def send_again(self, me: Developer) -> Any:
        """A call with an idempotency key."""
        path = f"/projects/{self.project}/users"
        reply = me.http.post(path, json={"note": "sent twice"}, headers={"Idempotency-Key": "once"})
        return reply.json()

    def join(self, me: Developer) -> None:
        """A member with one-time codes."""
        self.member = "ana@example.com"
        link = me.post("/members", name="Ana", sign_in_name=self.member, role="owner")
        page = {"Origin": self.server.url}
        with httpx.Client(base_url=self.server.url, headers=page) as browser:
            taken = browser.post("/auth/accept", json={"secret": link["secret"], "password": PASSWORD}).json()
            browser.headers["X-CSRF-Token"] = taken["me"]["csrf"]
            self.totp = browser.post("/me/totp/begin", json={}).json()["secret"]
            assert browser.post("/me/totp/enable", json={"code": self.code()}).status_code == 200

    def code(self) -> str:
        return proofs.totp_code(self.totp, int(time.time()) // 30)

    def sign_in(self) -> int:
        with self.database() as connection:
            connection.execute("update members set totp_step = 0")  # the code of this half minute, once more
            connection.commit()
        body = {"sign_in_name": self.member, "password": PASSWORD, "code": self.code()}
        reply = httpx.post(f"{self.server.url}/auth/sign_in", json=body, headers={"Origin": self.server.url})
        return reply.status_code

    def client(self, http: httpx.AsyncClient, loader: str, ring: Keyring) -> Client:
        """Whoever has a loader's text: it holds the secret, and the key that answers are signed with."""
        key = ring.of_loader(loader)
        assert key is not None
        return Client(self.server.url, self.script, loader, key.loader_secret(loader), http, signing_key=key.public_key)

    def served(self) -> str:
        ((loader,),) = self.read("select loader from scripts where id = ?", self.script)
        return str(loader)

    async def run(self, loader: str, ring: Keyring, *, running: Copy | None = None) -> Copy:
        """Everything that customers do: what runs goes on, keys start on their devices and on no others."""
        async with httpx.AsyncClient(timeout=60) as http:
            client = self.client(http, loader, ring)
            if running is not None:
                running.client.http = http
                await running.beat()
            copy = await client.execute(key=self.key, fingerprint="laptop")
            await copy.beat()
            await client.execute(key=self.own_key, fingerprint="phone")
            for key, fingerprint in ((self.key, "another"), ("NOT-A-KEY-OF-ANYBODY", "laptop")):
                with pytest.raises(Refused):
                    await client.execute(key=key, fingerprint=fingerprint)
            return copy

    def check_people(self) -> None:
        """What developers and members do."""
        with self.developer() as me:
            assert me.get(f"/users/{self.key}")["user"]["key"] == self.key
            found = me.get(f"/projects/{self.project}/users", key_starts="MYHUB-BROU", key_ends="-0001")["users"]
            assert [user["key"] for user in found] == [self.own_key]
            taken = me.refused(f"/projects/{self.project}/users", key=self.own_key)
            assert "already exists" in json.dumps(taken), taken
            (back,) = me.post(f"/projects/{self.project}/users/restore", keys=[self.removed])["users"]
            assert (back["key"], back["note"]) == (self.removed, "comes back")
            me.post(f"/users/{self.removed}/remove")
            assert me.get("/account")["account"]["luraph_key_set"] is True
        assert self.sign_in() == 200

    def luraph_key(self) -> str:
        ((account, sealed),) = self.read("select account_id, sealed from luraph_keys")
        return self.ring().open_secret(LURAPH_KEY, account, sealed)

    def sealed_under_old(self) -> dict[str, int]:
        (old,) = [key for key in self.keys("list") if key["id"] == self.old_ring.current.id]
        return dict(old["sealed"])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    server = MoonlatchServer(tmp_path / "data", NO_LIMITS)
    token = server.new_account("ann")
    try:
        yield Shop(server, token)
    finally:
        server.kill()


def test_a_master_key_is_changed_and_the_old_one_retired_while_everybody_goes_on(shop: Shop) -> None:
    shop.server.start()
    shop.open_shop()
    kept = httpx.get(f"{shop.server.url}/loader/{shop.script}").content
    running = asyncio.run(shop.run(shop.loader, shop.old_ring))
    old, new = shop.old_ring.current.id, shop.keys("rotate")["id"]
    file = shop.server.data / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [key.id for key in shop.ring().keys] == [new, old]
    assert "was made before, and no server uses it yet" in shop.keys("rotate", check=False)
    assert [key["state"] for key in shop.keys("list")] == ["current", "waits"]

    shop.server.stop()
    shop.server.start()
    assert {key["id"]: key["state"] for key in shop.keys("list")} == {old: "older", new: "current"}
    again = asyncio.run(shop.run(shop.loader, shop.old_ring, running=running))
    shop.check_people()
    eventually(lambda: set(shop.sealed_under_old()) == {"answers to calls with an idempotency key"}, 30)
    for table, column in (("users", "key_sealed"), ("members", "totp_secret"), ("luraph_keys", "sealed")):
        assert {bytes(sealed)[:9] for (sealed,) in shop.read(f"select {column} from {table}")} == {seal_mark(new)}
    with shop.developer() as me:
        assert shop.send_again(me) == shop.answer
    shop.check_people()

    refused = shop.keys("retire", old, check=False)
    assert "is still needed" in refused
    assert f"1 scripts, Script ({shop.script}), serve a loader of it" in refused
    assert "1 answers" in refused
    assert "copies that run may need it until" in refused
    assert "is the current master key" in shop.keys("retire", new, check=False)
    with shop.developer() as me:
        me.post(f"/scripts/{shop.script}/update", script="print('hello again')")
    newer = shop.served()
    assert newer.startswith(new)
    asyncio.run(shop.run(newer, shop.ring()))
    asyncio.run(shop.run(shop.loader, shop.old_ring, running=again))
    assert "1 earlier loaders still start scripts" in shop.keys("retire", old, check=False)

    assert shop.keys("retire", old, "--now") == {"id": old, "line_removed": True}
    assert [(key["id"], key["state"]) for key in shop.keys("list")] == [(old, "retired"), (new, "current")]
    assert [key.id for key in shop.ring().keys] == [new]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shop.server.stop()
    shop.server.start()
    asyncio.run(shop.run(newer, shop.ring()))
    shop.check_people()
    assert shop.luraph_key() == LURAPH
    asyncio.run(check_old_loader_is_nothing_any_more(shop, again))
    loader_url = f"{shop.server.url}/loader/{shop.script}"
    with LoaderRun(loader_url, key=shop.key, fingerprint="laptop", engine="lua54", loader=kept) as run:
        assert "the server refused in a way that could not be verified" in run.wait_for("raised")
    with LoaderRun(loader_url, key=shop.key, fingerprint="laptop", engine="lua54") as run:
        assert run.wait_line("hello") == "hello again"


async def check_old_loader_is_nothing_any_more(shop: Shop, running: Copy) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        running.client.http = http
        with pytest.raises(UnverifiedError):  # the server cannot sign for it any more
            await running.beat()
        with pytest.raises(UnverifiedError):
            await shop.client(http, shop.loader, shop.old_ring).execute(key=shop.key, fingerprint="laptop")
        running.client.signing_key = None
        with pytest.raises(Refused, match="INSTANCE_UNKNOWN"):
            await running.beat()


def test_of_a_rewrap_that_is_killed_nothing_is_lost(shop: Shop) -> None:
    shop.server.start()
    shop.open_shop()
    shop.server.stop()
    keys = {new_id(): f"KEY-{number:06}-{new_id()[:6]}" for number in range(MANY)}
    with shop.database() as connection:
        stored = [as_stored(shop.old_ring, key, user_id=user, project_id=shop.project) for user, key in keys.items()]
        connection.executemany(
            "insert into users (id, project_id, key_hash, key_sealed, start_code, end_code, created_at) values (?, ?, ?, ?, ?, ?, 1)",
            [
                (user, shop.project, each["key_hash"], each["key_sealed"], each["start_code"], each["end_code"])
                for user, each in zip(keys, stored, strict=True)
            ],
        )
        connection.commit()
    new = shop.keys("rotate")["id"]
    mark, everybody = seal_mark(new), MANY + 3

    def done() -> int:
        return int(shop.read("select count(*) from users where substr(key_sealed, 1, 9) = ?", mark)[0][0])

    cut = set()
    for _ in range(2):
        before = done()
        shop.server.start()
        eventually(lambda before=before: done() > before, 30)
        shop.server.kill()
        cut.add(done())
    assert min(cut) < everybody, "it was never killed in the middle"
    shop.server.start()
    asyncio.run(shop.run(shop.loader, shop.old_ring))
    eventually(lambda: done() == everybody, 60)
    ring = shop.ring()
    rows = {
        user: (bytes(key_hash), bytes(sealed))
        for user, key_hash, sealed in shop.read("select id, key_hash, key_sealed from users")
    }
    for user, key in keys.items():
        assert rows[user][0] == ring.user_key_hash(key)
        assert ring.open_secret(USER_KEY, user, rows[user][1]) == key
    shop.check_people()


def test_a_ring_that_lacks_what_is_needed_is_told(shop: Shop) -> None:
    shop.server.start()
    shop.open_shop()
    old, new = shop.old_ring.current.id, shop.keys("rotate")["id"]
    shop.server.stop()
    file = shop.server.data / "master.key"
    first, second = file.read_text().splitlines()
    assert (first[64:], second[64:].split(" ")[:3]) == (f" # {new}, made {first[-10:]}", ["", "#", old])
    file.write_text(first + "\n")
    with pytest.raises(AssertionError, match=f"is not the master key that .*that is {old}; there is {new}"):
        shop.server.start()
    file.write_text(f"{first}\n{second}\n")
    shop.server.start()
    shop.server.stop()
    file.write_text(first + "\n")
    with pytest.raises(AssertionError, match=f"lacks the master key {old}, which is not retired: put its line back"):
        shop.server.start()
    file.write_text(f"{second}\n")
    with pytest.raises(AssertionError, match=f"is not the master key that .*that is {new}; there is {old}"):
        shop.server.start()
    file.write_text(f"{second}\n# in any order\n\n{first}\n")
    shop.server.start()
    asyncio.run(shop.run(shop.loader, shop.old_ring))
