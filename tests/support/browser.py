"""A real Chromium for the dashboard's tests: found on the machine, driven by Playwright, and strict about what a page does."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from support.contrast import TOO_LITTLE_CONTRAST

EXECUTABLE_VARIABLE = "MOONLATCH_TEST_BROWSER"
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RUN_AXE = """async ([rules, exclude]) => {
    if (!window.axe) return null;
    const of = document.querySelector('dialog[open]') ?? (exclude.length ? { exclude } : document);
    const only = rules && { runOnly: { type: 'rule', values: rules } };
    return (await axe.run(of, { resultTypes: ['violations'], ...only })).violations;
}"""
_EXPECTED_OF_A_REFUSAL = "Failed to load resource: the server responded with a status of"
"""Chromium's own line for every answer of 400 and more; what is refused is for the page to show."""


def executable() -> str:
    """The browser's program. Raises AssertionError where there is none."""
    found = os.environ.get(EXECUTABLE_VARIABLE) or next(filter(None, map(shutil.which, _NAMES)), None)
    assert found, f"no Chromium: install Debian's chromium-headless-shell, or name one in {EXECUTABLE_VARIABLE}"
    return found


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """One browser process; its pages come from `open_page`."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page, and what a page of ours must not do: errors in its console, breaches of its policy, requests elsewhere."""

    page: Page
    url: str
    """Of the server, without a slash at its end."""

    token: str
    faults: list[str] = field(default_factory=list)

    def go(self, place: str) -> None:
        """Go to a place of the dashboard, as a link does; wait until its page is there."""
        self.page.evaluate("place => { location.hash = place }", place)
        path = place.partition("?")[0]
        self.page.locator(f'main[data-place="{path}"] h1').first.wait_for()

    def sign_in(self, token: str | None = None) -> None:
        """Open the dashboard and sign in by a token."""
        self.page.goto(f"{self.url}/dashboard/")
        self.page.get_by_role("button", name="Sign in with an API token").click()
        self.page.get_by_label("API token").fill(token or self.token)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.locator('main h1:not(:has-text("Sign in"))').wait_for()

    def arrive(self, place: str) -> None:
        """Open a place of the dashboard as whoever signed in by the token in this tab before."""
        self.page.goto(f"{self.url}/dashboard/licences.txt")
        self.page.evaluate("token => sessionStorage.setItem('moonlatch.token', token)", self.token)
        self.page.goto(f"{self.url}/dashboard/#{place}")
        self.page.locator(f'main[data-place="{place.partition("?")[0]}"] h1').first.wait_for()

    def settle(self) -> None:
        """Until nothing is asked for and nothing is announced as loading."""
        self.page.wait_for_function("() => !document.querySelector('main [aria-busy=true]')")

    def axe(self, rules: list[str] | None = None, *, without: list[str] | None = None) -> list[str]:
        """What axe-core finds, as lines; by those rules alone where some are given, and not in what the selectors `without` name.
        Of an open dialog alone: what is behind it is a page of its own.
        """
        found = self.page.evaluate(_RUN_AXE, [rules, without or []])
        if found is None:
            self.page.evaluate(_AXE.read_text("utf-8"))
            found = self.page.evaluate(_RUN_AXE, [rules, without or []])
        return [
            f"{violation['id']}: {violation['help']}: {node['target']} {node['html'][:200]} {node['failureSummary']}"
            for violation in found
            for node in violation["nodes"]
        ]

    def contrast(self) -> list[str]:
        """Text that is hard to read, as lines."""
        found: list[list[str]] = self.page.evaluate(TOO_LITTLE_CONTRAST)
        return [f"contrast of {measured}: {markup[:200]}" for markup, measured in found]

    def overflow(self) -> list[str]:
        """Elements that are wider than the window, where nothing scrolls them."""
        found: list[str] = self.page.evaluate(
            """() => {
                const width = document.documentElement.clientWidth;
                if (document.documentElement.scrollWidth <= width) return [];
                return [...document.querySelectorAll('main *, dialog *')]
                    .filter((element) => element.getBoundingClientRect().right > width + 1)
                    .map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`);
            }"""
        )
        return found


@contextlib.contextmanager
def open_page(browser: Browser, url: str, token: str, **options: Any) -> Iterator[Visit]:
    """A page in a context of its own. At the end it must not have done what a page of ours must not do.

    The language is given because Chromium hands a POSIX locale on to pages as one that it does not know itself.
    """
    context = browser.new_context(
        **{"locale": "en-US", "timezone_id": "UTC", "viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    visit = Visit(page, url, token)
    host = urlsplit(url).netloc

    def hear(message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED_OF_A_REFUSAL):
            visit.faults.append(f"console: {message.text}")

    def watch(request: Any) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("blob", "data", "about") and where.netloc != host:
            visit.faults.append(f"a request elsewhere: {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: visit.faults.append(f"error: {error}"))
    page.on("request", watch)
    try:
        yield visit
        assert not visit.faults, visit.faults
    finally:
        context.close()
