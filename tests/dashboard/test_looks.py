"""Every page in both themes and as narrow as a small telephone: axe finds nothing, nothing is wider than its window; pictures where asked for.

`make screenshots` asks for them; they are there to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.browser import Visit
from support.developer import Developer, eventually
from support.lua_host.run import LoaderRun
from support.shop import Shop

OpenPage = Callable[..., AbstractContextManager[Visit]]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "narrow-dark": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}
CHECKED_ALWAYS = ("light", "dark", "narrow")
"""The last one is for who looks: its rules of style are those of the two before."""


def nothing(_: Page) -> None:
    """What most pages need before they are looked at."""


def select_two(page: Page) -> None:
    for index in (1, 2):
        page.get_by_role("row").nth(index).get_by_role("checkbox").check()


def write_faulty(page: Page) -> None:
    page.get_by_role("textbox", name="Source").click()
    page.keyboard.type(
        "local total: number = 0 -- all of it\nfor _, v in items do\n\ttotal += v = 1\nend\nprint(`{total} items`)"
    )
    expect(page.get_by_role("button", name="Line 3")).to_be_visible(timeout=30_000)


def find(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("au")
    page.get_by_role("dialog").get_by_role("option").first.wait_for()


@pytest.fixture(scope="module")
def copies(shop: Shop) -> Iterator[None]:
    """Customers whose copies are connected."""
    first, second = (user["key"] for user in shop.users[:2])
    with (
        LoaderRun(
            shop.loader_url, key=first, executor="Delta", player=7_261_114, place=920_587_237, job="6f1e0c52-77aa"
        ) as one,
        LoaderRun(shop.loader_url, key=second, fingerprint="Other device", executor="Wave") as other,
    ):
        one.wait_line("ready")
        other.wait_line("ready")
        yield


@pytest.fixture(scope="module")
def places(shop: Shop, copies: None, developer: Developer) -> dict[str, tuple[str, Callable[[Page], None]]]:
    """Every page by a name: where it is, and what is done there first."""
    of_project = f"/projects/{shop.project}"
    key, blacklisted = shop.users[0]["id"], shop.users[11]["id"]
    script = f"{of_project}/scripts/{shop.script}"
    eventually(lambda: developer.get(f"/users/{key}/executions")["executions"])
    empty = developer.get("/projects")["projects"]
    bare = next((one["id"] for one in empty if one["name"] == "Bare"), None) or developer.new_project("Bare")
    return {
        "overview": (f"{of_project}/overview", nothing),
        "overview-bare": (f"/projects/{bare}/overview", nothing),
        "scripts": (f"{of_project}/scripts", nothing),
        "scripts-bare": (f"/projects/{bare}/scripts", nothing),
        "script-publish": (script, write_faulty),
        "script-builds": (f"{script}?show=builds", nothing),
        "script-settings": (f"{script}?show=settings", nothing),
        "live": (f"{of_project}/live?script={shop.script}", select_two),
        "live-bare": (f"/projects/{bare}/live", nothing),
        "keys": (f"{of_project}/keys", select_two),
        "keys-bare": (f"/projects/{bare}/keys", nothing),
        "keys-new": (f"{of_project}/keys?new=key", nothing),
        "key-starts": (f"{of_project}/keys/{key}", nothing),
        "key-blacklisted": (f"{of_project}/keys/{blacklisted}?show=events", nothing),
        "key-settings": (f"{of_project}/keys/{key}?show=edit", nothing),
        "events": (f"{of_project}/events", nothing),
        "project-settings": (f"{of_project}/settings", nothing),
        "projects": ("/projects", nothing),
        "team": ("/team", nothing),
        "me": ("/me", nothing),
        "account": ("/account", nothing),
        "palette": (f"{of_project}/scripts", find),
    }


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_reads_well_for_everybody(
    opening: OpenPage, places: dict[str, tuple[str, Callable[[Page], None]]], look: str, request: pytest.FixtureRequest
) -> None:
    folder: Path | None = request.config.getoption("--screenshots")
    if folder is None and look not in CHECKED_ALWAYS:
        pytest.skip("only looked at by people")
    findings: list[str] = []
    with opening(**LOOKS[look]) as visit:
        visit.page.goto(f"{visit.url}/dashboard/")
        visit.page.get_by_label("Sign-in name").wait_for()
        findings += look_at(visit, "sign-in", look, folder)
        visit.sign_in()
        for name, (place, prepare) in places.items():
            visit.go(place)
            visit.settle()
            prepare(visit.page)
            findings += look_at(visit, name, look, folder)
            if name == "palette":
                visit.page.keyboard.press("Escape")
    assert not findings, "\n".join(findings)


def look_at(visit: Visit, name: str, look: str, folder: Path | None) -> list[str]:
    """What is wrong with the page as it is; a picture of it where there is a folder for it."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        visit.page.screenshot(path=folder / f"{name}-{look}.png", full_page=name != "keys")
    return [f"{name}: {line}" for line in (*visit.axe(), *visit.overflow())]
