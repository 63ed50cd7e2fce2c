"""Errors of a script in the page: listed, shown with their line, resolved, ignored and opened again."""

from __future__ import annotations

from playwright.sync_api import expect

from support.browser import Visit
from support.developer import Developer
from support.error_groups import MESSAGE, add_error
from support.server import MoonlatchServer
from support.shop import SCRIPT


def test_an_error_is_looked_at_and_settled(visit: Visit, developer: Developer, server: MoonlatchServer) -> None:
    page, project = visit.page, developer.new_project("Errors")
    script = developer.new_script(project, SCRIPT, name="Farm")
    for build, line in ((1, None), (2, 212)):
        add_error(server.data / "moonlatch.db", script, build=build, line=line)
    visit.sign_in()
    visit.go(f"/projects/{project}/scripts/{script}?show=errors")
    table = page.get_by_role("table", name="Errors", exact=True)
    expect(table).to_contain_text(MESSAGE)
    expect(table).to_contain_text("line 212 in follow")
    expect(table).to_contain_text("line 57 of the build")
    expect(page.get_by_text("This script does not report errors")).to_be_visible()
    table.get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("table", name="Builds that had it")).to_contain_text("Delta 37")
    dialog.get_by_role("button", name="Resolve").click()
    expect(dialog.get_by_text("resolved", exact=True)).to_be_visible()
    assert {each["state"] for each in developer.get(f"/scripts/{script}/errors")["errors"]} == {"resolved"}
    dialog.get_by_role("button", name="Open again").click()
    dialog.get_by_role("button", name="Ignore").click()
    expect(dialog.get_by_text("ignored", exact=True)).to_be_visible()
    assert {each["state"] for each in developer.get(f"/scripts/{script}/errors")["errors"]} == {"ignored"}
    page.keyboard.press("Escape")
    page.get_by_label("Show those that are").select_option("ignored")
    expect(table).to_contain_text("line 212 in follow")
    developer.post(f"/projects/{project}/remove")
