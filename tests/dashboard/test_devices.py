"""Where a key runs: how many devices it may have, what they are called, what is barred, and starting without the server."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect

from support.browser import Visit
from support.developer import Developer, eventually
from support.lua_host.run import LoaderRun
from support.shop import SCRIPT

REPLACED = b"string = table.clone(string)\nlocal real = string.char\nstring.char = function(...) return real(...) end\n"
"""Before a loader: what somebody does who wants to see what it decodes."""


def button(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("button", name=name, exact=True)


def row(page: Page, table: str, text: str | re.Pattern[str]):  # type: ignore[no-untyped-def]
    return page.get_by_role("table", name=table, exact=True).get_by_role("row").filter(has_text=text)


def test_a_customer_with_two_machines_needs_no_reset_and_a_cheat_is_kept_out_by_his(
    visit: Visit, developer: Developer
) -> None:
    page, project = visit.page, developer.new_project("Devices")
    script = developer.new_script(project, SCRIPT, offline_days=1)
    user = developer.post(f"/projects/{project}/users", note="two machines")["users"][0]
    loader, keys = f"{visit.url}/loader/{script}", f"/projects/{project}/keys"
    visit.sign_in()

    # One number for the project, another for this key.
    visit.go(f"/projects/{project}/settings")
    devices = page.get_by_label("Devices per key")
    devices.fill("0")
    button(page, "Save").click()
    expect(devices).to_have_attribute("aria-invalid", "true")
    devices.fill("3")
    options = page.get_by_label("Options for Luraph")
    page.locator("summary", has_text="Options for Luraph").click()
    options.fill('{"TARGET_VERSION": ')
    button(page, "Save").click()
    expect(options).to_have_attribute("aria-invalid", "true")
    options.fill('{"TARGET_VERSION": "Luau"}')
    button(page, "Save").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    project_now = developer.get(f"/projects/{project}")["project"]
    assert (project_now["max_devices"], project_now["luraph_options"]) == (3, {"TARGET_VERSION": "Luau"})
    visit.go(f"{keys}/{user['id']}?show=edit")
    page.get_by_label("Device limit").fill("2")
    button(page, "Save").click()
    eventually(lambda: developer.get(f"/users/{user['id']}")["user"]["max_devices"] == 2)

    # Both machines start; each has a name, and one is given up.
    for device in ("one", "two"):
        with LoaderRun(loader, key=user["key"], fingerprint=device) as customer:
            customer.wait_line("ready")
    eventually(lambda: len(developer.get(f"/users/{user['id']}/devices")["devices"]) == 2)
    page.get_by_role("link", name="Devices", exact=True).click()
    expect(page.get_by_text("Bound to 2 of 2 devices,")).to_be_visible()
    expect(page.get_by_text("changed host")).to_have_count(0)
    bound = "Bound to 2 of 2 devices"
    page.get_by_role("table", name=bound).get_by_role("button", name=re.compile("^Name")).first.click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("laptop <i>")
    page.get_by_role("dialog").get_by_role("button", name="Name", exact=True).click()
    expect(row(page, bound, "laptop <i>")).to_be_visible()
    button(page, "Unbind: laptop <i>").click()
    page.get_by_role("dialog").get_by_label("Even if").check()
    page.get_by_role("dialog").get_by_role("button", name="Unbind").click()
    expect(page.get_by_role("table", name="Bound to 1 of 2 devices")).to_be_visible()
    names = {each["name"]: each["is_bound"] for each in developer.get(f"/users/{user['id']}/devices")["devices"]}
    assert names == {"laptop <i>": False, None: True}

    # Where functions were replaced, the day says so.
    changed = REPLACED + httpx.get(loader, trust_env=False).content
    with LoaderRun(loader, key=user["key"], fingerprint="two", loader=changed) as customer:
        customer.wait_line("ready")
    eventually(lambda: developer.get(f"/users/{user['id']}/devices")["days"][-1]["hooked"] == 1)
    page.reload()
    expect(page.get_by_text("1 start in a changed host, on 1 of the last 30 days")).to_be_visible()
    today = page.get_by_role("img", name="3, 2 devices, 1 network, 1 in a changed host")
    expect(today).to_have_count(1)

    # A file lets one start where there is no internet.
    page.get_by_role("link", name="Builds", exact=True).click()
    button(page, "Offline licence").click()
    button(page, "Make and download").click()
    device = page.get_by_role("dialog").get_by_label("Device")
    expect(device).to_have_attribute("aria-invalid", "true")
    device.fill("one")
    with page.expect_download() as download:
        button(page, "Make and download").click()
    assert "moonlatch_licence" in download.value.path().read_text("utf-8")

    # Blacklisted with his networks, until one is let in again.
    button(page, "Blacklist").click()
    page.get_by_label("Bar its networks as well").check()
    page.get_by_role("dialog").get_by_role("button", name="Blacklist").click()
    expect(page.get_by_text("The key is blacklisted")).to_be_visible()
    visit.go(keys)
    page.get_by_role("link", name="Barred", exact=True).click()
    network = row(page, "Barred devices and networks", "network")
    expect(network).to_contain_text(user["key"])
    expect(row(page, "Barred devices and networks", "device").filter(has_text="for good")).to_have_count(2)
    network.get_by_role("checkbox").check()
    button(page, "Lift the bar").click()
    page.get_by_role("dialog").get_by_role("button", name="Lift the bar").click()
    expect(network).to_have_count(0)
    assert {bar["kind"] for bar in developer.get(f"/projects/{project}/bars")["bars"]} == {"device"}
    developer.post(f"/projects/{project}/remove")
