"""Checkpoints from end to end: set up in the page, gone through in a browser without scripts, and the key starts the real loader."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from support.browser import Visit
from support.lua_host import LuaRun
from support.server import MoonlatchServer
from support.shop import Shop
from support.visitor import signed

GATE = "https://gate.example/in"
START = """
local api = assert(loadstring(http_get("%s/library.lua"), "=library"))()
api.script_id = "%s"
print(api.check_key("%s").code)
return api.load("%s")
"""


@contextmanager
def gate(page: Page, secret: str) -> Iterator[None]:
    """Somebody's page, outside of our reach, that sends visitors on when they have done what it asks."""

    def answer(route: Route) -> None:
        place = route.fetch(max_redirects=0).headers["location"]
        assert place.startswith(f"{GATE}?")
        (callback,) = parse_qs(urlsplit(place).query)["callback"]
        back = signed(callback, secret, int(time.time() * 1000) + 60_000).replace("&", "&amp;")
        route.fulfill(content_type="text/html", body=f'<!doctype html><title>gate</title><a href="{back}">Go on</a>')

    # Where a redirect leads to cannot be taken over, so what leads there is.
    page.route("**/go", answer)
    yield
    page.unroute("**/go")


def go_through(page: Page, seconds: float = 1.2) -> None:
    page.get_by_role("link", name=re.compile("^Continue with step")).click()
    page.get_by_role("link", name="Go on").wait_for()
    page.wait_for_timeout(seconds * 1000)
    page.get_by_role("link", name="Go on").click()


def look(page: Page, request: pytest.FixtureRequest, name: str) -> None:
    """Keep pictures where somebody asked for them: both themes, and a narrow one."""
    folder: Path | None = request.config.getoption("--screenshots")
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for scheme, width in (("light", 900), ("dark", 900), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 760})
        page.screenshot(path=folder / f"visit-{name}-{scheme}-{width}.png", full_page=True)


def wide(page: Page) -> bool:
    """Return whether something is wider than a narrow window."""
    page.set_viewport_size({"width": 360, "height": 700})
    boxes = [each.bounding_box() for each in page.locator("main *:visible").all()]
    return any(box is not None and box["x"] + box["width"] > 361 for box in boxes)


def test_a_key_is_earned_without_scripts_and_starts_the_loader(
    seller: Visit, shop: Shop, server: MoonlatchServer, browser: Browser, request: pytest.FixtureRequest
) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/checkpoints")
    expect(page.get_by_text("There is no checkpoint yet")).to_be_visible()
    page.get_by_role("button", name="New checkpoint").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill("Free keys")
    box.get_by_label("Address").fill("no")
    box.get_by_role("button", name="New checkpoint").click()
    expect(box.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("Address").fill("night-market")
    box.get_by_label("A key is good for (hours)").fill("48")
    box.get_by_role("button", name="New checkpoint").click()
    page.get_by_role("heading", name="Free keys").wait_for()
    secrets: list[str] = []
    for number, minimum_seconds in ((1, 60), (2, 1)):
        page.get_by_role("button", name="Add step").click()
        box.get_by_label("Provider").select_option("custom")
        box.get_by_label("Address").fill("http://gate.example")
        box.get_by_label("Nobody can be through within").fill(f"{minimum_seconds}")
        box.get_by_role("button", name="Add step").click()
        expect(box.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
        box.get_by_label("Address").fill(GATE)
        box.get_by_role("button", name="Add step").click()
        secret = box.get_by_role("group", name="Signing secret").inner_text()
        assert re.fullmatch(r"[A-Za-z0-9]{32}", secret)
        secrets.append(secret)
        box.get_by_role("button", name="Close", exact=True).last.click()
        expect(page.get_by_role("row")).to_have_count(number + 1)
    assert seller.axe() == []

    context = browser.new_context(java_script_enabled=False, locale="en-US")
    try:
        visitor = context.new_page()
        visitor.goto(f"{server.url}/get/night-market")
        expect(visitor.get_by_text("Free, for 2 days. 2 steps.")).to_be_visible()
        assert visitor.locator("main").evaluate("e => getComputedStyle(e).display") == "grid", "its style is there"
        look(visitor, request, "begin")
        assert not wide(visitor)
        visitor.get_by_role("button", name="Begin").click()
        look(visitor, request, "steps")
        assert not wide(visitor)
        with gate(visitor, secrets[0]):
            go_through(visitor, seconds=0)
            expect(visitor.get_by_role("alert")).to_contain_text("That was too fast")
            look(visitor, request, "too-fast")
            (system,) = [one for one in shop.developer.get("/ads/systems")["systems"] if one["slug"] == "night-market"]
            step = shop.developer.get(f"/ads/systems/{system['id']}")["steps"][0]
            shop.developer.post(f"/ads/steps/{step['id']}/edit", minimum_seconds=1)
            go_through(visitor)
            expect(visitor.get_by_role("listitem").first).to_contain_text("done")
        with gate(visitor, secrets[1]):
            go_through(visitor)
        key = visitor.locator("code.key").inner_text()
        look(visitor, request, "key")
        assert not wide(visitor)
    finally:
        context.close()

    with LuaRun(START % (server.url, shop.script, key, key), settings={"fingerprint": "a device"}) as run:
        run.wait_line("^KEY_VALID$")
        run.wait_line("ready")
    page.reload()
    expect(page.locator(".figure").filter(has_text="Keys in the last 24 hours")).to_contain_text("1")
    look(page, request, "dashboard")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("main").get_by_role("link", name="Settings").click()
    page.get_by_label("Keys of one visitor at once").fill("2")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Remove checkpoint").click()
    box.get_by_label("Type Free keys to confirm").fill("Free keys")
    box.get_by_role("button", name="Remove checkpoint").click()
    expect(page.get_by_text("There is no checkpoint yet")).to_be_visible()
