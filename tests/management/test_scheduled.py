"""Builds that are published later: by an update, or one that is kept already."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import HOUR_MS
from moonlatch.jobs.releases import release_due
from support import rows
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = [{"basis_points": 500, "minutes": 60}, {"basis_points": 10_000, "minutes": 0}]


async def published(me: Developer, script: str, **fields: Any) -> Any:
    return done(await me.post(f"/scripts/{script}/update", {"script": "print(1)", **fields}))


async def scheduled(me: Developer, script: str) -> list[Any]:
    return done(await me.get(f"/scripts/{script}/scheduled"))["scheduled"]  # type: ignore[no-any-return]


async def current(api: Api, script: str) -> int:
    return int(await api.value("select build from scripts where id = :id", id=script))


async def rollout_state(api: Api, rollout: str) -> str:
    return str(await api.value("select state from rollouts where id = :id", id=rollout))


async def test_an_update_is_published_when_it_was_to_be_and_enables_the_script_then(
    api: Api, me: Developer, script: str
) -> None:
    at = api.clock() + HOUR_MS
    assert (await published(me, script, publish_at=at, label="2.0"))["build"] == 1
    assert await scheduled(me, script) == [{"build": 1, "channel": "stable", "steps": None, "publish_at": at}]
    event = done(await me.get("/events"))["events"][0]
    assert event["kind"] == "script.build_scheduled"
    assert event["changes"]["publish_at"] == [None, at]
    assert event["changes"]["label"] == [None, "2.0"]
    await release_due(api.world)
    assert (await me.script(script))["enabled"] is False
    api.clock.ahead_ms += HOUR_MS
    await release_due(api.world)
    assert (await me.script(script))["enabled"] is True
    assert (await current(api, script), await scheduled(me, script)) == (1, [])
    event = done(await me.get("/events"))["events"][0]
    assert (event["kind"], event["actor"]["kind"]) == ("script.published", "job")
    assert event["changes"] == {"build": [None, 1]}


async def test_an_update_in_the_meantime_is_told_what_will_take_its_place(api: Api, me: Developer, script: str) -> None:
    await published(me, script)
    await published(me, script, publish_at=api.clock() + HOUR_MS)
    (warning,) = (await published(me, script))["warnings"]
    assert warning.startswith("build 2 is scheduled to take its place at ")
    assert await current(api, script) == 3
    api.clock.ahead_ms += HOUR_MS
    await release_due(api.world)
    assert await current(api, script) == 2


async def test_a_channel_or_a_rollout_begins_when_it_was_to(api: Api, me: Developer, script: str) -> None:
    await published(me, script)
    at = api.clock() + HOUR_MS
    path = f"/scripts/{script}/update"
    done(await me.post(f"{path}?channel=beta", {"script": "print(2)", "publish_at": at}))
    await published(me, script, publish_at=at, steps=STEPS)
    api.clock.ahead_ms += HOUR_MS
    await release_due(api.world)
    channels = done(await me.get(f"/scripts/{script}/channels"))["channels"]
    assert channels == [{"name": "stable", "build": 1}, {"name": "beta", "build": 2}]
    (rollout,) = done(await me.get(f"/scripts/{script}/rollouts"))["rollouts"]
    assert (rollout["build"], rollout["state"], rollout["steps"]) == (3, "rolling", STEPS)
    first = done(await me.post(f"{path}?channel=beta", {"script": "print(2)"}))["build"]
    body = {"publish_at": api.clock() + HOUR_MS, "steps": STEPS}
    done(await me.post(f"/scripts/{script}/builds/{first}/schedule", body))
    api.clock.ahead_ms += HOUR_MS
    await release_due(api.world)
    rollouts = done(await me.get(f"/scripts/{script}/rollouts"))["rollouts"]
    assert [(one["build"], one["state"]) for one in rollouts] == [(first, "rolling"), (3, "superseded")]


async def test_what_was_begun_goes_on_when_the_account_has_expired(api: Api, me: Developer, script: str) -> None:
    other = await me.new_script(await me.new_project())
    for one in (script, other):
        await published(me, one)
    await published(me, script, publish_at=api.clock() + HOUR_MS)
    rollout = (await published(me, other, steps=STEPS))["rollout"]
    await api.expire(me)
    await release_due(api.world)
    assert await current(api, script) == 1
    api.clock.ahead_ms += HOUR_MS
    for _ in STEPS:
        await release_due(api.world)
    assert await current(api, script) == 2
    assert (await current(api, other), await rollout_state(api, rollout)) == (2, "finished")


async def test_a_kept_build_is_scheduled_moved_and_taken_off(api: Api, me: Developer, script: str) -> None:
    await published(me, script)
    await published(me, script)
    path, at = f"/scripts/{script}/builds/1", api.clock() + HOUR_MS
    done(await me.post(f"{path}/schedule", {"publish_at": at}))
    done(await me.post(f"{path}/schedule", {"publish_at": at + 1, "channel": "beta"}))
    assert await scheduled(me, script) == [{"build": 1, "channel": "beta", "steps": None, "publish_at": at + 1}]
    done(await me.post(f"{path}/unschedule"))
    assert done(await me.get("/events"))["events"][0]["kind"] == "script.build_unscheduled"
    refused(await me.post(f"{path}/unschedule"), 409, 1, "build is not scheduled")
    done(await me.post(f"{path}/schedule", {"publish_at": at}))
    done(await me.post(f"/scripts/{script}/rollback", {"build": 1}))
    assert await scheduled(me, script) == [], "it is served already"
    body = {"publish_at": at, "channel": "beta"}
    done(await me.post(f"/scripts/{script}/builds/2/schedule", body))
    done(await me.post(f"/scripts/{script}/rollback", {"build": 2}))
    assert [one["build"] for one in await scheduled(me, script)] == [2], "beta does not serve it yet"


async def test_a_build_that_was_yanked_is_published_at_no_time(api: Api, me: Developer, script: str) -> None:
    await published(me, script)
    await published(me, script, publish_at=api.clock() + HOUR_MS)
    done(await me.post(f"/scripts/{script}/builds/2/yank"))
    assert await scheduled(me, script) == []
    assert done(await me.get("/events"))["events"][0]["changes"]["scheduled"] == [2, None]


async def test_what_cannot_be_published_as_it_was_to_be_is_told_by_an_event(
    api: Api, me: Developer, script: str
) -> None:
    await published(me, script)
    at = api.clock() + HOUR_MS
    done(await me.post(f"/scripts/{script}/update?channel=late", {"script": "print(2)", "publish_at": at}))
    for number in range(20):
        done(await me.post(f"/scripts/{script}/channels", {"name": f"c{number}", "build": 1}))
    full = await me.post(f"/scripts/{script}/update?channel=more", {"script": "print(2)"})
    refused(full, 403, 8, "max channels reached")
    api.clock.ahead_ms += HOUR_MS
    await release_due(api.world)
    event = done(await me.get("/events"))["events"][0]
    assert event["kind"] == "script.build_unscheduled"
    assert event["changes"] == {"build": [2, None], "refused": [None, "max channels reached"]}
    assert await scheduled(me, script) == []


async def test_what_makes_no_schedule_is_refused(api: Api, me: Developer, script: str) -> None:
    path, at = f"/scripts/{script}/builds", api.clock() + HOUR_MS
    await published(me, script, publish_at=at)
    steps = {"publish_at": at, "steps": STEPS}
    refused(await me.post(f"{path}/1/schedule", steps), 409, 5, "script update required")
    done(await me.post(f"/scripts/{script}/rollback", {"build": 1}))
    await published(me, script)
    refused(await me.post(f"{path}/9/schedule", {"publish_at": at}), 409, 1, "build does not exist", build=9)
    refused(await me.post(f"{path}/2/schedule", {"publish_at": at}), 409, 3, "build is current already")
    assert set(invalid(await me.post(f"{path}/1/schedule", {"publish_at": 1_700_000_000_000}))) == {"publish_at"}
    assert set(invalid(await me.post(f"{path}/1/schedule", {**steps, "channel": "beta"}))) == {"steps"}
    done(await me.post(f"{path}/1/yank"))
    refused(await me.post(f"{path}/1/schedule", {"publish_at": at}), 409, 2, "build was yanked", build=1)
    for number in range(3, 24):
        await rows.add_build(api.database, script, number)
    for number in range(3, 23):
        done(await me.post(f"{path}/{number}/schedule", {"publish_at": at}))
    refused(await me.post(f"{path}/23/schedule", {"publish_at": at}), 403, 4, "max scheduled builds reached")
    later = await me.post(f"/scripts/{script}/update", {"script": "print(1)", "publish_at": at})
    refused(later, 403, 10, "max scheduled builds reached")
    await api.expire(me)
    refused(await me.post(f"{path}/3/schedule", {"publish_at": at}), 403, 0, "account expired")
    refused(await me.post(f"{path}/3/unschedule"), 403, 0, "account expired")
