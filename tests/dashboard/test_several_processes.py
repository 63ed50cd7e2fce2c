"""The page at one server shows, and reaches, what another one holds: two processes on one PostgreSQL and one Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.browser import open_page
from support.developer import Developer
from support.lua_host.run import LoaderRun
from support.server import MoonlatchServer
from support.services import Databases
from support.shop import SCRIPT


@pytest.fixture
def two_servers(
    tmp_path: Path, databases: Databases, redis_url: str
) -> Iterator[tuple[MoonlatchServer, MoonlatchServer]]:
    """The second is where customers' programs go."""
    with databases.migrated() as database_url:
        settings = {"MOONLATCH_DATABASE_URL": database_url, "MOONLATCH_REDIS_URL": redis_url}
        second = MoonlatchServer(tmp_path / "data", settings)
        first = MoonlatchServer(tmp_path / "data", {**settings, "MOONLATCH_PUBLIC_URL": second.url})
        yield first, second


def test_the_page_at_one_server_follows_and_stops_what_runs_at_another(
    browser: Browser, two_servers: tuple[MoonlatchServer, MoonlatchServer]
) -> None:
    first, second = two_servers
    token = first.new_account("Two")
    with first, second, Developer(second.url, token) as elsewhere:
        project = elsewhere.new_project("Two")
        with Developer(first.url, token) as here:
            script = here.new_script(project, SCRIPT)
        key = elsewhere.new_key(project)
        with open_page(browser, first.url, token) as visit:
            page = visit.page
            visit.sign_in()
            visit.go(f"/projects/{project}/live?script={script}")
            expect(page.get_by_text("Nothing is connected")).to_be_visible()
            with LoaderRun(f"{second.url}/loader/{script}", key=key) as customer:
                customer.wait_line("ready")
                row = page.get_by_role("row").filter(has_text=key)
                expect(row).to_be_visible()
                row.get_by_role("checkbox").check()
                page.get_by_role("button", name="Send message").click()
                page.get_by_label("Handler").fill("give")
                page.get_by_label("Data").fill('{"amount": 7}')
                page.get_by_role("dialog").get_by_role("button", name="Send").click()
                expect(page.get_by_role("dialog").get_by_text('{"given":7}')).to_be_visible()
                page.keyboard.press("Escape")
                page.mouse.move(1, 1)
                # What is done at the other server is heard of here.
                elsewhere.post(f"/users/{key}/blacklist", reason="charge-back")
                customer.wait_for("kicked")
                expect(page.get_by_text("Nothing is connected")).to_be_visible()
            visit.go("/account")
            expect(page.get_by_text("PostgreSQL")).to_be_visible()
            expect(page.get_by_text("Redis")).to_be_visible()
