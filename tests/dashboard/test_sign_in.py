"""People sign in as they do: by an invitation, a password, a one-time code, a passkey; and out again, everywhere."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.browser import Visit
from support.developer import Developer
from support.shop import Shop

PASSWORD = "correct horse battery staple"
OpenPage = Callable[..., AbstractContextManager[Visit]]


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


@pytest.fixture
def invited(developer: Developer, shop: Shop) -> Iterator[tuple[str, str]]:
    """The sign-in name of somebody new, and the secret of their link."""
    name = f"ana-{time.monotonic_ns()}@example.com"
    made = developer.post("/members", name="Ana", sign_in_name=name, role="admin")
    yield name, made["secret"]
    developer.post(f"/members/{made['member']['id']}/remove")


def accept(visit: Visit, secret: str) -> None:
    visit.page.goto(f"{visit.url}/dashboard/#/invite/{secret}")
    expect(visit.page.get_by_label("New password")).to_be_focused()
    visit.page.keyboard.type(PASSWORD)
    button(visit.page, "Continue").click()
    expect(visit.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Sign-in name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    button(page, "Sign in").click()


def test_an_invitation_leads_in_once_and_the_password_leads_in_again(visit: Visit, invited: tuple[str, str]) -> None:
    name, secret = invited
    page = visit.page
    accept(visit, secret)
    assert secret not in page.url
    page.reload()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    assert page.evaluate(
        "() => [document.cookie, Object.keys(sessionStorage).filter((name) => /token/.test(name))]"
    ) == ["", []]
    button(page, "Sign out").click()
    sign_in(page, name, "a wrong password")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, name)
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    button(page, "Sign out").click()
    page.goto(f"{visit.url}/dashboard/#/invite/{secret}")
    expect(page.get_by_text("This link no longer works")).to_be_visible()


def test_one_time_codes_are_asked_for_as_soon_as_they_are_on(visit: Visit, invited: tuple[str, str]) -> None:
    name, secret = invited
    page = visit.page
    accept(visit, secret)
    visit.go("/me")
    button(page, "Set up").click()
    shared = page.get_by_role("group", name="Secret").inner_text()
    expect(page.get_by_role("img", name="The secret as a QR code")).to_be_visible()
    page.get_by_label("Code from the app").fill(code_of(shared))
    button(page, "Switch on").click()
    codes = page.get_by_role("group", name="Recovery codes").inner_text().split()
    assert len(codes) == 10
    button(page, "I have saved them").click()
    button(page, "Sign out").click()
    sign_in(page, name)
    expect(page.get_by_label("One-time code")).to_be_focused()
    page.keyboard.type(codes[0])
    button(page, "Sign in").click()
    expect(page.get_by_role("heading", name="Your sign-in", level=1)).to_be_visible()


def code_of(shared: str) -> str:
    """The code that an app shows now (RFC 6238)."""
    key = base64.b32decode(shared + "=" * (-len(shared) % 8))
    digest = hmac.digest(key, int(time.time() // 30).to_bytes(8), "sha1")
    begin = digest[-1] & 15
    return f"{(int.from_bytes(digest[begin : begin + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


def test_a_passkey_is_added_and_leads_in_without_a_password(opening: OpenPage, invited: tuple[str, str]) -> None:
    with opening() as visit:
        page = visit.page
        # Browsers know passkeys of names, not of bare addresses.
        visit.url = re.sub(r"//127\.0\.0\.1", "//localhost", visit.url)
        authenticator = page.context.new_cdp_session(page)
        authenticator.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        accept(visit, invited[1])
        visit.go("/me")
        page.get_by_label("Name of the device").fill("laptop")
        button(page, "Add passkey").click()
        expect(page.get_by_role("listitem").filter(has_text="laptop")).to_be_visible()
        button(page, "Sign out").click()
        button(page, "Sign in with a passkey").click()
        expect(page.get_by_role("heading", name="Your sign-in", level=1)).to_be_visible()
        visit.faults = [fault for fault in visit.faults if "localhost" not in fault]


def test_sessions_elsewhere_are_seen_and_ended(opening: OpenPage, visit: Visit, invited: tuple[str, str]) -> None:
    name, secret = invited
    accept(visit, secret)
    with opening() as other:
        other.page.goto(f"{other.url}/dashboard/")
        sign_in(other.page, name)
        expect(other.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        visit.go("/me")
        expect(visit.page.get_by_text("this browser")).to_be_visible()
        button(visit.page, "Sign out everywhere").click()
        expect(visit.page.get_by_label("Sign-in name")).to_be_visible()
        other.page.get_by_role("link", name="Keys", exact=True).click()
        expect(other.page.get_by_label("Sign-in name")).to_be_visible()
        sign_in(other.page, name)
        expect(other.page.get_by_role("heading", name="Keys", level=1)).to_be_visible()


def test_a_team_is_made_in_the_page_and_each_role_sees_what_it_may(
    seller: Visit, opening: OpenPage, shop: Shop
) -> None:
    page = seller.page
    name = f"sam-{time.monotonic_ns()}"
    seller.go("/team")
    button(page, "Invite").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Sam <b>Support</b>")
    dialog.get_by_label("What they sign in with").fill(name)
    dialog.get_by_role("button", name="Invite").click()
    address = page.get_by_role("group", name="Their one-time link").inner_text().strip()
    button(page, "Done").click()
    expect(page.get_by_role("row").filter(has_text="Sam <b>Support</b>")).to_contain_text("invited")
    with opening() as support:
        accept(support, address.rpartition("/")[2])
        pages = support.page.get_by_role("navigation", name="Pages").get_by_role("link")
        assert pages.all_inner_texts() == [
            "Overview",
            "Scripts",
            "At the server",
            "Live",
            "Keys",
            "Events",
            "Checkpoints",
            "Settings",
            "Projects",
            "All events",
            "Installation",
        ]
        support.go(f"/projects/{shop.project}/keys")
        expect(button(support.page, "Create keys")).to_be_visible()
        support.go(f"/projects/{shop.project}/scripts/{shop.script}")
        expect(support.page.get_by_role("link", name="Builds")).to_be_visible()
        expect(support.page.get_by_role("link", name="Publish")).to_be_hidden()
        expect(button(support.page, "Switch off")).to_be_hidden()
        page.get_by_role("button", name="Edit: Sam").click()
        page.get_by_role("dialog").get_by_label("Role").select_option("viewer")
        button(page, "Save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        support.page.reload()
        support.page.locator("main h1").wait_for()
        support.go(f"/projects/{shop.project}/keys")
        expect(button(support.page, "Create keys")).to_be_hidden()
        expect(support.page.get_by_role("row").nth(1)).to_contain_text("…")
    button(page, "Remove").click()
    dialog.get_by_label("Type Sam <b>Support</b> to confirm").fill("Sam <b>Support</b>")
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The member was removed")).to_be_visible()
