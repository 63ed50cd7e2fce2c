"""A build that goes to a part of the keys first, and one that is published later, in the page."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from support.browser import Visit
from support.developer import Developer
from support.shop import SCRIPT


def button(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("button", name=name, exact=True)


def test_a_rollout_is_started_paused_halted_resumed_and_finished(visit: Visit, developer: Developer) -> None:
    page, project = visit.page, developer.new_project("Rollouts")
    script = developer.new_script(project, SCRIPT, name="Farm")
    developer.post(f"/scripts/{script}/update", script=SCRIPT, label="1.1 <b>")
    developer.post(f"/scripts/{script}/rollback", build=1)
    visit.sign_in()
    visit.go(f"/projects/{project}/scripts/{script}?show=builds")
    button(page, "Start a rollout").click()
    dialog = page.get_by_role("dialog")
    steps = dialog.get_by_label("Part of the keys at each step, in percent")
    steps.fill("50, 5")
    page.get_by_role("dialog").get_by_role("button", name="Start a rollout").click()
    expect(steps).to_have_attribute("aria-invalid", "true")
    steps.fill("12.5, 100")
    dialog.get_by_label("Minutes for each step, at least").fill("90")
    page.get_by_role("dialog").get_by_role("button", name="Start a rollout").click()
    expect(page.get_by_role("progressbar", name="Build 2 goes to 12.5 % of the keys")).to_be_visible()
    expect(page.get_by_text("100 % next:")).to_contain_text("in 1 hour")
    (rollout,) = developer.get(f"/scripts/{script}/rollouts")["rollouts"]
    assert rollout["steps"] == [{"basis_points": 1_250, "minutes": 90}, {"basis_points": 10_000, "minutes": 90}]
    expect(button(page, "Start a rollout")).to_have_count(0)

    button(page, "Pause").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    # It takes one click and no question.
    button(page, "Halt").click()
    expect(page.get_by_text("halted: nobody gets it")).to_be_visible()
    assert developer.get(f"/rollouts/{rollout['id']}")["rollout"]["state"] == "halted"
    button(page, "Resume").click()
    expect(page.get_by_role("dialog")).to_contain_text("Give build 2 to customers again?")
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("under way", exact=True)).to_be_visible()
    # What others do is seen at once.
    developer.post(f"/rollouts/{rollout['id']}/pause")
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    button(page, "Finish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Give build 2 to everybody?")
    dialog.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("table", name="Builds", exact=True).get_by_role("row").nth(1)).to_contain_text("served now")
    page.get_by_text("Earlier rollouts").first.click()
    expect(page.get_by_role("table", name="Earlier rollouts")).to_contain_text("finished")
    developer.post(f"/projects/{project}/remove")


def test_a_build_is_published_later_moved_and_taken_off(visit: Visit, developer: Developer) -> None:
    page, project = visit.page, developer.new_project("Later")
    script = developer.new_script(project, SCRIPT, name="Farm")
    visit.sign_in()
    visit.go(f"/projects/{project}/scripts/{script}")
    page.get_by_role("textbox", name="Source").click()
    page.keyboard.type("print('next')")
    page.get_by_text("Label, notes, and who gets it when").click()
    share = page.get_by_label("Part of the keys first, in percent")
    share.fill("x")
    page.get_by_label("Publish at").fill("2031-01-31T12:00")
    expect(page.get_by_text("No problems found")).to_be_visible(timeout=60_000)
    button(page, "Publish").click()
    expect(share).to_have_attribute("aria-invalid", "true")
    share.fill("5, 100")
    button(page, "Publish").click()
    expect(page.get_by_text("Build 2 is scheduled")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Builds", exact=True).click()
    row = page.get_by_role("table", name="Scheduled builds").get_by_role("row").nth(1)
    expect(row).to_contain_text(re.compile("Jan 31, 2031.*5 % first"))
    button(page, "Change time: build 2").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Publish at").fill("2032-01-31T12:00")
    page.get_by_role("dialog").get_by_role("button", name="Change time").click()
    expect(row).to_contain_text("Jan 31, 2032")
    (scheduled,) = developer.get(f"/scripts/{script}/scheduled")["scheduled"]
    assert [step["basis_points"] for step in scheduled["steps"]] == [500, 10_000]
    button(page, "Take off: build 2").click()
    expect(page.get_by_role("table", name="Scheduled builds")).to_have_count(0)
    assert developer.get(f"/scripts/{script}/scheduled")["scheduled"] == []
    developer.post(f"/projects/{project}/remove")
