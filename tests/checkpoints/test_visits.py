"""A visitor's way to a key, and every way around it that is known."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from moonlatch.checkpoints import text
from moonlatch.licensing.checkpoints import ATTEMPT_MS, MOST_PASSES
from moonlatch.operations.visits import AD_NOTE, Away
from support.client import Client, Refused
from support.client_server import plain_http
from support.management import Api, Developer, done
from support.visitor import ELSEWHERE, HERE, NEARBY, Visitor, key_on, new_step, new_system, signed, told, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 86_400_000


async def start(api: Api, client: Client, key: str, address: str, fingerprint: str = "a device") -> str:
    """What becomes of a start from there."""
    async with plain_http(timeout=60, headers={"x-forwarded-for": address}) as http:
        there = Client(api.url, client.script, client.loader, client.secret, http, api.clock)
        try:
            await there.execute(key=key, fingerprint=fingerprint)
        except Refused as refused:
            return refused.code
        return "granted"


async def earned(api: Api, me: Developer, project: str, browser: Visitor, **fields: object) -> str:
    system = await new_system(me, project, "custom", **fields)
    await browser.begin(system)
    key = key_on(await browser.pass_custom(system, str(system.secrets[0])))
    assert key is not None
    return key


async def test_a_visitor_goes_through_all_steps_and_gets_a_key(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom", "custom", key_duration=2 * DAY)
    first = await browser.get(f"/get/{system.slug}")
    assert (first.status_code, key_on(first)) == (200, None)
    assert "Free, for 2 days. 2 steps." in first.text
    begun = await browser.begin(system)
    assert "2 hours left for all steps." in begun.text
    assert '<li class="next" aria-current="step">' in begun.text
    once = await browser.pass_custom(system, str(system.secrets[0]))
    assert (key_on(once), told(once)) == (None, "")
    assert '<li class="done">' in once.text
    assert text.CONTINUE.format(number=2) in once.text
    page = await browser.pass_custom(system, str(system.secrets[1]))
    key = key_on(page)
    assert key is not None
    assert "Good for another 2 days." in page.text
    user = await me.user(key)
    assert (user["note"], user["key_expires"] - api.clock() > 2 * DAY - 60_000) == (AD_NOTE, True)
    events = done(await me.get(f"/users/{user['id']}/events"))["events"]
    assert [(each["kind"], each["actor"]["name"]) for each in events] == [("user.created", "checkpoints")]
    again = await browser.get(f"/get/{system.slug}")
    assert key_on(again) == key, "and whoever comes back to the page is shown it again"


async def test_the_page_says_everything_without_scripts_and_lets_nobody_else_say_anything(
    me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom", name="<b>Keys</b> & more")
    page = await browser.get(f"/get/{system.slug}")
    assert "&lt;b&gt;Keys&lt;/b&gt; &amp; more" in page.text
    assert "<script" not in page.text
    assert " style=" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy == "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; form-action 'self'"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers, "who only looks is not marked"
    begun = await browser.http.post(f"/get/{system.slug}")
    assert re.fullmatch(
        r"moonlatch-visitor=[A-Za-z0-9]{32}; Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax",
        begun.headers["set-cookie"],
    )
    style = await browser.http.get("/get/page.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    kept = await browser.http.get("/get/page.css", headers={"if-none-match": style.headers["etag"]})
    assert kept.status_code == 304


async def test_only_the_browser_that_began_is_shown_the_key(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    await browser.pass_custom(system, str(system.secrets[0]))
    async with visitor(api) as other:
        assert key_on(await other.get(f"/get/{system.slug}")) is None
        other.http.cookies.set("moonlatch-visitor", "A" * 32)
        assert key_on(await other.get(f"/get/{system.slug}")) is None
    browser.http.cookies.clear()
    assert key_on(await browser.get(f"/get/{system.slug}")) is None


async def test_neither_cookie_nor_callback_nor_address_is_kept_in_clear(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    cookie = browser.http.cookies["moonlatch-visitor"]
    for table in ("ad_attempts", "ad_passes", "ad_steps", "ad_grants"):
        rows = await api.database.fetch_all(query(f"select * from {table}"))
        kept = b" ".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
        for secret in (cookie, callback.rpartition("/")[2], HERE, str(system.secrets[0])):
            assert secret.encode() not in kept, table


def query(sql: str):
    from moonlatch.storage.interface import Query

    return Query("test.rows", sql)


# Ways around it.


async def test_a_callback_is_good_once(me: Developer, api: Api, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom", "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    api.clock.ahead_ms += 10_000
    back = signed(callback, str(system.secrets[0]), api.clock() + 60_000)
    assert told(await browser.get(back)) == ""
    again = await browser.get(back)
    assert (again.status_code, told(again)) == (403, text.AWAY[Away.USED])


async def test_who_is_back_too_soon_has_to_go_again(api: Api, me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    api.clock.ahead_ms += 4_000
    back = signed(callback, str(system.secrets[0]), api.clock() + 60_000)
    page = await browser.get(back)
    assert (told(page), key_on(page)) == (text.AWAY[Away.TOO_FAST], None)
    api.clock.ahead_ms += 4_000
    assert told(await browser.get(back)) == text.AWAY[Away.USED], "waiting then is no use"
    assert key_on(await browser.pass_custom(system, str(system.secrets[0]), seconds=6)) is not None


@pytest.mark.parametrize(
    "step", ["skipped", "second first", "somebody else's", "made up", "without a word", "forged", "stale", "too long"]
)
async def test_a_step_counts_only_in_its_order_and_with_its_own_proof(
    api: Api, me: Developer, project: str, browser: Visitor, step: str
) -> None:
    system = await new_system(me, project, "custom", "custom")
    await browser.begin(system)
    first, second = (str(secret) for secret in system.secrets)
    if step == "skipped":
        back = f"/verify/{system.steps[1]}"
        expected = Away.UNKNOWN_CALLBACK
    elif step == "second first":
        old = await browser.leave(system)
        await browser.pass_custom(system, first)
        back = signed(old, first, api.clock() + 60_000)
        expected = Away.WRONG_STEP
    elif step == "somebody else's":
        async with visitor(api, NEARBY) as other:
            await other.begin(system)
            back = signed(await other.leave(system), first, api.clock() + 60_000)
        expected = Away.UNKNOWN_CALLBACK
    elif step == "made up":
        assert (await browser.get("/verify/" + "A" * 32)).status_code == 404
        return
    else:
        callback = await browser.leave(system)
        api.clock.ahead_ms += 10_000
        back = {
            "without a word": callback,
            "forged": signed(callback, second, api.clock() + 60_000),
            "stale": signed(callback, first, api.clock()),
            "too long": signed(callback, first, api.clock() + 3_600_000),
        }[step]
        expected = Away.NOT_PROVEN
    page = await browser.get(back)
    assert (page.status_code, told(page)) == (403, text.AWAY[expected])
    assert (
        await api.value(
            "select count(*) from ad_passes where done_at is not null and step_id = :id", id=system.steps[1]
        )
        == 0
    )


async def test_another_browser_cannot_finish_what_one_began(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    back = signed(await browser.leave(system), str(system.secrets[0]), api.clock() + 60_000)
    api.clock.ahead_ms += 10_000
    async with visitor(api) as other:
        assert told(await other.get(back)) == text.AWAY[Away.NOT_BEGUN]
        await other.begin(system)
        assert told(await other.get(back)) == text.AWAY[Away.UNKNOWN_CALLBACK]
    assert key_on(await browser.get(back)) is not None


async def test_who_comes_back_from_another_network_begins_again(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    api.clock.ahead_ms += 10_000
    browser.move(ELSEWHERE)
    back = signed(callback, str(system.secrets[0]), api.clock() + 60_000)
    assert told(await browser.get(back)) == text.AWAY[Away.WRONG_NETWORK]
    browser.move(HERE)
    assert told(await browser.get(back)) == text.AWAY[Away.USED]
    browser.move(ELSEWHERE)
    await browser.begin(system)
    assert key_on(await browser.pass_custom(system, str(system.secrets[0]))) is not None


async def test_an_attempt_ends(api: Api, me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    api.clock.ahead_ms += ATTEMPT_MS
    back = signed(callback, str(system.secrets[0]), api.clock() + 60_000)
    assert told(await browser.get(back)) == text.AWAY[Away.NOT_BEGUN]
    assert (await browser.http.get(f"/get/{system.slug}/go")).status_code == 403


async def test_who_tries_too_often_has_to_wait(api: Api, me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    for _ in range(MOST_PASSES):
        await browser.go(system)
    assert told(await browser.get(f"/get/{system.slug}/go")) == text.AWAY[Away.TOO_MANY_TRIES]


async def test_of_64_callbacks_at_once_one_counts(api: Api, me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom", "custom")
    await browser.begin(system)
    callback = await browser.leave(system)
    api.clock.ahead_ms += 10_000
    back = signed(callback, str(system.secrets[0]), api.clock() + 60_000)
    replies = await asyncio.gather(*(browser.http.get(back) for _ in range(64)))
    assert sorted(reply.status_code for reply in replies) == [303] + [403] * 63
    assert (
        await api.value(
            "select count(*) from ad_passes where done_at is not null and step_id = :id", id=system.steps[0]
        )
        == 1
    )


async def test_of_many_browsers_of_one_address_at_once_one_gets_a_key(api: Api, me: Developer, project: str) -> None:
    system = await new_system(me, project, "custom")
    backs: list[tuple[httpx.AsyncClient, str]] = []
    clients = [plain_http(base_url=api.url, timeout=60, headers={"x-forwarded-for": HERE}) for _ in range(5)]
    for http in clients:
        one = Visitor(api, http)
        await one.begin(system)
        backs.append((http, await one.leave(system)))
    api.clock.ahead_ms += 10_000
    expires = api.clock() + 60_000
    await asyncio.gather(*(http.get(signed(back, str(system.secrets[0]), expires)) for http, back in backs))
    for http in clients:
        await http.aclose()
    assert len(done(await me.get(f"/projects/{project}/users"))["users"]) == 1


async def test_a_page_of_another_site_begins_nothing(me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom")
    reply = await browser.http.post(f"/get/{system.slug}", headers={"sec-fetch-site": "cross-site"})
    assert (reply.status_code, told(reply)) == (403, text.ELSEWHERE)
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("body", [b"a" * 3_000, b"&".join(b"a=1" for _ in range(50))])
async def test_a_form_that_is_too_large_is_refused(me: Developer, project: str, browser: Visitor, body: bytes) -> None:
    system = await new_system(me, project, "custom")
    reply = await browser.http.post(f"/get/{system.slug}", content=body)
    assert reply.status_code in (303, 400)


# Limits.


async def test_a_visitor_has_as_many_keys_at_once_as_the_system_says(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom", max_keys=1, key_duration=3_600_000, device_daily_keys=9)
    await browser.begin(system)
    await browser.pass_custom(system, str(system.secrets[0]))
    assert told(await browser.begin(system)) == text.AWAY[Away.TOO_MANY_KEYS]
    browser.http.cookies.clear()
    assert told(await browser.begin(system)) == text.AWAY[Away.TOO_MANY_KEYS], "the address is known without its cookie"
    browser.move(NEARBY)
    assert told(await browser.begin(system)) == "", "a neighbour has none"
    browser.move(HERE)
    api.clock.ahead_ms += 3_600_000
    assert told(await browser.begin(system)) == ""


async def test_a_browser_gets_so_many_keys_a_day_and_a_network_so_many(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(
        me,
        project,
        "custom",
        max_keys=100,
        key_duration=60_000,
        max_duration=60_000,
        device_daily_keys=2,
        network_daily_keys=3,
    )
    for _ in range(2):
        await browser.begin(system)
        assert key_on(await browser.pass_custom(system, str(system.secrets[0]))) is not None
    assert told(await browser.begin(system)) == text.AWAY[Away.DAILY_LIMIT]
    async with visitor(api, NEARBY) as other:
        await other.begin(system)
        assert key_on(await other.pass_custom(system, str(system.secrets[0]))) is not None
        other.http.cookies.clear()
        assert told(await other.begin(system)) == text.AWAY[Away.NETWORK_LIMIT]
    api.clock.ahead_ms += DAY
    assert told(await browser.begin(system)) == ""


async def test_a_key_lasts_longer_for_who_goes_through_the_steps_again(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom", key_duration=DAY, max_duration=DAY * 5 // 2, device_daily_keys=9)
    await browser.begin(system)
    key = str(key_on(await browser.pass_custom(system, str(system.secrets[0]))))
    for _ in range(2):
        assert told(await browser.begin(system, key=key)) == ""
        assert key_on(await browser.pass_custom(system, str(system.secrets[0]))) == key
    left = (await me.user(key))["key_expires"] - api.clock()
    assert DAY * 5 // 2 - 60_000 < left <= DAY * 5 // 2, "and never longer than the system lets it"
    assert told(await browser.begin(system, key=key)) == text.AWAY[Away.LONG_ENOUGH]
    sold = await me.new_user(project)
    assert told(await browser.begin(system, key=sold)) == text.AWAY[Away.NOT_EXTENDABLE]
    assert told(await browser.begin(system, key="A" * 32)) == text.AWAY[Away.NOT_EXTENDABLE]
    done(await me.post(f"/ads/systems/{system.id}/edit", {"allow_extending": False}))
    assert told(await browser.begin(system, key=key)) == text.AWAY[Away.NOT_EXTENDABLE]


async def test_a_blacklisted_key_is_not_extended(api: Api, me: Developer, project: str, browser: Visitor) -> None:
    system = await new_system(me, project, "custom", device_daily_keys=9)
    await browser.begin(system)
    key = str(key_on(await browser.pass_custom(system, str(system.secrets[0]))))
    await browser.begin(system, key=key)
    done(await me.post(f"/users/{key}/blacklist", {}))
    page = await browser.pass_custom(system, str(system.secrets[0]))
    assert told(page) == text.AWAY[Away.NOT_EXTENDABLE]


async def test_a_system_that_is_off_or_has_a_gap_or_an_expired_account_gives_nothing(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom", "custom")
    await browser.begin(system)
    done(await me.post(f"/ads/systems/{system.id}/edit", {"enabled": False}))
    assert told(await browser.get(f"/get/{system.slug}/go")) == text.AWAY[Away.CLOSED]
    done(await me.post(f"/ads/systems/{system.id}/edit", {"enabled": True}))
    done(await me.post(f"/ads/steps/{system.steps[1]}/edit", {"enabled": False}))
    assert told(await browser.get(f"/get/{system.slug}/go")) == text.AWAY[Away.CLOSED], (
        "nobody may skip a step that is off"
    )
    done(await me.post(f"/ads/steps/{system.steps[1]}/edit", {"enabled": True}))
    await api.expire(me)
    assert told(await browser.get(f"/get/{system.slug}/go")) == text.AWAY[Away.CLOSED]


async def test_an_account_without_room_gives_no_keys(api: Api, browser: Visitor) -> None:
    me = await api.developer(tier="tiny")
    project = await me.new_project()
    system = await new_system(me, project, "custom")
    for _ in range(3):
        await me.new_user(project)
    assert told(await browser.begin(system)) == text.AWAY[Away.FULL]


# The key itself.


async def test_a_key_starts_first_in_the_network_that_it_was_made_in(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    client = await api.running_script(project)
    key = await earned(api, me, project, browser)
    assert await start(api, client, key, ELSEWHERE) == "KEY_LOCKED"
    assert await start(api, client, key, NEARBY) == "granted"
    assert await start(api, client, key, ELSEWHERE) == "granted", "from then on it belongs to its device"
    assert await start(api, client, key, HERE, fingerprint="another") == "FINGERPRINT_MISMATCH"
    await api.history.settle()
    refusals = done(await me.get(f"/users/{key}/refusals"))["refusals"]
    assert [each["code"] for each in refusals] == ["FINGERPRINT_MISMATCH", "KEY_LOCKED"]


async def test_a_keys_lock_follows_the_browser_that_earned_it(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    client = await api.running_script(project)
    system = await new_system(me, project, "custom")
    await browser.begin(system)
    key = str(key_on(await browser.pass_custom(system, str(system.secrets[0]))))
    browser.move(ELSEWHERE)
    assert key_on(await browser.get(f"/get/{system.slug}")) == key
    assert await start(api, client, key, HERE) == "KEY_LOCKED"
    assert await start(api, client, key, ELSEWHERE) == "granted"


async def test_a_lock_does_not_follow_who_only_makes_the_key_last_longer(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    client = await api.running_script(project)
    system = await new_system(me, project, "custom", device_daily_keys=9)
    await browser.begin(system)
    key = str(key_on(await browser.pass_custom(system, str(system.secrets[0]))))
    async with visitor(api, ELSEWHERE) as other:
        assert told(await other.begin(system, key=key)) == text.AWAY[Away.NOT_EXTENDABLE]
        assert await start(api, client, key, HERE) == "granted"
        assert told(await other.begin(system, key=key)) == "", "once it belongs to a device there is no lock to move"


async def test_networks_of_two_families_are_not_compared(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    client = await api.running_script(project)
    key = await earned(api, me, project, browser)
    assert await start(api, client, key, "2001:db8::7") == "granted"


async def test_a_device_starts_so_many_keys_a_day(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    system = await new_system(me, project, "custom", device_daily_keys=2, max_keys=100, network_daily_keys=100)
    got = []
    for number in range(3):
        async with visitor(api, f"192.0.2.{number + 1}") as one:
            await one.begin(system)
            got.append(str(key_on(await one.pass_custom(system, str(system.secrets[0])))))
    outcomes = [await start(api, client, key, "192.0.2.9", fingerprint="one device") for key in got]
    assert outcomes == ["granted", "granted", "TOO_MANY_KEYS"]
    assert await start(api, client, got[2], "192.0.2.9", fingerprint="another device") == "granted"


async def test_a_script_leads_to_the_page_of_its_project(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    client = await api.running_script(project)
    assert (await browser.get(f"/get/for/{client.script}")).status_code == 404
    system = await new_system(me, project, "custom")
    reply = await browser.http.get(f"/get/for/{client.script}")
    assert (reply.status_code, reply.headers["location"]) == (303, f"{api.url}/get/{system.slug}")


@pytest.mark.parametrize(
    "path",
    ["/get/none-such", "/get/", "/get/a/b/c", "/verify/x", "/verify/a/b", "/get/for/%00", "/get/%00", "/get/%ff"],
)
async def test_what_is_not_there_says_so(browser: Visitor, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_other_methods_are_refused(browser: Visitor) -> None:
    reply = await browser.http.put("/get/anything")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_a_sudden_hurry_leaves_an_event(api: Api, me: Developer, project: str) -> None:
    system = await new_system(me, project, "custom", network_daily_keys=1000, minimum_seconds=5)
    step = system.steps[0]
    attempt = "a" * 32
    await api.change(
        "insert into ad_attempts (id, system_id, browser, network, address, steps, passes, began_at, ends_at, closed_at) "
        "values (:id, :system, :none, :none, :none, 1, 0, 1, 2, 3)",
        id=attempt + step[:4],
        system=system.id,
        none=b"",
    )
    now = api.clock()
    for number in range(80):
        seconds = 60 if number < 60 else 6
        await api.change(
            "insert into ad_passes (callback_hash, attempt_id, step_id, number, left_at, returned_at, done_at) "
            "values (:hash, :attempt, :step, 1, :left_at, :back_at, :back_at)",
            hash=f"{step}{number}".encode(),
            attempt=attempt + step[:4],
            step=step,
            left_at=now - 100_000 + number * 1000 - seconds * 1000,
            back_at=now - 100_000 + number * 1000,
        )
    for address in ("192.0.2.77", "198.51.100.77"):
        async with visitor(api, address) as one:
            await one.begin(system)
            assert key_on(await one.pass_custom(system, str(system.secrets[0]), seconds=6)) is not None
    events = done(await me.get(f"/projects/{project}/events"))["events"]
    hurried = [each for each in events if each["kind"] == "ad_step.hurried"]
    assert [each["changes"] for each in hurried] == [{"median_seconds": [60.0, 6.0]}], "once, however many follow"
    shown = done(await me.get(f"/ads/systems/{system.id}"))
    assert shown["keys_today"] == 2
    (statistics,) = shown["statistics"]
    assert (statistics["begun"], statistics["done"], statistics["hurried_at"] is not None) == (82, 82, True)


async def test_another_way_through_a_step_is_no_further_step(
    api: Api, me: Developer, project: str, browser: Visitor
) -> None:
    system = await new_system(me, project, "custom")
    await new_step(me, system, "custom", number=1)
    assert "One step." in (await browser.get(f"/get/{system.slug}")).text
    await browser.begin(system)
    assert key_on(await browser.pass_custom(system, str(system.secrets[0]))) is not None
