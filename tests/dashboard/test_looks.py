"""Every page in both themes and as narrow as a small telephone: axe finds nothing, nothing is wider than its window; pictures where asked for.

`make screenshots` asks for them; they are there to be looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from moonlatch.master_key import MasterKeySource
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.operations.marking import holder_of_key
from moonlatch.operations.run_keys import run_key
from support.browser import Visit
from support.developer import Developer, eventually
from support.discord import GUILD, TOKEN, FakeDiscord
from support.error_groups import MESSAGE, add_error
from support.lua_host.run import LoaderRun
from support.server import MoonlatchServer
from support.shop import DAY_MS, SCRIPT, Shop

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
LOOKS: dict[str, tuple[Literal["light", "dark"], ViewportSize, list[str] | None]] = {
    "light": ("light", WIDE, None),
    "dark": ("dark", WIDE, []),
    "narrow-dark": ("dark", NARROW, []),
    "narrow": ("light", NARROW, ["target-size", "scrollable-region-focusable"]),
}
"""Theme, window, and the rules of axe that can come out otherwise than in the look before: None for all of them. What can always come out
otherwise is contrast, for which axe takes as long as for all the rest: that is measured by `Visit.contrast`."""
FRAME = [".side", ".bar"]
"""What is around every page: looked at once."""


def nothing(_: Page) -> None:
    """What most pages need before they are looked at."""


def select_two(page: Page) -> None:
    for index in (1, 2):
        page.get_by_role("row").nth(index).get_by_role("checkbox").check()


def click(button: str) -> Callable[[Page], None]:
    """Opens a dialog by its button."""

    def clicked(page: Page) -> None:
        page.get_by_role("button", name=button, exact=True).first.click()
        page.get_by_role("dialog").wait_for()
        page.wait_for_function("() => !document.querySelector('dialog [aria-busy=true]')")

    return clicked


def write_faulty(page: Page) -> None:
    page.get_by_text("Label, notes, and who gets it when").click()
    page.get_by_role("textbox", name="Source").click()
    page.keyboard.type(
        "local total: number = 0 -- all of it\nfor _, v in items do\n\ttotal += v = 1\nend\nprint(`{total} items`)"
    )
    expect(page.get_by_role("button", name="Line 3")).to_be_visible(timeout=30_000)


def trace(leak: str) -> Callable[[Page], None]:
    def traced(page: Page) -> None:
        page.get_by_label("Leaked text").fill(leak)
        page.get_by_role("button", name="Trace it").click()
        page.get_by_role("table", name="Keys whose run key it holds").wait_for()

    return traced


def connect_bot(developer: Developer, project: str) -> Callable[[Page], None]:
    """The page is one before there is a bot, and another one after."""

    def connected(page: Page) -> None:
        if developer.get("/account/discord")["discord"] is None:
            developer.post("/account/discord", bot_token=TOKEN)
            developer.post(f"/projects/{project}/discord", guild_id=GUILD)
            page.reload()
        page.get_by_label("Role of customers").wait_for()

    return connected


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
def places(
    shop: Shop, copies: None, developer: Developer, server: MoonlatchServer, discord: FakeDiscord
) -> Iterator[dict[str, tuple[str, Callable[[Page], None]]]]:
    """Every page by a name: where it is, and what is done there first."""
    of_project = f"/projects/{shop.project}"
    key, blacklisted = shop.users[0]["id"], shop.users[11]["id"]
    script = f"{of_project}/scripts/{shop.script}"
    eventually(lambda: developer.get(f"/users/{key}/executions")["executions"])
    keyring = MasterKeySource(server.data).open()
    leak = run_key(keyring, Lock.drawn(random.Random(1)), shop.script, holder_of_key(key))
    empty = developer.get("/projects")["projects"]
    bare = next((one["id"] for one in empty if one["name"] == "Bare"), None) or developer.new_project("Bare")
    # Nobody listens there.
    hook = developer.post(f"/projects/{bare}/endpoints", url="http://127.0.0.1:9/hooks", name="Discord")["endpoint"][
        "id"
    ]
    developer.post(f"/projects/{bare}/variables", name="drop_rates", value={"rare": 0.02})
    developer.post(f"/projects/{bare}/remotes", name="drops", kind="webhook", endpoint_id=hook)
    developer.post(f"/endpoints/{hook}/test")
    system, stepless = (
        developer.post("/ads/systems/new", project_id=bare, name="Free keys")["system_id"] for _ in "12"
    )
    for provider, settings in (
        ("linkvertise", {"publisher_id": "12345", "token": "a-token-of-the-seller"}),
        ("custom", {"url": "https://gate.example/in"}),
        ("lootlabs", {"link": "https://loot-link.com/s?abc"}),
    ):
        developer.post(f"/ads/systems/{system}/steps", provider=provider, settings=settings)
    update = f"/scripts/{shop.script}/update?channel=beta"
    # Other tests start what is published here.
    notes = "Harvests twice as fast.\nNo longer stops at night."
    developer.post(update, script=SCRIPT + "print('next')", label="1.1-beta", notes=notes)
    steps = [{"basis_points": 2_500, "minutes": 60}, {"basis_points": 10_000, "minutes": 60}]
    later = shop.users[1]["created_at"] + 30 * DAY_MS
    developer.post(f"/scripts/{shop.script}/builds/2/schedule", publish_at=later, channel="beta")
    developer.post(f"/scripts/{shop.script}/rollouts", build=2, steps=steps)
    developer.post(f"/users/{key}/pin", script=shop.script, channel="beta")
    developer.post(
        f"/users/{shop.users[1]['id']}/pin",
        script=shop.script,
        build=1,
        expires=shop.users[1]["created_at"] + 30 * DAY_MS,
    )
    faulty = developer.new_project("Faulty")
    halted = developer.new_script(faulty, SCRIPT, name="Halted")
    developer.post(f"/scripts/{halted}/update?channel=beta", script=SCRIPT + "print('next')")
    rollout = developer.post(f"/scripts/{halted}/rollouts", build=2, steps=steps)["rollout"]["id"]
    developer.post(f"/rollouts/{rollout}/halt")
    add_error(server.data / "moonlatch.db", halted)
    device = developer.get(f"/users/{key}/devices")["devices"][0]["id"]
    developer.post(f"/users/{key}/name_device", device=device, name="gaming laptop")
    barred = shop.users[2]
    with LoaderRun(shop.loader_url, key=barred["key"], fingerprint="Third device") as third:
        third.wait_line("ready")
        eventually(lambda: developer.get(f"/users/{barred['id']}/devices")["devices"])
    developer.post(f"/users/{barred['id']}/blacklist", reason="sold on", bar_networks=True)
    yield {
        "overview": (f"{of_project}/overview", nothing),
        "overview-bare": (f"/projects/{bare}/overview", nothing),
        "scripts": (f"{of_project}/scripts", nothing),
        "scripts-bare": (f"/projects/{bare}/scripts", nothing),
        "script-publish": (script, write_faulty),
        "script-builds": (f"{script}?show=builds", nothing),
        "script-build": (f"{script}?show=builds", click("About build 2")),
        "script-yank": (f"{script}?show=builds", click("Yank build 1")),
        "script-channel": (f"{script}?show=builds", click("New channel")),
        "script-finish": (f"{script}?show=builds", click("Finish")),
        "script-schedule": (f"{script}?show=builds", click("Schedule a build")),
        "script-leaks": (f"{script}?show=leaks", trace(leak.hex())),
        "script-settings": (f"{script}?show=settings", nothing),
        "script-halted": (f"/projects/{faulty}/scripts/{halted}?show=builds", nothing),
        "script-rollout": (f"/projects/{faulty}/scripts/{halted}?show=builds", click("Start a rollout")),
        "script-errors": (f"/projects/{faulty}/scripts/{halted}?show=errors", nothing),
        "script-error": (f"/projects/{faulty}/scripts/{halted}?show=errors", click(f"Show: {MESSAGE}")),
        "server-bare": (f"{of_project}/server", nothing),
        "server": (f"/projects/{bare}/server", nothing),
        "variable-new": (f"/projects/{bare}/server", click("Set a variable")),
        "remote-new": (f"/projects/{bare}/server", click("Set a webhook or function")),
        "live": (f"{of_project}/live?script={shop.script}", select_two),
        "live-copies": (f"{of_project}/live?script={shop.script}&show=copies", nothing),
        "live-bare": (f"/projects/{bare}/live", nothing),
        # A page of 60 takes axe a second more in each look, and finds the same.
        "keys": (f"{of_project}/keys?q=customer 1&in=note_contains", select_two),
        "keys-bare": (f"/projects/{bare}/keys", nothing),
        "keys-new": (f"/projects/{bare}/keys?new=key", nothing),
        "key-starts": (f"{of_project}/keys/{key}", nothing),
        "key-devices": (f"{of_project}/keys/{key}?show=devices", nothing),
        "key-builds": (f"{of_project}/keys/{key}?show=builds", nothing),
        "key-builds-bare": (f"{of_project}/keys/{blacklisted}?show=builds", nothing),
        "key-choose-build": (f"{of_project}/keys/{key}?show=builds", click("Choose a build")),
        "key-device": (f"{of_project}/keys/{key}?show=devices", click("Name: gaming laptop")),
        "key-blacklisted": (f"{of_project}/keys/{blacklisted}?show=events", nothing),
        "key-settings": (f"{of_project}/keys/{key}?show=edit", nothing),
        "keys-removed": (f"{of_project}/removed", nothing),
        "bars": (f"{of_project}/bars", nothing),
        "bars-bare": (f"/projects/{bare}/bars", nothing),
        "events": (f"{of_project}/events", nothing),
        "webhooks-bare": (f"{of_project}/webhooks", nothing),
        "webhook-new": (f"{of_project}/webhooks?new=webhook", nothing),
        "webhook": (f"/projects/{bare}/webhooks/{hook}", nothing),
        "webhook-settings": (f"/projects/{bare}/webhooks/{hook}?show=settings", nothing),
        "checkpoints-bare": (f"{of_project}/checkpoints", nothing),
        "checkpoints": (f"/projects/{bare}/checkpoints", nothing),
        "checkpoint-new": (f"{of_project}/checkpoints?new=checkpoint", nothing),
        "checkpoint": (f"/projects/{bare}/checkpoints/{system}", nothing),
        "checkpoint-bare": (f"/projects/{bare}/checkpoints/{stepless}", nothing),
        "checkpoint-settings": (f"/projects/{bare}/checkpoints/{system}?show=settings", nothing),
        "step-new": (f"/projects/{bare}/checkpoints/{system}", click("Add step")),
        "step": (f"/projects/{bare}/checkpoints/{system}", click("Lootlabs")),
        "discord-bare": (f"{of_project}/discord", nothing),
        "discord": (f"/projects/{bare}/discord", connect_bot(developer, bare)),
        "project-settings": (f"{of_project}/settings", nothing),
        "projects": ("/projects", nothing),
        "team": ("/team", nothing),
        "token-new": ("/team", click("New token")),
        "member-new": ("/team", click("Invite")),
        "me": ("/me", nothing),
        "account": ("/account", nothing),
        "palette": (f"{of_project}/scripts", find),
    }
    if developer.get("/account/discord")["discord"] is not None:
        developer.post("/account/discord/remove")
    developer.post(f"/projects/{faulty}/remove")
    # Its network is that of every other test.
    bars = developer.get(f"/projects/{shop.project}/bars")["bars"]
    developer.post(f"/projects/{shop.project}/bars/lift", bars=[bar["id"] for bar in bars if bar["kind"] == "network"])


def test_every_page_reads_well_for_everybody(
    visit: Visit, places: dict[str, tuple[str, Callable[[Page], None]]], request: pytest.FixtureRequest
) -> None:
    folder: Path | None = request.config.getoption("--screenshots")
    visit.page.goto(f"{visit.url}/dashboard/")
    visit.page.get_by_label("Sign-in name").wait_for()
    findings = look_at(visit, "sign-in", folder)
    visit.sign_in()
    for name, (place, prepare) in places.items():
        visit.go(place)
        visit.settle()
        prepare(visit.page)
        findings += look_at(visit, name, folder, is_first=name == "overview")
        if visit.page.get_by_role("dialog").count():
            visit.page.keyboard.press("Escape")
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize(("theme", "quiet"), [("light", "#8a8a8a"), ("dark", "#777777")])
def test_contrast_is_found_too_low_wherever_axe_finds_it_too_low(
    seller: Visit, shop: Shop, theme: Literal["light", "dark"], quiet: str
) -> None:
    page = seller.page
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    for place in ("overview", f"keys/{shop.users[11]['id']}", "keys?new=key"):
        seller.go(f"/projects/{shop.project}/{place}")
        seller.settle()
        assert seller.contrast() == []
        page.evaluate("quiet => document.documentElement.style.setProperty('--quiet', quiet)", quiet)
        measured, found = seller.contrast(), seller.axe(["color-contrast"])
        markup = [line.partition(": ")[2].partition(": ")[2][:60] for line in measured]
        assert found
        assert [line for line in found if not any(f" {each}" in line for each in markup)] == []
        # It leaves out single letters, and those within pictures.
        assert len(found) > len(measured) / 2
        page.evaluate("() => document.documentElement.style.removeProperty('--quiet')")


OPENERS = {
    "script-builds": (
        "About build 2",
        "Serve build 2",
        "Yank build 1",
        "Finish",
        "Schedule a build",
        "New channel",
        "Change build: beta",
        "Remove beta",
        "Switch off",
    ),
    "script-settings": ("New loader secret", "Remove this script"),
    "scripts": ("Add script",),
    "keys": ("Create keys", "Import", "Change many keys"),
    "key-builds": ("Choose a build", "Change: Auto farm", "Offline licence"),
    "key-devices": ("Name: gaming laptop", "Unbind: gaming laptop"),
    "key-settings": ("Stop all copies", "Add time", "Unbind device", "Blacklist", "Remove"),
    "key-blacklisted": ("Lift blacklisting",),
    "bars": ("Lift the bar",),
    "server": (
        "Set a variable",
        "Change drop_rates",
        "Remove drop_rates",
        "Set a webhook or function",
        "Change drops",
        "Remove drops",
    ),
    "live": ("Send message", "Disconnect"),
    "checkpoints": ("New checkpoint",),
    "checkpoint": ("Add step", "Linkvertise", "Lootlabs"),
    "checkpoint-settings": ("Remove checkpoint",),
    # What is asked, and what is shown, within a dialog.
    "step": ("Remove step",),
    "script-halted": ("Resume",),
    "script-errors": (f"Show: {MESSAGE}",),
    "discord": ("Disconnect bot", "Remove link"),
    "webhooks-bare": ("Add webhook",),
    "webhook": ("Test",),
    "webhook-settings": ("New secret", "Remove webhook"),
    "team": ("New token", "Invite", "Revoke"),
    "projects": ("New project",),
    "project-settings": ("Remove this project",),
}
"""Buttons of pages that open a dialog."""

# One may be open over another.
IS_WITHIN = "() => document.activeElement.closest('dialog') === [...document.querySelectorAll('dialog')].at(-1)"
FIELDS = "input, select, textarea"
BEGINS_WELL = f"""() => ({IS_WITHIN})()
    && (document.activeElement.ariaLabel !== "Close" || !document.activeElement.closest("dialog").querySelector("{FIELDS}"))"""
REACHABLE = "'a[href], button, input, select, textarea, summary, [tabindex=\"0\"]'"
GO_ROUND = f"""() => {{
    const box = [...document.querySelectorAll('dialog')].at(-1)
    return [...box.querySelectorAll({REACHABLE})].filter((one) => one.checkVisibility() && !one.disabled).length
}}"""


def test_every_dialog_takes_the_keyboard_and_gives_it_back(
    visit: Visit, places: dict[str, tuple[str, Callable[[Page], None]]]
) -> None:
    page, faults = visit.page, []
    visit.sign_in()
    for name, buttons in OPENERS.items():
        place, prepare = places[name]
        visit.go(place)
        visit.settle()
        prepare(page)
        if name == "bars":
            page.get_by_role("row").nth(1).get_by_role("checkbox").check()
        for words in buttons:
            faults += [f"{name}, {words}: {fault}" for fault in keyboard_faults(page, words)]
        if name == "step":
            # They take the place of the step that they belong to.
            page.get_by_role("button", name="Show secrets").press("Enter")
            page.get_by_role("dialog").get_by_role("heading", name="What the provider has to know").wait_for()
            page.wait_for_function(IS_WITHIN)
            page.keyboard.press("Escape")
            expect(page.get_by_role("button", name="Lootlabs")).to_be_focused()
    assert not faults, "\n".join(faults)


def keyboard_faults(page: Page, words: str) -> list[str]:
    """What is wrong with the dialog behind a button for whoever has no pointer."""
    opener, dialogs = page.get_by_role("button", name=words, exact=True).first, page.locator("dialog")
    if not opener.count():
        return ["there is no such button"]
    before = dialogs.count()
    opener.focus()
    page.keyboard.press("Enter")
    expect(dialogs).to_have_count(before + 1)
    expect(dialogs.last).to_have_attribute("open", "")
    page.wait_for_function("() => !document.querySelector('dialog [aria-busy=true]')")
    faults = []
    try:
        page.wait_for_function(BEGINS_WELL)  # a frame after its fields are there, on a busy machine
    except PlaywrightTimeoutError:
        is_within = page.evaluate(IS_WITHIN)
        faults.append(
            "whoever wants to enter something begins at the cross" if is_within else "the focus did not go into it"
        )
    for _ in range(page.evaluate(GO_ROUND) + 1):
        page.keyboard.press("Tab")
        # Between its end and its head is the window's own frame, which the page knows as its body.
        if not page.evaluate(f"({IS_WITHIN})() || document.activeElement === document.body"):
            faults.append("the keyboard leaves it")
            break
    page.keyboard.press("Escape")
    expect(dialogs).to_have_count(before)
    if not opener.evaluate("(button) => document.activeElement === button"):
        faults.append("the focus did not come back")
    return faults


def look_at(visit: Visit, name: str, folder: Path | None, *, is_first: bool = False) -> list[str]:
    """What is wrong with the page as it is, in every look; pictures of it where there is a folder for them. The first of those
    with a frame is looked at with it.
    """
    page, findings = visit.page, []
    for look, (theme, window, rules) in LOOKS.items():
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        if page.viewport_size != window:
            page.set_viewport_size(window)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            page.evaluate("() => scrollTo(0, 0)")
            page.screenshot(path=folder / f"{name}-{look}.png", full_page=name != "keys")
        found = [*visit.contrast(), *visit.overflow()]
        if rules != []:
            found += visit.axe(rules, without=[] if is_first else FRAME)
        findings += [f"{name} ({look}): {line}" for line in found]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    return findings
