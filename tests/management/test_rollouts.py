"""Rollouts: whose starts are given the build, what stops it, and what else takes its place."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from moonlatch.clock import MINUTE_MS
from moonlatch.jobs.releases import release_due
from moonlatch.licensing.rollout import place_of
from moonlatch.operations.changing import perform
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.rollouts import advance
from support import rows
from support.client import Client, Refused
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF = {"basis_points": 5_000, "minutes": 60}
ALL = {"basis_points": 10_000, "minutes": 60}
ALREADY_OPEN = "another rollout is open"


async def running(api: Api, project: str, *, builds: int = 4, current: int = 2, **columns: Any) -> Client:
    """A script with so many builds, whose payloads are their numbers."""
    client = await api.running_script(project, build=current, payload=b"1", **columns)
    for number in range(2, builds + 1):
        await rows.add_build(api.database, client.script, number, str(number).encode())
    return client


async def started(client: Client, key: str | None = None, **request: Any) -> int:
    """The build that a start is given."""
    return int((await client.execute(**({} if key is None else {"key": key}), **request)).payload)


async def start(me: Developer, client: Client, build: int = 3, *steps: Any) -> Any:
    body = {"build": build, "steps": list(steps) or [HALF, ALL]}
    return done(await me.post(f"/scripts/{client.script}/rollouts", body))["rollout"]


async def tell(me: Developer, rollout: Any, verb: str) -> Any:
    body = {"confirm": True} if verb == "resume" else {}
    return done(await me.post(f"/rollouts/{rollout['id']}/{verb}", body))["rollout"]


async def rollout_of(me: Developer, rollout: Any) -> Any:
    return done(await me.get(f"/rollouts/{rollout['id']}"))["rollout"]


async def current(api: Api, client: Client) -> int:
    return int(await api.value("select build from scripts where id = :id", id=client.script))


async def last_event(me: Developer) -> tuple[str, dict[str, Any]]:
    event = done(await me.get("/events"))["events"][0]
    return event["kind"], event["changes"]


async def keys_on_both_sides(api: Api, me: Developer, project: str, rollout: Any) -> tuple[str, str]:
    """A key that a half is given the build with, and one that it is not."""
    salt = await api.value("select salt from rollouts where id = :id", id=rollout["id"])
    found: dict[bool, str] = {}
    while len(found) < 2:
        user = done(await me.post(f"/projects/{project}/users", {}))["users"][0]
        found[place_of(salt, user["id"].encode()) < HALF["basis_points"]] = user["key"]
    return found[True], found[False]


async def test_a_part_of_the_keys_is_given_the_build_then_all_are_and_then_it_is_current(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project)
    rollout = await start(me, client)
    shown = {"build": 3, "state": "rolling", "step": 0, "basis_points": 5_000, "ended_at": None, "steps": [HALF, ALL]}
    assert rollout | shown == rollout
    assert rollout["next_at"] == rollout["step_since"] + 60 * MINUTE_MS
    assert await last_event(me) == (
        "script.rollout_started",
        {"rollout": [None, rollout["id"]], "build": [None, 3], "basis_points": [0, 5_000]},
    )
    first, second = await keys_on_both_sides(api, me, project, rollout)
    await release_due(api.world)
    assert [await started(client, each) for each in (first, second)] == [3, 2]

    api.clock.ahead_ms += 60 * MINUTE_MS
    await release_due(api.world)
    assert [await started(client, each) for each in (first, second)] == [3, 3]
    assert await current(api, client) == 2
    kind, changes = await last_event(me)
    assert (kind, changes["basis_points"]) == ("script.rollout_advanced", [5_000, 10_000])

    api.clock.ahead_ms += 60 * MINUTE_MS
    await release_due(api.world)
    assert await current(api, client) == 3
    kind, changes = await last_event(me)
    assert (kind, changes["build"], changes["state"]) == ("script.rollout_finished", [2, 3], ["rolling", "finished"])
    over = await rollout_of(me, rollout)
    assert (over["state"], over["basis_points"], over["next_at"]) == ("finished", 0, None)
    assert over["ended_at"] >= over["step_since"] + 60 * MINUTE_MS
    assert await api.value("select plan from scripts where id = :id", id=client.script) is None


async def test_a_last_step_of_less_than_all_stays_until_somebody_finishes_it(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project)
    rollout = await start(me, client, 3, HALF)
    assert rollout["next_at"] is None
    api.clock.ahead_ms += 600 * MINUTE_MS
    await release_due(api.world)
    assert await current(api, client) == 2
    assert (await tell(me, rollout, "finish"))["state"] == "finished"
    assert await current(api, client) == 3


async def test_a_device_takes_part_where_there_is_no_key_and_nobody_does_without_either(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project, free_for_all=True)
    await start(me, client, 3, HALF)
    given = [await started(client, fingerprint=f"device {number}") for number in range(40)]
    assert 5 < given.count(3) < 35
    assert [await started(client, fingerprint=f"device {number}") for number in range(40)] == given
    assert [await started(client, fingerprint=None) for _ in range(3)] == [2, 2, 2]


async def test_pin_and_channel_go_before_a_rollout(api: Api, me: Developer, project: str, key: str) -> None:
    client = await running(api, project)
    await start(me, client, 3, ALL)
    done(await me.post(f"/scripts/{client.script}/channels", {"name": "beta", "build": 4}))
    for how, expected in [
        ({"channel": "beta"}, 4),
        ({"channel": "beta", "build": 1}, 1),
        ({"channel": "", "build": ""}, 3),
        ({"channel": "stable"}, 2),
    ]:
        done(await me.post(f"/users/{key}/pin", {"script": client.script, **how}))
        assert await started(client, key) == expected


async def test_halting_needs_nothing_and_resuming_needs_to_be_confirmed(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project)
    rollout = await start(me, client, 3, {"basis_points": 9_999, "minutes": 30}, ALL)
    path = f"/rollouts/{rollout['id']}"
    paused = await tell(me, rollout, "pause")
    assert (paused["state"], paused["basis_points"], paused["next_at"]) == ("paused", 9_999, None)
    assert await last_event(me) == (
        "script.rollout_paused",
        {"rollout": [None, rollout["id"]], "build": [None, 3], "state": ["rolling", "paused"]},
    )
    api.clock.ahead_ms += 31 * MINUTE_MS
    await release_due(api.world)
    assert await started(client, key) == 3, "whoever is given it stays so"
    refused(await me.post(f"{path}/pause"), 409, 1, "rollout does not stand so", state="paused")
    halted = await tell(me, rollout, "halt")
    assert (halted["state"], halted["basis_points"], halted["ended_at"]) == ("halted", 0, None)
    assert (await last_event(me))[0] == "script.rollout_halted"
    assert await started(client, key) == 2
    for verb in ("halt", "pause", "finish"):
        refused(await me.post(f"{path}/{verb}"), 409, 1, "rollout does not stand so", state="halted")
    for body in ({}, {"confirm": False}, {"confirm": "yes"}):
        assert set(invalid(await me.post(f"{path}/resume", body))) == {"confirm"}
    resumed = await tell(me, rollout, "resume")
    assert (resumed["state"], resumed["step"]) == ("rolling", 0)
    assert resumed["next_at"] == resumed["step_since"] + 30 * MINUTE_MS
    assert resumed["step_since"] >= rollout["step_since"] + 31 * MINUTE_MS, "its time begins anew"
    assert (await last_event(me))[0] == "script.rollout_resumed"
    assert await started(client, key) == 3
    reply = await me.post(f"{path}/resume", {"confirm": True})
    refused(reply, 409, 1, "rollout does not stand so", state="rolling")


async def test_kick_outdated_spares_who_is_not_given_the_build_and_stops_it_when_it_is_halted(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project, kick_outdated=True)
    before = await client.execute(key=key)
    rollout = await start(me, client, 3, {"basis_points": 9_999, "minutes": 0}, ALL)
    await before.beat()
    after = await client.execute(key=key)
    assert after.payload == b"3"
    await after.beat()
    await tell(me, rollout, "pause")
    await after.beat()
    await tell(me, rollout, "halt")
    await before.beat()
    with pytest.raises(Refused, match="OUTDATED"):
        await after.beat()
    await tell(me, rollout, "resume")
    again = await client.execute(key=key)
    await tell(me, rollout, "finish")
    await again.beat()
    with pytest.raises(Refused, match="OUTDATED"):
        await before.beat()


async def test_a_session_is_told_at_once_when_its_build_is_halted(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project, kick_outdated=True)
    rollout = await start(me, client, 3, ALL)
    wire = await api.session(client, key=key)
    await tell(me, rollout, "halt")
    assert await wire.stopped() == "OUTDATED"


@pytest.mark.parametrize(
    ("path", "body", "serving"),
    [
        ("rollback", {"build": 1}, 1),
        ("rollback", {"build": 3}, 3),
        ("builds/2/yank", {"successor": 1}, 1),
        ("builds/3/yank", {}, 2),
        ("update", {"script": "print(5)"}, 5),
    ],
)
async def test_whatever_else_becomes_current_takes_the_place_of_a_rollout(
    api: Api, me: Developer, project: str, path: str, body: Any, serving: int
) -> None:
    client = await running(api, project)
    rollout = await start(me, client)
    done(await me.post(f"/scripts/{client.script}/{path}", body))
    assert await current(api, client) == serving
    over = await rollout_of(me, rollout)
    assert over["state"] == ("finished" if serving == 3 else "superseded")
    assert over["ended_at"] is not None
    kinds = [event["kind"] for event in done(await me.get("/events"))["events"]]
    assert f"script.rollout_{over['state']}" in kinds
    assert await api.value("select plan from scripts where id = :id", id=client.script) is None
    for verb in ("halt", "finish", "pause"):
        refused(
            await me.post(f"/rollouts/{rollout['id']}/{verb}"), 409, 1, "rollout does not stand so", state=over["state"]
        )


@pytest.mark.parametrize(("path", "body"), [("builds/4/yank", {}), ("update?channel=beta", {"script": "print(5)"})])
async def test_what_concerns_other_builds_leaves_a_rollout(
    api: Api, me: Developer, project: str, path: str, body: Any
) -> None:
    client = await running(api, project)
    rollout = await start(me, client)
    done(await me.post(f"/scripts/{client.script}/{path}", body))
    assert await rollout_of(me, rollout) == rollout


async def test_a_script_has_one_rollout_at_a_time_and_one_that_is_halted_makes_room(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project)
    path, first = f"/scripts/{client.script}/rollouts", await start(me, client)
    body = {"build": 4, "steps": [HALF]}
    refused(await me.post(path, body), 409, 4, ALREADY_OPEN, rollout=first["id"])
    update = {"script": "print(5)", "steps": [HALF]}
    refused(await me.post(f"/scripts/{client.script}/update", update), 409, 9, ALREADY_OPEN, rollout=first["id"])
    await tell(me, first, "halt")
    second = done(await me.post(path, body))["rollout"]
    assert (await rollout_of(me, first))["state"] == "superseded"
    listed = done(await me.get(path))["rollouts"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]


async def test_an_update_can_begin_a_rollout(api: Api, me: Developer, script: str) -> None:
    path, steps = f"/scripts/{script}/update", [{"basis_points": 100, "minutes": 5}, ALL]
    refused(await me.post(path, {"script": "print(0)", "steps": steps}), 409, 7, "script update required")
    assert done(await me.post(path, {"script": "print(1)"}))["rollout"] is None
    reply = done(await me.post(path, {"script": "print(2)", "steps": steps}))
    assert reply["build"] == 2
    rollout = done(await me.get(f"/rollouts/{reply['rollout']}"))["rollout"]
    assert (rollout["build"], rollout["basis_points"], rollout["steps"]) == (2, 100, steps)
    assert (await api.value("select build from scripts where id = :id", id=script)) == 1
    on_a_channel = await me.post(f"{path}?channel=beta", {"script": "print(3)", "steps": steps})
    assert set(invalid(on_a_channel)) == {"steps"}


async def test_a_dry_run_begins_and_halts_nothing(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project)
    path = f"/scripts/{client.script}/rollouts"
    tried = done(await me.post(f"{path}?dry_run=true", {"build": 3, "steps": [HALF]}))
    assert (tried["dry_run"], tried["rollout"]["state"]) == (True, "rolling")
    assert done(await me.get(path))["rollouts"] == []
    rollout = await start(me, client)
    assert done(await me.post(f"/rollouts/{rollout['id']}/halt?dry_run=true"))["rollout"]["state"] == "halted"
    assert await rollout_of(me, rollout) == rollout


async def test_a_rollout_is_started_once_per_idempotency_key_and_halted_as_it_was_read(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project)
    path, body = f"/scripts/{client.script}/rollouts", {"build": 3, "steps": [HALF]}
    first, again = [await me.post(path, body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert done(first) == done(again)
    rollout = done(first)["rollout"]
    read = (await me.get(f"/rollouts/{rollout['id']}")).headers["etag"]
    await tell(me, rollout, "pause")
    stale = await me.post(f"/rollouts/{rollout['id']}/halt", headers={"If-Match": read})
    assert stale.status_code == 412
    fresh = (await me.get(f"/rollouts/{rollout['id']}")).headers["etag"]
    done(await me.post(f"/rollouts/{rollout['id']}/halt", headers={"If-Match": fresh}))


async def test_what_cannot_be_rolled_out_is_refused(api: Api, me: Developer, project: str, script: str) -> None:
    client = await running(api, project)
    path = f"/scripts/{client.script}/rollouts"
    done(await me.post(f"/scripts/{client.script}/builds/1/yank"))
    refused(await me.post(path, {"build": 9, "steps": [HALF]}), 409, 1, "build does not exist", build=9)
    refused(await me.post(path, {"build": 1, "steps": [HALF]}), 409, 2, "build was yanked", build=1)
    refused(await me.post(path, {"build": 2, "steps": [HALF]}), 409, 3, "build is current already")
    never = f"/scripts/{script}/rollouts"
    refused(await me.post(never, {"build": 1, "steps": [HALF]}), 409, 5, "script update required")
    for steps in ([], [HALF, HALF], [ALL, HALF], [HALF] * 21, None):
        assert set(invalid(await me.post(path, {"build": 3, "steps": steps}))) == {"steps"}
    for step in ({"basis_points": 0}, {"basis_points": 10_001}, {"basis_points": 1, "minutes": -1}, {"minutes": 1}):
        assert (await me.post(path, {"build": 3, "steps": [step]})).status_code == 400
    await api.expire(me)
    refused(await me.post(path, {"build": 3, "steps": [HALF]}), 403, 0, "account expired")


async def test_a_rollout_of_an_expired_account_stays_as_it_is_but_for_time(
    api: Api, me: Developer, project: str
) -> None:
    client = await running(api, project)
    rollout = await start(me, client)
    await api.expire(me)
    for verb in ("pause", "finish", "halt"):
        refused(await me.post(f"/rollouts/{rollout['id']}/{verb}"), 403, 0, "account expired")
    refused(await me.post(f"/rollouts/{rollout['id']}/resume", {"confirm": True}), 403, 0, "account expired")
    assert (await me.get(f"/rollouts/{NOBODY}")).status_code == 404


async def test_the_build_of_an_open_rollout_is_kept(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project, builds=14, current=14)
    rollout = await start(me, client, 1)
    await tell(me, rollout, "halt")
    done(await me.post(f"/scripts/{client.script}/update?channel=beta", {"script": "print(1)"}))
    kept = [build["number"] for build in done(await me.get(f"/scripts/{client.script}/builds"))["builds"]]
    assert kept == [*range(15, 3, -1), 1], "14 is current, 15 is beta's, ten others are history"
    done(await me.post(f"/scripts/{client.script}/update", {"script": "print(1)"}))
    assert 1 not in [build["number"] for build in done(await me.get(f"/scripts/{client.script}/builds"))["builds"]]


async def test_of_yanks_pins_halts_and_steps_at_once_each_is_whole(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project, builds=6, current=6)
    users = [await me.new_user(project) for _ in range(8)]
    steps = [{"basis_points": share, "minutes": 0} for share in range(500, 10_001, 500)]
    rollout = await start(me, client, 5, *steps)
    job = Actor(account_id=me.account.id, kind=ActorKind.JOB, id="releases", name="releases")
    calls: list[Any] = []
    for number in range(64):
        match number % 4:
            case 0:
                calls.append(perform(api.world, job, lambda change: advance(change, rollout["id"])))
            case 1:
                body = {"script": client.script, "build": 1 + number % 5}
                calls.append(me.post(f"/users/{users[number % 8]}/pin", body))
            case 2:
                calls.append(me.post(f"/rollouts/{rollout['id']}/{'halt' if number > 32 else 'pause'}"))
            case _:
                calls.append(me.post(f"/scripts/{client.script}/builds/{1 + number % 3}/yank"))
    ended = await asyncio.gather(*calls)
    assert {one.status_code for one in ended if hasattr(one, "status_code")} <= {200, 409}
    assert (await rollout_of(me, rollout))["state"] in ("halted", "superseded", "paused")
    states = [event["changes"]["state"] for event in await changes_of(me) if "state" in event["changes"]]
    assert all(before[0] == after[1] for before, after in itertools.pairwise(states)), "no change is lost"
    yanked = {build["number"] for build in await builds_of(me, client) if build["state"] == "yanked"}
    assert {await started(client, each) for each in users}.isdisjoint(yanked)


async def changes_of(me: Developer) -> list[Any]:
    """Events, newest first."""
    events = done(await me.get("/events?limit=200"))["events"]
    return [event for event in events if event["kind"].startswith("script.rollout_")]


async def builds_of(me: Developer, client: Client) -> Any:
    return done(await me.get(f"/scripts/{client.script}/builds"))["builds"]


async def test_a_step_that_many_processes_take_at_once_is_taken_once(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project)
    rollout = await start(me, client, 3, {"basis_points": 1, "minutes": 1}, HALF, ALL)
    api.clock.ahead_ms += MINUTE_MS
    await asyncio.gather(*(release_due(api.world) for _ in range(16)))
    assert (await rollout_of(me, rollout))["step"] == 1
    kinds = [event["kind"] for event in await changes_of(me)]
    assert kinds == ["script.rollout_advanced", "script.rollout_started"]
