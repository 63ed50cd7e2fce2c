"""Each provider as it is documented, against fakes of them; what they do when they are not well, and what is tried at them."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from moonlatch.checkpoints import text
from moonlatch.licensing.checkpoints import DOWN_MS
from moonlatch.operations.visits import Away
from support.ad_providers import LINK_ID, LOOTLABS_TOKEN, AdProviders
from support.management import Api, Developer, done
from support.visitor import (
    ELSEWHERE,
    HERE,
    NEARBY,
    SETTINGS,
    System,
    Visitor,
    key_on,
    new_step,
    new_system,
    told,
    visitor,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS = ["late", "500", "huge", "gone", "nonsense"]


async def away(api: Api, browser: Visitor, system: System, seconds: int = 30) -> str:
    """Begin, leave, and be gone for a while; gives where the provider would send the browser back to."""
    await browser.begin(system)
    place = await browser.go(system)
    api.clock.ahead_ms += seconds * 1000
    return place


def target_of(place: str) -> str:
    """What a tool reads out of a link of Linkvertise's."""
    return base64.b64decode(parse_qs(urlsplit(place).query)["r"][0]).decode()


async def postback(api: Api, system: System, callback: str, address: str = HERE, proof: str = "") -> int:
    where = str(system.postbacks[0])
    proof = proof or callback
    query = {"click_id": callback, "ip": address, "unique_id": proof}
    path = urlsplit(where).path
    return (await api.http.get(path, params=query)).status_code


# Linkvertise.


@pytest.mark.parametrize("speaks_json", [False, True])
async def test_linkvertise_vouches_by_a_hash(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, speaks_json: bool
) -> None:
    providers.speaks_json = speaks_json
    system = await new_system(me, project, "linkvertise")
    place = await away(api, browser, system)
    assert place.startswith("https://link-to.net/12345/")
    back = target_of(place)
    page = await browser.get(f"{back}?hash={providers.linkvertise_done()}")
    assert (told(page), key_on(page) is not None) == ("", True)


@pytest.mark.parametrize("given", ["", "?hash=", "?hash=" + "0" * 64, "?hash=short", "?hash=" + "%27" * 64])
async def test_who_jumps_to_linkvertises_target_gets_nothing(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, given: str
) -> None:
    system = await new_system(me, project, "linkvertise")
    back = target_of(await away(api, browser, system))
    page = await browser.get(back + given)
    assert (told(page), key_on(page)) == (text.AWAY[Away.NOT_PROVEN], None)


async def test_a_hash_that_linkvertise_believes_twice_counts_once(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    system = await new_system(me, project, "linkvertise", "linkvertise")
    given = providers.linkvertise_done()
    back = target_of(await away(api, browser, system))
    assert told(await browser.get(f"{back}?hash={given}")) == ""
    providers.hashes.add(given)
    back = target_of(await browser.go(system))
    api.clock.ahead_ms += 30_000
    assert told(await browser.get(f"{back}?hash={given}")) == text.AWAY[Away.PROOF_USED]


async def test_a_wrong_token_of_the_seller_gives_no_key_and_is_told(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    system = await new_system(me, project)
    await new_step(me, system, "linkvertise", {"publisher_id": "1", "token": "another-token"})
    back = target_of(await away(api, browser, system))
    page = await browser.get(f"{back}?hash={providers.linkvertise_done()}")
    assert (page.status_code, key_on(page)) == (503, None)
    events = done(await me.get(f"/projects/{project}/events"))["events"]
    assert events[0]["kind"] == "ad_step.down"


# Work.ink.


async def test_workink_vouches_by_a_token(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    system = await new_system(me, project, "workink")
    assert await away(api, browser, system) == SETTINGS["workink"]["link"]
    page = await browser.get(f"/verify/{system.steps[0]}?token={providers.workink_done(NEARBY)}")
    assert (told(page), key_on(page) is not None) == ("", True)


@pytest.mark.parametrize(
    "trick", ["no token", "made up", "another link's", "another address's", "no address", "a path"]
)
async def test_a_token_of_workinks_that_is_not_this_visitors_is_refused(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, trick: str
) -> None:
    system = await new_system(me, project, "workink")
    await away(api, browser, system)
    token = {
        "no token": "",
        "made up": "0" * 36,
        "another link's": providers.workink_done(HERE, LINK_ID + 1),
        "another address's": providers.workink_done(ELSEWHERE),
        "no address": providers.workink_done(""),
        "a path": "..%2F..%2Fadmin",
    }[trick]
    page = await browser.get(f"/verify/{system.steps[0]}?token={token}")
    assert (told(page), key_on(page)) == (text.AWAY[Away.NOT_PROVEN], None)


async def test_a_token_that_workink_forgets_to_delete_counts_once(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    providers.deletes = False
    system = await new_system(me, project, "workink", device_daily_keys=9, max_keys=9)
    token = providers.workink_done(HERE)
    await away(api, browser, system)
    assert key_on(await browser.get(f"/verify/{system.steps[0]}?token={token}")) is not None
    async with visitor(api, NEARBY) as other:
        await away(api, other, system)
        page = await other.get(f"/verify/{system.steps[0]}?token={token}")
        assert (told(page), key_on(page)) == (text.AWAY[Away.PROOF_USED], None)


async def test_a_proof_in_another_spelling_counts_once(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    """Databases that take capitals for small letters are common, and so are readers of ids that need no hyphens."""
    providers.deletes, providers.reads_loosely = False, True
    hashed, token = providers.linkvertise_done(), providers.workink_done(HERE)
    others = {
        "linkvertise": [f"hash={hashed}", f"hash={hashed.upper()}"],
        "workink": [f"token={each}" for each in (token, token.upper(), token.replace("-", ""))],
    }
    for provider, spellings in others.items():
        said = []
        for spelling in spellings:
            providers.hashes.add(hashed)
            system = await new_system(me, project, provider, provider)
            place = await away(api, browser, system)
            back = target_of(place) if provider == "linkvertise" else f"/verify/{system.steps[0]}"
            said.append(told(await browser.get(f"{back}?{spelling}")))
        assert said == ["", *[text.AWAY[Away.PROOF_USED]] * (len(spellings) - 1)]


# Lootlabs.


def callback_of(place: str) -> str:
    return parse_qs(urlsplit(place).query)["puid"][0]


@pytest.mark.parametrize("first", ["postback", "return"])
async def test_lootlabs_vouches_by_a_postback_before_or_after_the_return(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, first: str
) -> None:
    system = await new_system(me, project, "lootlabs")
    place = await away(api, browser, system)
    assert place.startswith(SETTINGS["lootlabs"]["link"] + "&puid=")
    if first == "postback":
        assert await postback(api, system, callback_of(place)) == 200
        assert key_on(await browser.get(f"/get/{system.slug}")) is None, "the word alone is worth nothing"
        page = await browser.get(f"/verify/{system.steps[0]}")
    else:
        waiting = await browser.get(f"/verify/{system.steps[0]}")
        assert text.WAITING.format(provider="Lootlabs") in waiting.text
        assert '<meta http-equiv="refresh" content="5">' in waiting.text
        assert key_on(waiting) is None
        assert await postback(api, system, callback_of(place)) == 200
        page = await browser.get(f"/get/{system.slug}")
    assert key_on(page) is not None


@pytest.mark.parametrize("trick", ["elsewhere", "no address", "made up", "twice", "no proof", "too fast"])
async def test_a_postback_that_does_not_fit_is_not_taken(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, trick: str
) -> None:
    system = await new_system(me, project, "lootlabs", "lootlabs")
    place = await away(api, browser, system, seconds=1 if trick == "too fast" else 30)
    callback = callback_of(place)
    if trick == "twice":
        assert await postback(api, system, callback, proof="one") == 200
        await browser.get(f"/verify/{system.steps[0]}")
        again = callback_of(await browser.go(system))
        status = (
            await api.http.get(
                urlsplit(str(system.postbacks[1])).path, params={"click_id": again, "ip": HERE, "unique_id": "one"}
            )
        ).status_code
        assert status == 409
        return
    if trick == "too fast":
        assert told(await browser.get(f"/verify/{system.steps[0]}")) == text.AWAY[Away.TOO_FAST]
        assert await postback(api, system, callback) == 409
        return
    status = {
        "elsewhere": await postback(api, system, callback, ELSEWHERE) if trick == "elsewhere" else 0,
        "no address": await postback(api, system, callback, "x") if trick == "no address" else 0,
        "made up": await postback(api, system, "A" * 32) if trick == "made up" else 0,
        "no proof": (await api.http.get(urlsplit(str(system.postbacks[0])).path)).status_code,
    }[trick]
    assert status == (400 if trick == "no proof" else 409)
    page = await browser.get(f"/verify/{system.steps[0]}")
    assert '<li class="done">' not in page.text


async def test_nobody_else_finds_a_postback(api: Api, me: Developer, project: str) -> None:
    system = await new_system(me, project, "lootlabs", "workink")
    for path in ("/postback/", "/postback/" + "A" * 32, f"/postback/{system.steps[0]}"):
        assert (await api.http.get(path)).status_code == 404


async def test_lootlabs_destination_is_hidden_with_its_token(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    system = await new_system(me, project)
    await new_step(me, system, "lootlabs", {**SETTINGS["lootlabs"], "token": LOOTLABS_TOKEN})
    place = await away(api, browser, system)
    hidden = parse_qs(urlsplit(place).query)["data"][0]
    back = base64.urlsafe_b64decode(hidden).decode()[::-1]
    assert back == f"{api.url}/verify/{callback_of(place)}", "and leads to an address that is good once"
    assert await postback(api, system, callback_of(place)) == 200
    assert key_on(await browser.get(back)) is not None


# What ails them.


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("provider", ["linkvertise", "workink"])
async def test_a_provider_that_is_not_well_gives_no_key_and_takes_nothing_away(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, provider: str, fault: str
) -> None:
    system = await new_system(me, project, "custom", provider)
    await browser.begin(system)
    await browser.pass_custom(system, str(system.secrets[0]))
    place = await browser.go(system)
    api.clock.ahead_ms += 30_000
    proof = (
        f"hash={providers.linkvertise_done()}" if provider == "linkvertise" else f"token={providers.workink_done(HERE)}"
    )
    back = f"{target_of(place) if provider == 'linkvertise' else '/verify/' + system.steps[1]}?{proof}"
    kept = set(providers.hashes), dict(providers.tokens)
    providers.fault = fault
    page = await browser.get(back)
    title = {"linkvertise": "Linkvertise", "workink": "Work.ink"}[provider]
    assert (page.status_code, told(page), key_on(page)) == (503, text.PROVIDER_DOWN.format(provider=title), None)
    assert '<li class="done">' in page.text, "the first step is still done"
    assert (await browser.http.get(f"/get/{system.slug}/go")).status_code == 403
    assert told(await browser.get(f"/get/{system.slug}/go")) == text.AWAY[Away.NO_WAY]
    providers.fault = ""
    providers.hashes, providers.tokens = kept
    assert key_on(await browser.get(back)) is not None, "the callback was given back"


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("provider", ["linkvertise", "workink"])
async def test_no_visitor_makes_a_provider_look_down_by_what_they_bring(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, provider: str, status: int
) -> None:
    system = await new_system(me, project, provider)
    place = await away(api, browser, system)
    providers.no_status = status
    made_up = f"hash={'0' * 64}" if provider == "linkvertise" else "token=--------"
    back = target_of(place) if provider == "linkvertise" else f"/verify/{system.steps[0]}"
    page = await browser.get(f"{back}?{made_up}")
    assert (page.status_code, told(page), key_on(page)) == (403, text.AWAY[Away.NOT_PROVEN], None)
    assert await browser.go(system), "others are sent there as before"


async def test_visitors_for_whom_there_is_no_place_make_no_provider_look_down(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await new_system(me, project, "workink")
    await away(api, browser, system)
    back = f"/verify/{system.steps[0]}?token={providers.workink_done(HERE)}"
    with monkeypatch.context() as crowded:
        crowded.setattr(api.providers, "_most", 0)
        page = await browser.get(back)
        assert (page.status_code, told(page), providers.asked) == (503, text.UNAVAILABLE, [])
    assert key_on(await browser.get(back)) is not None, "the callback was given back"


async def test_visitors_are_sent_the_next_way_while_one_is_down(
    api: Api, me: Developer, project: str, browser: Visitor, providers: AdProviders
) -> None:
    system = await new_system(me, project)
    await new_step(me, system, "lootlabs", {**SETTINGS["lootlabs"], "token": LOOTLABS_TOKEN})
    await new_step(me, system, "custom", number=1)
    await browser.begin(system)
    providers.fault = "500"
    assert (await browser.go(system)).startswith("https://gate.example/in?lang=en&callback=")
    asked = len(providers.asked)
    await browser.go(system)
    assert len(providers.asked) == asked, "one that is down is left alone"
    providers.fault = ""
    api.clock.ahead_ms += DOWN_MS
    assert "data=" in await browser.go(system)
    down = [
        each for each in done(await me.get(f"/projects/{project}/events"))["events"] if each["kind"] == "ad_step.down"
    ]
    assert len(down) == 1
