"""Builds with labels, the way back to an earlier one, channels and pins, in the page."""

from __future__ import annotations

import contextlib
import re

from playwright.sync_api import Page, expect

from support.browser import Visit
from support.developer import Developer
from support.shop import SCRIPT, Shop


def button(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("button", name=name, exact=True)


def row(page: Page, table: str, text: str | re.Pattern[str]):  # type: ignore[no-untyped-def]
    return page.get_by_role("table", name=table, exact=True).get_by_role("row").filter(has_text=text)


HOT = """local total = 0
local function step(by)
    for i = 1, 20 do total = total + by * i end
end
for i = 1, 50 do step(i) end
print(total)
"""


def test_who_publishes_for_a_machine_is_told_what_can_still_be_read(visit: Visit, developer: Developer) -> None:
    page, project = visit.page, developer.new_project("Readable")
    script = developer.new_script(project, SCRIPT, name="Farm")
    visit.sign_in()
    visit.go(f"/projects/{project}/scripts/{script}")
    expect(button(page, "Publish")).to_be_enabled()
    page.get_by_label("Choose file").set_input_files(
        {"name": "farm.lua", "mimeType": "text/plain", "buffer": HOT.encode()}
    )
    page.get_by_label("Profile for this build").select_option("maximum")
    button(page, "Publish").click()
    expect(page.get_by_text("Build 2 is being served")).to_be_visible(timeout=60_000)
    told = page.get_by_role("group").filter(has_text="and can be read")
    told.locator("summary").click()
    expect(told.get_by_role("listitem").filter(has_text="step")).to_contain_text("all of it")
    # The line is a way to it.
    told.get_by_role("listitem").filter(has_text="step").get_by_role("button", name="Line 2", exact=True).click()
    expect(page.locator(".cm-activeLine")).to_have_text("local function step(by)")
    visit.settle()
    # A build by another profile has no such functions.
    page.get_by_label("Profile for this build").select_option("light")
    button(page, "Publish").click()
    expect(page.get_by_text("Build 3 is being served")).to_be_visible(timeout=60_000)
    expect(told).to_have_count(0)


def test_a_build_goes_to_a_few_customers_first_and_a_bad_one_is_taken_back(visit: Visit, developer: Developer) -> None:
    page, project = visit.page, developer.new_project("Releases")
    script = developer.new_script(project, SCRIPT, name="Farm")
    user = developer.post(f"/projects/{project}/users", note="tester")["users"][0]
    visit.sign_in()

    # The next one has a label and notes.
    visit.go(f"/projects/{project}/scripts/{script}")
    page.get_by_role("textbox", name="Source").click()
    page.keyboard.type("print('second')")
    page.get_by_text("Label, notes, and who gets it when").click()
    page.get_by_label("Label", exact=True).fill("1.1 <b>")
    page.get_by_label("What is new").fill("Faster.\nAnd smaller.")
    expect(page.get_by_text("No problems found")).to_be_visible(timeout=60_000)
    button(page, "Publish").click()
    expect(page.get_by_text("Build 2 is being served")).to_be_visible(timeout=60_000)

    # It does not work: back to the first, which takes a click and a confirmation.
    page.get_by_role("link", name="Builds", exact=True).click()
    second = row(page, "Builds", "1.1 <b>")
    expect(second).to_contain_text("served now")
    button(page, "About build 2").click()
    expect(page.get_by_role("dialog")).to_contain_text("And smaller.")
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"SHA-256 of the source\s*[0-9a-f]{64}"))
    page.keyboard.press("Escape")
    button(page, "Serve build 1").click()
    # Meanwhile somebody else changes the script.
    developer.post(f"/scripts/{script}/edit", kick_outdated=True)
    button(page, "Serve this build").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody changed this in the meantime")
    page.keyboard.press("Escape")
    button(page, "Serve build 1").click()
    expect(page.get_by_role("dialog")).to_contain_text("Copies of other builds are stopped")
    button(page, "Serve this build").last.click()
    expect(page.get_by_text("Build 1 is now being served")).to_be_visible()
    assert [build["number"] for build in developer.get(f"/scripts/{script}/builds")["builds"] if build["current"]] == [
        1
    ]

    # On a channel it is tried by one customer.
    button(page, "New channel").click()
    channel = page.get_by_role("dialog").get_by_label("Channel")
    channel.fill("Beta!")
    button(page, "New channel").last.click()
    expect(channel).to_have_attribute("aria-invalid", "true")
    channel.fill("beta")
    button(page, "New channel").last.click()
    expect(row(page, "Channels", "beta")).to_contain_text("2 · 1.1 <b>")
    visit.go(f"/projects/{project}/keys/{user['id']}?show=builds")
    button(page, "Choose a build").click()
    page.get_by_role("dialog").get_by_label("Channel").select_option("beta")
    button(page, "Save").click()
    expect(row(page, "Which build this key gets", "Farm")).to_contain_text("beta")
    row(page, "Which build this key gets", "Farm").get_by_role("button", name=re.compile("^Change")).click()
    page.get_by_role("dialog").get_by_label("Pinned to build").select_option("1")
    page.get_by_role("dialog").get_by_label("Until").fill("2031-01-31T12:00")
    button(page, "Save").click()
    expect(row(page, "Which build this key gets", "Farm")).to_contain_text("Jan 31, 2031")
    (pin,) = developer.get(f"/users/{user['id']}/pins")["pins"]
    assert (pin["channel"], pin["build"], pin["expires"]) == ("beta", 1, 1_927_627_200_000)

    # The script's page tells who that is; the bad build is yanked, which ends its channel.
    visit.go(f"/projects/{project}/scripts/{script}?show=builds")
    expect(row(page, "Keys with a build of their own", user["key"])).to_contain_text("beta")
    button(page, "Yank build 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Yank").click()
    expect(second).to_contain_text("yanked")
    expect(row(page, "Channels", "beta")).to_have_count(0)
    page.get_by_role("link", name=user["key"]).click()
    page.get_by_role("button", name="Clear: Farm").click()
    expect(page.get_by_text("This key gets the current build of every script")).to_be_visible()
    assert developer.get(f"/users/{user['id']}/pins")["pins"] == []
    developer.post(f"/projects/{project}/remove")


def test_what_a_page_shows_is_asked_for_at_once_and_not_one_thing_after_the_other(seller: Visit, shop: Shop) -> None:
    page, held, again = seller.page, [], []
    page.route(f"**/scripts/{shop.script}", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright marks what it is given
    parts = ("builds", "rollouts", "scheduled", "channels", "pins", "executions")
    with contextlib.ExitStack() as asked:
        for part in parts:
            asked.enter_context(page.expect_request(re.compile(rf"/scripts/{shop.script}/{part}(\?|$)")))
        page.evaluate(
            "place => { location.hash = place }", f"/projects/{shop.project}/scripts/{shop.script}?show=builds"
        )
    expect(page.get_by_role("table", name="Builds", exact=True)).to_have_count(0)
    page.on("request", lambda request: again.append(request.url.rpartition("/")[2].partition("?")[0]))
    for route in held:
        route.continue_()
    expect(row(page, "Builds", "served now")).to_be_visible()
    seller.settle()
    assert not {*again} & {*parts}, "what was asked for is not asked for again"
