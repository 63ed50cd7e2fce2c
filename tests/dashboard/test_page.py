"""The page in a real browser against a real server: the way in, the way round, and what happens when something fails."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import Visit, open_page
from support.developer import Developer, eventually
from support.lua_host.run import LoaderRun
from support.server import MoonlatchServer
from support.shop import SCRIPT, Shop


def button(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("button", name=name, exact=True)


def test_a_token_that_is_not_valid_is_refused_and_a_valid_one_leads_back_to_where_somebody_was(
    visit: Visit, shop: Shop
) -> None:
    page = visit.page
    page.goto(f"{visit.url}/dashboard/#/projects/{shop.project}/keys")
    button(page, "Sign in with an API token").click()
    page.get_by_label("API token").fill("ml_no")
    button(page, "Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    page.get_by_label("API token").fill(visit.token)
    button(page, "Sign in").click()
    expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
    button(page, "Sign out").click()
    expect(page.get_by_label("Sign-in name")).to_be_visible()
    assert page.evaluate("() => sessionStorage.getItem('moonlatch.token')") is None


def test_a_session_that_ended_leads_to_the_sign_in_and_back(seller: Visit, shop: Shop, developer: Developer) -> None:
    page = seller.page
    made = developer.post("/account/tokens", name="short")
    button(page, "Sign out").click()
    seller.sign_in(made["secret"])
    seller.go(f"/projects/{shop.project}/scripts")
    developer.post(f"/account/tokens/{made['token']['id']}/revoke")
    page.get_by_role("link", name="Events", exact=True).click()
    button(page, "Sign in with an API token").click()
    page.get_by_label("API token").fill(seller.token)
    button(page, "Sign in").click()
    expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()


def test_a_new_seller_gets_from_nothing_to_a_running_script_that_is_watched_messaged_and_stopped(
    visit: Visit,
    server,
    stopped_server,
    tmp_path,  # type: ignore[no-untyped-def]
) -> None:
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.sign_in(stopped_server.new_account("newcomer"))
    expect(page.get_by_role("heading", name="Welcome to Moonlatch")).to_be_visible()
    button(page, "Create project").click()
    page.get_by_label("Name", exact=True).fill("My game")
    page.get_by_role("dialog").get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", name="Latest events")).to_be_visible()
    # Nothing that says zero stands beside the steps.
    visit.settle()
    assert page.get_by_role("heading", level=2, name=re.compile("^(Executions|Keys|Why|Where)")).count() == 0
    page.get_by_role("link", name="Add script").click()
    page.get_by_role("dialog").get_by_label("Name").fill("My script")
    page.get_by_role("dialog").get_by_role("button", name="Add script").click()
    expect(page.get_by_role("heading", name="My script", level=1)).to_be_visible()
    file = tmp_path / "script.luau"
    file.write_text(SCRIPT)
    expect(button(page, "Publish")).to_be_enabled()
    page.get_by_label("Choose file").set_input_files(file)
    button(page, "Publish").click()
    expect(page.get_by_text("Build 1 is being served")).to_be_visible(timeout=60_000)
    loader = page.get_by_role("group", name="What your customers run").inner_text()
    page.get_by_role("link", name="Keys", exact=True).click()
    button(page, "Create keys").first.click()
    page.get_by_label("Valid", exact=True).select_option("days")
    page.get_by_role("dialog").get_by_role("button", name="Create keys").click()
    key = page.get_by_role("dialog").get_by_role("group", name="Keys").inner_text().strip()
    # All that the customer is given: nothing is to be put together.
    handed = page.get_by_role("dialog").get_by_role("group", name="What your customer runs")
    expect(handed).to_have_text(loader.replace("KEY", key))
    button(page, "Done").click()
    (address,) = re.findall(r'HttpGet\("([^"]+)"\)', loader)
    with LoaderRun(address, key=key, executor="Delta") as customer:
        customer.wait_line("ready")
        page.get_by_role("link", name="Live", exact=True).click()
        row = page.get_by_role("row").filter(has_text=key)
        expect(row).to_contain_text("Delta")
        row.get_by_role("checkbox").check()
        button(page, "Send message").click()
        page.get_by_label("Handler").fill("give")
        page.get_by_label("Data").fill('{"amount": 5}')
        page.get_by_role("dialog").get_by_role("button", name="Send").click()
        answer = page.get_by_role("dialog").get_by_role("row").filter(has_text=key)
        expect(answer).to_contain_text('{"given":5}')
        page.keyboard.press("Escape")
        button(page, "Disconnect").click()
        page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
        customer.wait_for("kicked")
        expect(page.get_by_text("Nothing is connected")).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Executions, last 30 days")).to_be_visible()
    expect(page.get_by_role("heading", name="Add a script")).to_have_count(0)
    expect(page.get_by_text("Session disconnected")).to_be_visible()
    expect(page.get_by_text("(erased)")).to_have_count(0)


def test_first_steps_that_are_taken_elsewhere_are_done_here_too(visit: Visit, stopped_server, server) -> None:  # type: ignore[no-untyped-def]
    visit.token = stopped_server.new_account("colleague")
    with Developer(server.url, visit.token) as colleague:
        project = colleague.new_project()
        visit.arrive(f"/projects/{project}/overview")
        expect(visit.page.get_by_role("link", name="Add script")).to_be_visible()
        colleague.new_script(project, SCRIPT)
        expect(visit.page.get_by_role("link", name="Create key")).to_be_visible()
        colleague.post(f"/projects/{project}/users")
        expect(visit.page.get_by_role("link", name="Show the loader")).to_be_visible()


def test_faults_stand_at_their_lines_while_somebody_writes(seller: Visit, shop: Shop) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/scripts/{shop.empty_script}")
    button(page, "Switch on").click()
    expect(page.get_by_text("There is nothing to start yet")).to_be_visible()
    editor = page.get_by_role("textbox", name="Source")
    editor.click()
    page.keyboard.type("local x = 1\nlocal y = = 2\n")
    line = page.get_by_role("button", name="Line 2")
    expect(line).to_be_visible(timeout=30_000)
    line.click()
    expect(editor).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("local x: number = 1\nx += 1\nprint(`{x}`)\n")
    expect(page.get_by_text("No problems found")).to_be_visible(timeout=30_000)


def test_what_the_api_says_against_a_field_stands_at_the_field(seller: Visit, shop: Shop) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/keys?new=key")
    amount = page.get_by_label("How many")
    amount.fill("5000")
    page.get_by_role("dialog").get_by_role("button", name="Create keys").click()
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(amount).to_be_focused()
    expect(page.locator(f"#{amount.get_attribute('id')}-wrong")).to_contain_text("1000")


def test_whoever_saves_over_anothers_change_is_told_and_chooses(
    seller: Visit, shop: Shop, developer: Developer
) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/scripts/{shop.empty_script}?show=settings")
    tick = page.get_by_label("Stop copies of older builds")
    expect(tick).to_be_enabled()
    # The page reads the script anew every few seconds: the other's change comes with the request itself.
    page.route(
        "**/edit",
        lambda route: (developer.post(f"/scripts/{shop.empty_script}/edit", require_sessions=True), route.continue_()),
    )
    tick.check()
    button(page, "Save").click()
    expect(page.get_by_text("Somebody changed this while you were editing")).to_be_visible()
    page.unroute("**/edit")
    button(page, "Save mine over it").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    script = developer.script(shop.empty_script)
    assert (script["kick_outdated"], script["require_sessions"]) == (True, False)
    developer.post(f"/scripts/{shop.empty_script}/edit", kick_outdated=False)


def test_what_somebody_writes_stays_while_another_changes_the_same(
    seller: Visit, shop: Shop, developer: Developer
) -> None:
    page = seller.page
    user = shop.users[40]
    seller.go(f"/projects/{shop.project}/keys/{user['id']}?show=edit")
    page.get_by_label("Note").fill("mine")
    developer.post(f"/users/{user['id']}/edit", note="theirs")
    expect(page.locator("dd").filter(has_text="theirs")).to_be_visible()  # the page follows
    expect(page.get_by_label("Note")).to_have_value("mine")
    button(page, "Save").click()
    expect(page.get_by_text("Somebody changed this while you were editing")).to_be_visible()
    button(page, "Take theirs").click()
    expect(page.get_by_label("Note")).to_have_value("theirs")
    page.get_by_label("Note").fill("agreed")
    button(page, "Save").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert developer.get(f"/users/{user['id']}")["user"]["note"] == "agreed"


def test_a_lost_connection_is_said_and_heals_and_what_was_sent_is_done_once(
    seller: Visit, shop: Shop, developer: Developer
) -> None:
    page = seller.page
    user = shop.users[20]
    seller.go(f"/projects/{shop.project}/keys/{user['id']}")
    button(page, "Blacklist").click()
    answered = []

    def cut(route) -> None:  # type: ignore[no-untyped-def]
        """The server does it, and its answer never arrives."""
        if not answered:
            answered.append(route.fetch())
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/blacklist", cut)
    page.get_by_role("dialog").get_by_role("button", name="Blacklist").click()
    expect(page.get_by_text("The key is blacklisted")).to_be_visible()
    page.unroute("**/blacklist")
    events = developer.get(f"/users/{user['id']}/events", kind="user.blacklisted")["events"]
    assert len(events) == 1
    page.context.set_offline(True)
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_be_hidden()
    expect(page.locator("main li").filter(has_text="Key blacklisted").first).to_be_visible()
    seller.faults = [fault for fault in seller.faults if "net::ERR_" not in fault]


def test_anything_is_found_by_the_keyboard(seller: Visit, shop: Shop) -> None:
    page = seller.page
    user = next(user for user in shop.users if user["discord_id"])
    for words, heading in ((user["key"], user["key"]), (user["discord_id"], user["key"]), ("auto fa", "Auto farm")):
        page.keyboard.press("Control+k")
        page.get_by_role("dialog").get_by_role("combobox").fill(words)
        expect(page.get_by_role("dialog").get_by_role("option").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)  # while one is open, keys are not for the page
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Events", level=1)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


def test_many_keys_are_changed_after_a_preview(seller: Visit, shop: Shop, developer: Developer) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/keys?q=customer 3&in=note_contains")
    expect(page.get_by_role("status").filter(has_text="of 11")).to_be_visible()
    page.get_by_label("Select all on this page").check()
    button(page, "Change many keys").click()
    page.get_by_label("Days").fill("10")
    button(page, "Preview").click()
    go = page.get_by_role("button", name=re.compile(r"^Change \d+ keys?$"))
    expect(go).to_be_visible()
    count = int(re.findall(r"\d+", go.inner_text())[0])
    assert 0 < count < 11  # some never expire
    go.click()
    expect(page.get_by_text(f"{count} keys were changed")).to_be_visible()
    events = developer.get(f"/projects/{shop.project}/events", kind="user.edited", limit=100)["events"]
    assert len([event for event in events if {"key_days", "key_expires"} & set(event["changes"])]) >= count


def test_keys_go_out_and_come_in_as_a_table(seller: Visit, shop: Shop, tmp_path) -> None:  # type: ignore[no-untyped-def]
    page = seller.page
    seller.go(f"/projects/{shop.project}/keys")
    file = tmp_path / "keys.csv"
    file.write_text('key;note;key_days\nimported_key_0001;"=HYPERLINK(""x"")";7\nimported_key_0002;second;\n')
    button(page, "Import").click()
    page.get_by_label("CSV file").set_input_files(file)
    expect(page.get_by_text("2 rows")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    expect(page.get_by_text("2 keys were imported")).to_be_visible()
    with page.expect_download() as download:
        button(page, "Export").click()
    exported = download.value.path().read_text("utf-8")
    assert exported.startswith("key,discord_id,note,")
    assert 'imported_key_0001,,"\'=HYPERLINK(""x"")",7,' in exported
    developer = shop.developer
    for key in ("imported_key_0001", "imported_key_0002"):
        developer.post(f"/users/{key}/remove", forever=True)


def test_a_viewer_is_shown_no_key_and_offered_no_change(opening, shop: Shop, developer: Developer) -> None:  # type: ignore[no-untyped-def]
    permissions = ["account:read", "projects:read", "scripts:read", "keys:read", "sessions:read", "events:read"]
    secret = developer.post("/account/tokens", name="viewer", permissions=permissions)["secret"]
    with opening() as visit:
        visit.sign_in(secret)
        visit.go(f"/projects/{shop.project}/keys")
        expect(visit.page.get_by_role("row").nth(1)).to_contain_text("…")
        assert not any(user["key"] in visit.page.content() for user in shop.users)
        # Nor on the pages where builds are chosen and devices are let in.
        update = f"/scripts/{shop.script}/update?channel=viewed"
        developer.post(update, script=SCRIPT)
        developer.post(f"/users/{shop.users[0]['id']}/pin", script=shop.script, channel="viewed")
        offered = {
            f"scripts/{shop.script}?show=builds": "Keys with a build of their own",
            f"keys/{shop.users[0]['id']}?show=builds": "Which build this key gets",
            f"keys/{shop.users[0]['id']}?show=devices": None,
            "bars": None,
        }
        for place, table in offered.items():
            visit.go(f"/projects/{shop.project}/{place}")
            visit.settle()
            if table is not None:
                expect(visit.page.get_by_role("table", name=table)).to_be_visible()
            assert not any(user["key"] in visit.page.content() for user in shop.users), place
            buttons = visit.page.get_by_role("main").get_by_role("button").all_inner_texts()
            # Builds are looked at by their numbers.
            named = {each.strip() for each in buttons if not each.strip().isdigit()}
            assert named <= {"", "Copy", "Previous", "Next"}, place
            assert visit.page.get_by_role("main").get_by_role("checkbox").count() == 0, place
        developer.post(f"/scripts/{shop.script}/channels/viewed/remove")
        developer.post(f"/users/{shop.users[0]['id']}/pin", script=shop.script, channel="")


def test_the_theme_is_chosen_and_kept(seller: Visit) -> None:
    page = seller.page
    for theme in ("light", "dark"):
        page.get_by_label("Colours").select_option(theme)
        page.reload()
        page.locator("main h1").wait_for()
        background = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", background)[:3]))
        assert (brightness > 600) is (theme == "light")


def test_nothing_but_documented_calls_is_made(seller: Visit, shop: Shop) -> None:
    """What the page can do, the API can do."""
    page = seller.page
    made: set[str] = set()
    page.on("request", lambda request: made.add(request.url.removeprefix(seller.url).split("?")[0]))
    for place in ("overview", "scripts", f"scripts/{shop.script}", "keys", "live", "events", "settings"):
        seller.go(f"/projects/{shop.project}/{place}")
        seller.settle()
    paths = shop.developer.http.get("/openapi.json").json()["paths"]
    patterns = [re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for path in paths]
    calls = {path for path in made if not path.startswith("/dashboard/")}
    assert len(calls) >= 7
    assert [path for path in calls if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []


def test_a_live_list_follows_by_itself(seller: Visit, shop: Shop) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/live?script={shop.script}")
    expect(page.get_by_text("Nothing is connected")).to_be_visible()
    with LoaderRun(shop.loader_url, key=shop.users[30]["key"]) as customer:
        customer.wait_line("ready")
        expect(page.get_by_role("row").filter(has_text=shop.users[30]["key"])).to_be_visible()
        expect(page.get_by_label("Script", exact=True)).to_contain_text("Auto farm (1)")
    eventually(lambda: not shop.developer.sessions(shop.script), 30)
    page.mouse.move(1, 1)
    expect(page.get_by_text("Nothing is connected")).to_be_visible()


def test_one_copy_is_stopped_and_a_removed_key_is_brought_back(seller: Visit, shop: Shop) -> None:
    page, user = seller.page, shop.users[31]
    with LoaderRun(shop.loader_url, key=user["key"]) as customer:
        customer.wait_line("ready")
        seller.go(f"/projects/{shop.project}/live?script={shop.script}&show=copies")
        row = page.get_by_role("row").filter(has_text=user["key"])
        row.get_by_role("button", name="Stop").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
        customer.wait_for("kicked")
        expect(row).to_have_count(0)
    with LoaderRun(shop.loader_url, key=user["key"]) as customer:
        customer.wait_line("ready")
        eventually(lambda: shop.developer.get(f"/users/{user['id']}/devices")["devices"])
        seller.go(f"/projects/{shop.project}/keys/{user['id']}?show=devices")
        expect(page.get_by_text("Used on 1 device in 1 network")).to_be_visible()
        expect(page.get_by_role("table", name="Bound to 1 of 1 device").get_by_role("row")).to_have_count(2)
        page.get_by_role("link", name="Starts", exact=True).click()
        button(page, "Stop all copies").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop all copies").click()
        customer.wait_for("kicked")
    # How it ended is written down after the copy is gone.
    expect(page.get_by_role("table", name="Starts").locator(".badge.bad")).to_have_count(2)
    button(page, "Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("link", name="Removed keys").click()
    page.get_by_role("row").filter(has_text=user["key"]).get_by_role("checkbox").check()
    button(page, "Restore").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("The key was restored")).to_be_visible()
    assert shop.developer.get(f"/users/{user['id']}")["user"]["key"] == user["key"]


def test_a_loader_gets_a_new_secret(seller: Visit, shop: Shop, developer: Developer) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/scripts/{shop.script}?show=settings")
    button(page, "New loader secret").click()
    page.get_by_role("dialog").get_by_role("button", name="Give it a new secret").click()
    expect(page.get_by_text("The loader has a new secret; saved ones work until")).to_be_visible(timeout=60_000)
    (event,) = developer.get(f"/projects/{shop.project}/events", kind="script.loader_rotated")["events"]
    assert event["changes"]["grace"] == [None, 86_400_000]


def test_why_customers_were_refused_stands_on_the_overview(seller: Visit, shop: Shop, developer: Developer) -> None:
    user = shop.users[10]  # blacklisted
    with LoaderRun(shop.loader_url, key=user["key"]) as customer:
        customer.wait_for("raised")
    eventually(lambda: "BLACKLISTED" in str(developer.get(f"/projects/{shop.project}/refusals")["refusals"]))
    seller.page.reload()
    expect(seller.page.get_by_text("the key or its device is blacklisted")).to_be_visible()
    seller.page.get_by_text("As a table").click()
    table = seller.page.get_by_role("table", name="Executions, last 30 days")
    expect(table.get_by_role("row")).to_have_count(30)


def test_the_line_for_customers_has_the_address_that_they_come_to(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The page is seen at another address than the one that loaders are made for, as behind a proxy."""
    settings = {"MOONLATCH_PUBLIC_URL": "https://scripts.example.com/moon"}
    server = MoonlatchServer(tmp_path_factory.mktemp("elsewhere") / "data", settings)
    secret = server.new_account("Elsewhere")
    with server, Developer(server.url, secret) as developer, open_page(browser, server.url, secret) as visit:
        project = developer.new_project()
        script = str(developer.post(f"/projects/{project}/scripts", name="Script")["script"]["id"])
        visit.sign_in()
        visit.go(f"/projects/{project}/scripts/{script}")
        line = visit.page.get_by_role("group", name="What your customers run")
        expect(line).to_contain_text(f'HttpGet("https://scripts.example.com/moon/loader/{script}")')
        visit.go("/account")
        expect(visit.page.get_by_text("You opened this page at 127.0.0.1")).to_be_visible()
        expect(visit.page.get_by_text("works", exact=True)).to_have_count(2)


def test_a_key_that_several_share_is_held_by_the_projects_rules_and_released(
    seller: Visit, developer: Developer
) -> None:
    page = seller.page
    project = developer.new_project("Shared")
    script, key = developer.new_script(project, SCRIPT), developer.new_key(project)
    page.reload()
    seller.go(f"/projects/{project}/settings")
    limit = page.get_by_label("Most starts an hour", exact=True)
    limit.fill("none")
    button(page, "Save").click()
    expect(limit).to_have_attribute("aria-invalid", "true")
    limit.fill("1")
    page.get_by_label("Most starts an hour: Then").select_option("hold")
    button(page, "Save").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    for _ in range(2):
        with LoaderRun(f"{seller.url}/loader/{script}", key=key) as customer:
            customer.wait_line("ready")
    user = eventually(lambda: (found := developer.get(f"/users/{key}")["user"])["held_by"] and found, 30)
    seller.go(f"/projects/{project}/keys/{user['id']}?show=devices")
    expect(page.get_by_text("On hold because of starts an hour, until it is released")).to_be_visible()
    expect(page.get_by_text("starts an hour: 2 (limit: 1)")).to_be_visible()
    button(page, "Release").click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(page.get_by_text("The key was released")).to_be_visible()
    assert developer.get(f"/users/{key}")["user"]["held_by"] is None
    developer.post(f"/projects/{project}/remove")
