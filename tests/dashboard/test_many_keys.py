"""A project with tens of thousands of customers is paged and filtered in the page as one with five is."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from support.browser import Visit
from support.developer import Developer
from support.rounds import rounds

MANY = rounds(12_000, 50_000)
AT_ONCE = 1000


# As soon as there are any: what is drawn before anything is painted.
NOTE_FIRST_ROWS = """() => {
    const rows = () => document.querySelectorAll("main tbody tr").length;
    const watch = new MutationObserver(() => {
        if (!rows()) return;
        watch.disconnect();
        window.firstRows = rows();
    });
    watch.observe(document.body, { subtree: true, childList: true });
}"""


@pytest.fixture(scope="module")
def crowded(developer: Developer) -> str:
    """The project; every customer has a note with their number."""
    project = developer.new_project("Crowd")
    for first in range(0, MANY, AT_ONCE):
        developer.post(
            f"/projects/{project}/users", users=[{"note": f"number {n}"} for n in range(first, first + AT_ONCE)]
        )
    return project


def test_many_keys_are_paged_counted_and_found(visit: Visit, crowded: str) -> None:
    visit.sign_in()
    page = visit.page
    visit.go(f"/projects/{crowded}/overview")
    visit.settle()
    page.evaluate(NOTE_FIRST_ROWS)
    begun = time.monotonic()
    visit.go(f"/projects/{crowded}/keys")
    status = page.get_by_role("status").filter(has_text=f"of {MANY:,}")
    expect(status).to_contain_text("1–50")
    print(f"from click to 50 of {MANY} keys: {(time.monotonic() - begun) * 1000:.0f} ms")
    # Those that the window has place for come before the others.
    expect(page.get_by_role("row")).to_have_count(51)
    height = page.viewport_size["height"] if page.viewport_size else 0
    assert height / 60 < page.evaluate("() => firstRows") < height / 40
    page.get_by_role("button", name="Next").click()
    expect(status).to_contain_text("51–100")
    page.get_by_role("button", name="Never started").click()
    expect(page.get_by_role("status").filter(has_text="1–50 of 10,000+")).to_be_visible()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_label("Search in").select_option("note_contains")
    page.get_by_role("searchbox").fill(f"number {MANY - 1}")
    expect(page.get_by_role("status").filter(has_text=re.compile("of 1$"))).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text(f"number {MANY - 1}")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("definition").filter(has_text=f"number {MANY - 1}")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value(f"number {MANY - 1}")
