"""A leaked copy is pasted into the page, and traced to its key."""

from __future__ import annotations

import random
import sqlite3
from base64 import b64decode

from playwright.sync_api import expect

from moonlatch.crypto import COPY_TEMPLATE
from moonlatch.master_key import MasterKeySource
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.operations.marking import Copies, holder_of_key
from moonlatch.operations.run_keys import run_key
from support.browser import Visit
from support.developer import Developer
from support.protecting import LUA51_PROGRAMS
from support.server import MoonlatchServer

JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua").read_text()


def test_a_leak_is_traced_to_its_key(visit: Visit, developer: Developer, server: MoonlatchServer) -> None:
    page, project = visit.page, developer.new_project("Leaks")
    script = developer.new_script(project, JSON, name="Farm", profile="standard", mark_copies=True)
    user, _ = developer.post(f"/projects/{project}/users", amount=2)["users"]
    with sqlite3.connect(server.data / "moonlatch.db", timeout=30) as database:
        sealed = database.execute("select id, template from templates where script_id = ?", [script]).fetchone()
    keyring = MasterKeySource(server.data).open()
    template = b64decode(keyring.open_secret(COPY_TEMPLATE, *sealed))
    leak = Copies(keyring, script, 1, template).text(holder_of_key(user["id"])).decode()
    visit.sign_in()
    visit.go(f"/projects/{project}/scripts/{script}?show=leaks")
    page.get_by_label("Leaked text").fill("local = 1")
    page.get_by_role("button", name="Trace it").click()
    expect(page.get_by_text("is not a script")).to_be_visible()
    page.get_by_label("Leaked text").fill(leak)
    page.get_by_role("button", name="Trace it").click()
    table = page.get_by_role("table", name="Keys that agree with it")
    expect(table.get_by_role("link")).to_have_text([user["key"]])
    expect(page.get_by_text("2 keys scored.")).to_be_visible()
    made = run_key(keyring, Lock.drawn(random.Random(1)), script, holder_of_key(user["id"]))
    page.get_by_label("Leaked text").fill(made.hex())
    page.get_by_role("button", name="Trace it").click()
    table = page.get_by_role("table", name="Keys whose run key it holds")
    expect(table.get_by_role("link")).to_have_text([user["key"]])
    expect(page.get_by_text("keys scored.")).to_have_count(0)
    visit.go(f"/projects/{project}/scripts/{script}?show=settings")
    expect(page.get_by_label("Mark copies")).to_be_checked()
    developer.post(f"/projects/{project}/remove")
