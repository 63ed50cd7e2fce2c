"""What customers and sellers write is text, whatever it is: nothing of it runs, nothing of it breaks a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from support.browser import Visit
from support.developer import Developer, eventually
from support.error_groups import add_error
from support.lua_host.run import LoaderRun
from support.server import MoonlatchServer
from support.shop import SCRIPT

MARKUP = "<img src=x onerror=alert(1)>\"'`</script><script>alert(2)</script>{{7*7}}${7*7}"
ODD = "\u202e\u0007\u200f\ufeff" + "W" * 60 + "\u0301" * 10
HOSTILE = MARKUP + ODD[:10]


class Hostile:
    """A project in which everything that takes text has such a text."""

    def __init__(self, developer: Developer) -> None:
        self.developer = developer
        self.project = developer.new_project(HOSTILE[:100])
        self.script = developer.new_script(self.project, SCRIPT, name=HOSTILE[:100])
        update = f"/scripts/{self.script}/update?channel=beta"
        developer.post(update, script=SCRIPT, label=HOSTILE[:100], notes=HOSTILE)
        made = developer.post(
            f"/projects/{self.project}/users", users=[{"note": HOSTILE}, {"note": ODD}, {"note": "A" * 255}]
        )
        self.users = made["users"]
        developer.post(f"/users/{self.users[1]['id']}/blacklist", reason=HOSTILE)
        developer.post(f"/users/{self.users[0]['id']}/pin", script=self.script, channel="beta")
        gone = developer.post(f"/projects/{self.project}/users", note=MARKUP)["users"][0]["id"]
        developer.post(f"/users/{gone}/remove")
        developer.post(f"/projects/{self.project}/endpoints", url="http://127.0.0.1:9/%3Cb%3E", name=HOSTILE[:100])
        system = developer.post("/ads/systems/new", project_id=self.project, name=HOSTILE[:100])
        self.system, self.checkpoint = system["system_id"], system["system"]["url"]
        gate = {"url": "https://gate.example/%3Cb%3E"}
        developer.post(f"/ads/systems/{self.system}/steps", provider="custom", settings=gate)
        developer.post(f"/projects/{self.project}/variables", name="word", value=HOSTILE)
        developer.post("/account/tokens", name=HOSTILE[:100], permissions=["keys:read"])
        self.member = developer.post("/members", name=HOSTILE[:100], sign_in_name="hostile", role="viewer")["member"][
            "id"
        ]


@pytest.fixture(scope="module")
def hostile(developer: Developer, server: MoonlatchServer) -> Iterator[Hostile]:
    made = Hostile(developer)
    add_error(
        server.data / "moonlatch.db", made.script, line=7, message=HOSTILE, function=ODD[:64], executor=MARKUP[:64]
    )
    url = f"{str(developer.http.base_url).rstrip('/')}/loader/{made.script}"
    with (
        LoaderRun(url, key=made.users[0]["key"], executor=MARKUP[:100], job=MARKUP[:100]) as first,
        LoaderRun(url, key=made.users[2]["key"], executor="Z" * 100, job="J" * 100, fingerprint="other") as second,
    ):
        first.wait_line("ready")
        second.wait_line("ready")
        used = f"/users/{made.users[0]['id']}"
        (device,) = eventually(lambda: developer.get(f"{used}/devices")["devices"])
        developer.post(f"{used}/name_device", device=device["id"], name=HOSTILE[:100])
        yield made
    developer.post(f"/members/{made.member}/remove")
    developer.post(f"/projects/{made.project}/remove")


WIDE, NARROW = ({"width": width, "height": 800} for width in (1280, 360))


def test_no_text_becomes_markup_and_none_breaks_a_page(visit: Visit, hostile: Hostile) -> None:
    of_project = f"/projects/{hostile.project}"
    places = {
        f"{of_project}/overview": HOSTILE[:60],
        f"{of_project}/scripts": HOSTILE[:60],
        f"{of_project}/scripts/{hostile.script}": HOSTILE[:60],
        f"{of_project}/scripts/{hostile.script}?show=builds": HOSTILE[:60],
        f"{of_project}/scripts/{hostile.script}?show=errors": HOSTILE[:60],
        f"{of_project}/server": None,
        f"{of_project}/live": MARKUP[:60],
        f"{of_project}/live?show=copies": None,
        f"{of_project}/keys": MARKUP[:60],
        f"{of_project}/keys/{hostile.users[0]['id']}": MARKUP[:60],
        f"{of_project}/keys/{hostile.users[1]['id']}": MARKUP[:60],
        f"{of_project}/keys/{hostile.users[0]['id']}?show=devices": MARKUP[:60],
        f"{of_project}/keys/{hostile.users[0]['id']}?show=builds": HOSTILE[:60],
        f"{of_project}/bars": None,
        f"{of_project}/removed": MARKUP[:60],
        f"{of_project}/events": HOSTILE[:60],
        f"{of_project}/webhooks": HOSTILE[:60],
        f"{of_project}/checkpoints": HOSTILE[:60],
        f"{of_project}/checkpoints/{hostile.system}": HOSTILE[:60],
        f"{of_project}/settings": None,
        "/projects": HOSTILE[:60],
        "/team": HOSTILE[:60],
        "/events": HOSTILE[:60],
    }
    page = visit.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    visit.sign_in()
    for place, words in places.items():
        visit.go(place)
        visit.settle()
        if words is not None:
            expect(page.locator("main").get_by_text(words).first).to_be_attached()
        assert page.locator("img:not([src='assets/icon.svg']), main script").count() == 0, place
        assert visit.overflow() == [], place
        page.set_viewport_size(NARROW)
        assert visit.overflow() == [], place
        page.set_viewport_size(WIDE)
    visit.go(f"{of_project}/scripts/{hostile.script}?show=builds")
    page.get_by_role("button", name="About build 2").click()
    expect(page.get_by_role("dialog").get_by_text(HOSTILE[:60]).first).to_be_attached()
    assert visit.overflow() == []
    page.keyboard.press("Escape")
    visit.go(f"{of_project}/scripts/{hostile.script}?show=errors")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("dialog").get_by_text(MARKUP[:40])).to_have_count(2)
    page.set_viewport_size(NARROW)
    assert visit.overflow() == []
    page.set_viewport_size(WIDE)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill(hostile.users[0]["key"])
    expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text(MARKUP[:40])
    page.get_by_role("dialog").get_by_role("combobox").fill("<svg onload=alert(3)>")
    expect(page.get_by_role("dialog").get_by_text("Nothing found")).to_be_visible()
    page.keyboard.press("Escape")
    visit.go(
        f"{of_project}/keys?q={MARKUP[:100].replace('%', '').replace('&', '')}&in=note_contains&state=<b>&order=<i>"
    )
    assert dialogs == []


ODD_PLACES = (
    "/projects/<b>/keys",
    "/projects/%/keys",
    "/%00/x",
    "/projects/../../x",
    "/invite/<script>",
    "/keys/__proto__",
)


def test_an_odd_address_is_only_a_page_that_is_not_there(seller: Visit) -> None:
    for place in ODD_PLACES:
        seller.page.evaluate("place => { location.hash = place }", place)
        seller.page.locator("main h1, main h2").first.wait_for()
        seller.go("/projects")
