"""Ad systems by the API: made, changed, shown without secrets, and refused as documented."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.licensing.checkpoints import MOST_WAYS
from moonlatch.operations.ad_systems import MAX_SYSTEMS_PER_PROJECT
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "secret-of-the-seller"
LINKVERTISE = {"provider": "linkvertise", "settings": {"publisher_id": "12345", "token": TOKEN}}
GATE = {"provider": "custom", "settings": {"url": "https://gate.example/in"}}
LOOTLABS = {"provider": "lootlabs", "settings": {"link": "https://loot-link.com/s?abc"}}


async def made(me: Developer, project: str, **fields: Any) -> Any:
    return done(await me.post("/ads/systems/new", {"project_id": project, "name": "Free keys", **fields}))


async def step_of(me: Developer, system: str, body: Any = GATE, **fields: Any) -> Any:
    return done(await me.post(f"/ads/systems/{system}/steps", {**body, **fields}))


async def test_providers_say_what_a_step_needs(me: Developer) -> None:
    providers = done(await me.get("/ads/providers"))["providers"]
    assert list(providers) == ["linkvertise", "lootlabs", "workink", "custom"]
    assert [(each["id"], each["type"], each["secret"], each["needed"]) for each in providers["linkvertise"]] == [
        ("publisher_id", "text", False, True),
        ("token", "text", True, True),
    ]
    assert {each["id"]: each["type"] for each in providers["lootlabs"]} == {
        "link": "text",
        "token": "text",
        "callback": "info",
        "postback": "info",
    }


async def test_a_system_is_made_with_the_defaults_that_are_documented(me: Developer, project: str) -> None:
    reply = await made(me, project)
    system = reply["system"]
    assert reply["system_id"] == system["id"]
    assert system["url"].endswith(f"/get/{system['slug']}")
    assert {
        name: system[name] for name in ("key_duration", "max_keys", "allow_extending", "max_duration", "enabled")
    } == {
        "key_duration": 86_400_000,
        "max_keys": 1,
        "allow_extending": True,
        "max_duration": 604_800_000,
        "enabled": True,
    }
    assert system in done(await me.get("/ads/systems"))["systems"]
    shown = done(await me.get(f"/ads/systems/{system['id']}"))
    assert (shown["system"], shown["steps"], shown["statistics"], shown["keys_today"]) == (system, [], [], 0)


async def test_a_system_is_edited_and_removed(me: Developer, project: str) -> None:
    system = (await made(me, project))["system"]
    path = f"/ads/systems/{system['id']}"
    etag = (await me.get(path)).headers["etag"]
    changes = {"name": "New", "max_keys": 3, "enabled": False, "key_duration": 3_600_000.0}
    edited = done(await me.post(f"{path}/edit", changes, headers={"If-Match": etag}))["system"]
    assert edited == {**system, **changes}
    assert (await me.post(f"{path}/edit", {"name": "x"}, headers={"If-Match": etag})).status_code == 412
    done(await me.post(f"{path}/remove", {}))
    assert (await me.get(path)).status_code == 404
    kinds = [each["kind"] for each in done(await me.get(f"/projects/{project}/events"))["events"]]
    assert kinds[:3] == ["ad_system.removed", "ad_system.edited", "ad_system.created"]


async def test_a_dry_run_changes_nothing(me: Developer, project: str) -> None:
    before = done(await me.get("/ads/systems"))["systems"]
    reply = await me.post("/ads/systems/new?dry_run=true", {"project_id": project, "name": "Free keys"})
    assert done(reply)["dry_run"] is True
    assert done(await me.get("/ads/systems"))["systems"] == before


async def test_a_call_that_is_sent_again_makes_one_system(me: Developer, project: str) -> None:
    body = {"project_id": project, "name": "Free keys"}
    replies = [await me.post("/ads/systems/new", body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    assert len(done(await me.get("/ads/systems"))["systems"]) == 1


async def test_what_is_refused_is_refused_as_documented(api: Api, me: Developer, project: str) -> None:
    new = {"project_id": project, "name": "Free keys"}
    refused(await me.post("/ads/systems/new", {**new, "project_id": NOBODY}), 404, 2, "cannot use this project")
    stranger = await (await api.developer()).new_project()
    refused(await me.post("/ads/systems/new", {**new, "project_id": stranger}), 404, 2, "cannot use this project")
    system = (await made(me, project, slug="my-free-keys"))["system_id"]
    assert invalid(await me.post("/ads/systems/new", {**new, "slug": "my-free-keys"})) == {
        "slug": ["is taken by another page of this server"]
    }
    for slug in ("abc", "-abcd", "Abcd", "for", "a/bc", "abcd-"):
        assert "slug" in invalid(await me.post("/ads/systems/new", {**new, "slug": slug}))
    short = {"key_duration": 86_400_000, "max_duration": 3_600_000}
    assert "max_duration" in invalid(await me.post("/ads/systems/new", {**new, **short}))
    refused(await me.post(f"/ads/systems/{system}/edit", {}), 400, 1, "cannot edit nothing")
    for _ in range(MAX_SYSTEMS_PER_PROJECT - 1):
        await made(me, project)
    refused(await me.post("/ads/systems/new", new), 403, 0, "max systems reached")
    step = (await step_of(me, system))["step"]["id"]
    refused(await me.post(f"/ads/steps/{step}/edit", {}), 400, 1, "cannot edit nothing")
    for _ in range(MOST_WAYS - 1):
        await step_of(me, system, number=1)
    refused(await me.post(f"/ads/systems/{system}/steps", GATE), 403, 1, "max steps reached")
    await api.expire(me)
    refused(await me.post("/ads/systems/new", new), 403, 1, "account expired")
    refused(await me.post(f"/ads/systems/{system}/edit", {"name": "x"}), 403, 0, "account expired")
    refused(await me.post(f"/ads/systems/{system}/steps", GATE), 403, 0, "account expired")
    refused(await me.post(f"/ads/steps/{step}/edit", {"minimum_seconds": 1}), 403, 0, "account expired")


async def test_a_step_shows_which_secrets_are_set_and_never_what_they_are(
    api: Api, me: Developer, project: str
) -> None:
    system = (await made(me, project))["system_id"]
    step = (await step_of(me, system, LINKVERTISE))["step"]
    assert (step["settings"], step["secrets"], step["callback"]) == ({"publisher_id": "12345"}, ["token"], None)
    listed, events = await me.get(f"/ads/systems/{system}"), await me.get(f"/projects/{project}/events")
    assert TOKEN not in listed.text + events.text
    kept = await api.value("select secrets from ad_steps where id = :id", id=step["id"])
    assert TOKEN.encode() not in bytes(kept)
    edited = done(await me.post(f"/ads/steps/{step['id']}/edit", {"settings": {"publisher_id": "777"}}))["step"]
    assert (edited["settings"], edited["secrets"]) == ({"publisher_id": "777"}, ["token"]), "the token stays"
    gone = invalid(await me.post(f"/ads/steps/{step['id']}/edit", {"settings": {"token": ""}}))
    assert gone["settings.token"][0].startswith("is missing")


async def test_what_a_provider_has_to_know_is_shown_to_who_may_change_it(me: Developer, project: str) -> None:
    system = (await made(me, project))["system_id"]
    lootlabs, gate = await step_of(me, system, LOOTLABS), await step_of(me, system)
    assert "/postback/" in lootlabs["postback"]
    assert lootlabs["step"]["callback"].endswith(f"/verify/{lootlabs['step']['id']}")
    assert (lootlabs["signing_secret"], gate["postback"], len(gate["signing_secret"])) == (None, None, 32)
    for made_step in (lootlabs, gate):
        assert done(await me.get(f"/ads/steps/{made_step['step']['id']}/secrets")) == made_step
    shown = await me.get(f"/ads/systems/{system}")
    assert gate["signing_secret"] not in shown.text
    assert lootlabs["postback"] not in shown.text


async def test_steps_stand_in_order_and_move_up(me: Developer, project: str) -> None:
    system = (await made(me, project))["system_id"]
    first, second, third = [(await step_of(me, system))["step"]["id"] for _ in range(3)]
    also_second = (await step_of(me, system, number=2))["step"]["id"]
    assert "number" in invalid(await me.post(f"/ads/systems/{system}/steps", {**GATE, "number": 5}))

    async def order() -> list[tuple[str, int]]:
        return [(each["id"], each["number"]) for each in done(await me.get(f"/ads/systems/{system}"))["steps"]]

    assert await order() == [(first, 1), (second, 2), (also_second, 2), (third, 3)]
    done(await me.post(f"/ads/steps/{second}/remove", {}))
    assert await order() == [(first, 1), (also_second, 2), (third, 3)]
    done(await me.post(f"/ads/steps/{first}/remove", {}))
    assert await order() == [(also_second, 1), (third, 2)]


@pytest.mark.parametrize(
    ("provider", "settings", "field"),
    [
        ("linkvertise", {"publisher_id": "x", "token": TOKEN}, "settings.publisher_id"),
        ("linkvertise", {"publisher_id": "1"}, "settings.token"),
        ("workink", {"link": "http://work.ink/a", "link_id": "1"}, "settings.link"),
        ("workink", {"link": "https:///a/path", "link_id": "1"}, "settings.link"),
        ("custom", {"url": "https://gate.example/\n"}, "settings.url"),
        ("custom", {"url": "https://[gate/"}, "settings.url"),
        ("custom", {"url": "https://gate.example/", "token": "x"}, "settings.token"),
        ("adfly", {}, "provider"),
    ],
)
async def test_settings_that_a_provider_does_not_take_are_named(
    me: Developer, project: str, provider: str, settings: dict[str, str], field: str
) -> None:
    system = (await made(me, project))["system_id"]
    reply = await me.post(f"/ads/systems/{system}/steps", {"provider": provider, "settings": settings})
    assert list(invalid(reply)) == [field]


async def test_a_token_of_one_project_sees_that_projects_systems_only(api: Api, me: Developer, project: str) -> None:
    system = (await made(me, project))["system_id"]
    other = await me.new_project()
    await made(me, other)
    token = await api.token(me.account, projects=(other,))
    limited = Developer(me.account, token, me.http)
    assert [each["project_id"] for each in done(await limited.get("/ads/systems"))["systems"]] == [other]
    assert (await limited.get(f"/ads/systems/{system}")).status_code == 404
    refused(
        await limited.post("/ads/systems/new", {"project_id": project, "name": "x"}), 404, 2, "cannot use this project"
    )
