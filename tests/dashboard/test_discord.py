"""The page Discord: a bot is connected, what it lacks is told, a project is linked, on a real server and a Discord of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import Visit
from support.developer import Developer, eventually
from support.discord import CUSTOMERS, GUILD, STAFF, TOKEN, FakeDiscord
from support.shop import Shop


def test_a_bot_is_connected_a_project_linked_and_all_of_it_taken_back(
    seller: Visit, shop: Shop, developer: Developer, discord: FakeDiscord, request: pytest.FixtureRequest
) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/discord")
    expect(page.get_by_text("No bot is connected yet")).to_be_visible()
    page.get_by_label("Bot token").fill("A" * 30)
    page.get_by_role("button", name="Connect bot").click()
    expect(page.get_by_label("Bot token")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Bot token").fill(TOKEN)
    page.get_by_role("button", name="Connect bot").click()
    expect(page.get_by_role("heading", name="Moon bot")).to_be_visible()
    page.get_by_label("Server", exact=True).select_option(label="Server 1")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Role of customers").select_option(CUSTOMERS)
    page.get_by_label("role 3", exact=True).select_option("support")
    page.get_by_label("Channel of role 3", exact=True).fill("beta")
    page.get_by_label("Title of the panel").fill("The night market")
    page.get_by_role("button", name="Save").click()
    path = f"/projects/{shop.project}/discord"
    link = eventually(lambda: (found := developer.get(path)["link"])["panel_title"] and found, timeout_seconds=20)
    assert (link["guild_id"], link["customer_role_id"], link["roles"], link["channels"], link["panel_title"]) == (
        GUILD,
        CUSTOMERS,
        {STAFF: "support"},
        {STAFF: "beta"},
        "The night market",
    )
    expect(page.get_by_text("Its commands are registered.")).to_be_visible()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("this server has an https:// address")).to_be_visible()
    folder: Path | None = request.config.getoption("--screenshots")
    if folder is not None:
        page.screenshot(path=folder / "discord.png", full_page=True)
    page.get_by_role("button", name="Remove link").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove link").click()
    expect(page.get_by_text("Choose a server and save")).to_be_visible()
    page.get_by_role("button", name="Disconnect bot").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Moon bot").fill("Moon bot")
    box.get_by_role("button", name="Disconnect bot").click()
    expect(page.get_by_text("No bot is connected yet")).to_be_visible()
    assert developer.get("/account/discord")["discord"] is None
