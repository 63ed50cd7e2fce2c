"""What the server makes of copies' reports: grouped, bounded, counted once for each copy and key, and only where somebody wants to know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlatch.clock import HOUR_MS
from moonlatch.crypto import LINE_MAP
from moonlatch.licensing.crashes import (
    MOST_EXECUTORS,
    MOST_GROUPS,
    MOST_NEW_GROUPS,
    MOST_OF_INSTANCE,
    ErrorKind,
    ErrorState,
    scrubbed,
)
from moonlatch.licensing.rollout import RolloutState, Step
from moonlatch.obfuscator.line_map import FunctionLines, LineMap
from moonlatch.operations import errors, explaining
from moonlatch.operations.changing import perform
from moonlatch.storage import error_groups, line_maps, plans, rollout_starts, rollouts
from moonlatch.storage.error_groups import ErrorGroup
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.rollout_starts import RolloutStart, Settled
from moonlatch.storage.rollouts import Rollout
from support import rows
from support.client import Client, Copy, Refused
from support.client_server import World, running_world
from support.database import ENGINES
from support.services import Databases

BROKEN: dict[str, Any] = {"message": "attempt to index nil with 'Humanoid'", "kind": "main", "line": 57}


@pytest.fixture(params=ENGINES)
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    url = None if request.param == "sqlite" else request.getfixturevalue("migrated_postgres")
    async with running_world(tmp_path, database_url=url) as fresh:
        yield fresh


@pytest.fixture
def migrated_postgres(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


async def reporting(world: World, **columns: Any) -> Client:
    return await world.script(report_errors=True, **columns)


async def told(world: World, client: Client) -> list[ErrorGroup]:
    await world.app.reports.settle()
    return await error_groups.list_of_script(
        world.database, client.script, state=None, build=None, offset=0, limit=1000
    )


async def start(world: World, client: Client, **asked: Any) -> Copy:
    return await client.execute(**{"reports": True, "key": asked.pop("key", None) or await world.user(), **asked})


async def events(world: World) -> list[str]:
    found = await world.database.fetch_all(Query("test.found", "select kind from events order by id"))
    return [kind for (kind,) in found]


async def test_only_a_client_that_reports_of_a_script_whose_owner_wants_to_know_is_told_so(world: World) -> None:
    silent, wanted = await world.script(), await reporting(world)
    assert "reports" not in (await start(world, silent)).reply
    assert "reports" not in (await start(world, wanted, reports=False)).reply
    assert (await start(world, wanted)).reply["reports"] is True


async def test_errors_are_put_together_by_build_place_and_message(world: World) -> None:
    client = await reporting(world)
    key = await world.user()
    one, other = await start(world, client, key=key, executor="Delta"), await start(world, client, key=key)
    third = await start(world, client, executor="Delta")
    await one.report(error={**BROKEN, "message": "player 12345 left", "executor": "Delta"})
    await one.report(error={**BROKEN, "message": "player 12345 left", "executor": "Delta"})
    await other.report(error={**BROKEN, "message": "player 7 left", "executor": "Xeno"})
    await third.report(error={**BROKEN, "message": "player 8 left", "line": 58})
    groups = {group.place: group for group in await told(world, client)}
    assert {place: (group.instances, group.keys) for place, group in groups.items()} == {"57": (2, 1), "58": (1, 1)}
    assert groups["57"].executors == {"Delta": 1, "Xeno": 1}
    assert groups["57"].message == "player 12345 left"
    assert (groups["57"].build, groups["57"].kind, groups["57"].state) == (1, "main", "open")
    assert (groups["57"].line, groups["57"].function) == (None, None)
    assert [kind for kind in await events(world) if kind.startswith("error.")] == ["error.new"] * 2


async def test_one_customer_leaves_no_error_of_others_unheard(world: World) -> None:
    client = await reporting(world)
    key, made_up = await world.user(), 0
    with pytest.raises(Refused) as refused:
        for _ in range(MOST_NEW_GROUPS // MOST_OF_INSTANCE + 2):
            copy = await start(world, client, key=key)
            for _ in range(MOST_OF_INSTANCE):
                made_up += 1
                await copy.report(error={**BROKEN, "line": made_up})
    assert refused.value.code == "RATE_LIMITED"
    await (await start(world, client)).report(error={**BROKEN, "line": 1_000})
    groups = await told(world, client)
    assert "1000" in {group.place for group in groups}
    assert len(groups) == made_up < MOST_NEW_GROUPS // 2
    # How its starts went it may say all the same.
    await copy.report(health="error")


async def test_an_error_of_a_build_that_never_was_is_none(world: World) -> None:
    """A copy that says it runs by a lease names the build itself; one that is resolved would come back in it."""
    client = await reporting(world)
    for build in (1, 2, 2**53):
        copy = await start(world, client, build=build)
        await copy.report(error=BROKEN)
    assert [group.build for group in await told(world, client)] == [1]


async def test_invented_programs_push_no_real_one_away(world: World) -> None:
    client, copies = await reporting(world), 3
    for number in range(MOST_EXECUTORS * 2):
        copy = await start(world, client)
        await copy.report(error={**BROKEN, "executor": f"invented {number}"})
    await told(world, client)
    for _ in range(copies):
        copy = await start(world, client)
        await copy.report(error={**BROKEN, "executor": "Delta"})
        await told(world, client)
    (group,) = await told(world, client)
    assert group.executors["Delta"] == copies
    assert len(group.executors) == MOST_EXECUTORS + 1
    assert sum(group.executors.values()) == group.instances == MOST_EXECUTORS * 2 + copies


async def test_nothing_is_kept_of_who_it_was(world: World) -> None:
    client = await reporting(world)
    key = await world.user()
    copy = await start(world, client, key=key)
    await copy.report(error=BROKEN)
    await told(world, client)
    witnesses = await world.database.fetch_all(Query("test.found", "select witness from error_witnesses"))
    assert len(witnesses) == 2
    kept = b"".join(bytes(witness) for (witness,) in witnesses)
    user = await world.id_of(key)
    assert all(part.encode() not in kept for part in (key, user, copy.instance))
    assert all(len(witness) == 12 for (witness,) in witnesses)


async def test_a_key_in_an_error_is_kept_nowhere(world: World) -> None:
    client = await reporting(world)
    key = await world.user()
    copy = await start(world, client, key=key)
    await copy.report(error={**BROKEN, "message": f"the key {key} is bad"})
    (group,) = await told(world, client)
    assert group.message == "the key <id> is bad"
    label = await world.value("select resource_label from events where kind = 'error.new'")
    assert label == "the key <id> is bad"


async def test_paths_and_whatever_is_not_readable_are_left_out(world: World) -> None:
    client = await reporting(world)
    copy = await start(world, client)
    await copy.report(error={**BROKEN, "message": "cannot open C:\\Users\\jane\\keys.txt: \u0007no\nfile"})
    (group,) = await told(world, client)
    assert group.message == "cannot open <path>:  no file"


async def test_addresses_are_left_out(world: World) -> None:
    client = await reporting(world)
    copy = await start(world, client)
    await copy.report(
        error={**BROKEN, "message": "203.0.113.77 (2001:db8::7, ::ffff:198.51.100.7) timed out: 192.0.2.1:8080."}
    )
    (group,) = await told(world, client)
    assert group.message == "<address> (<address>, <address>) timed out: <address>:8080."


@pytest.mark.parametrize(
    "message", ["farm:812:40: at 12:34:56", "needs 1.2.3.4.5 or 1.2.3", "a::b", "::", "999.1.2.3", "t::", "x:1:"]
)
def test_what_only_looks_like_an_address_stays(message: str) -> None:
    assert scrubbed(message) == message


async def test_a_map_says_where_in_the_source_it_was(world: World) -> None:
    client = await reporting(world)
    content = LineMap([0] * 56 + [212], [FunctionLines(200, 230, "follow")]).to_bytes()
    sealed = explaining.sealed(world.keyring, content)
    await world.database.run(lambda tx: line_maps.insert(tx, client.script, 1, sealed))
    assert content not in sealed.content
    assert world.keyring.open_secret(LINE_MAP, sealed.id, sealed.content)
    copy = await start(world, client)
    await copy.report(error=BROKEN)
    (group,) = await told(world, client)
    assert (group.line, group.function, group.file) == (212, "follow", None)
    await world.change("delete from builds where script_id = :id", id=client.script)
    assert await line_maps.find(world.database, client.script, 1) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"health": "fine"},
        {"error": {**BROKEN, "kind": "other"}},
        {"error": {**BROKEN, "message": "x" * 401}},
        {"error": {**BROKEN, "message": "a\0b"}},
        {"error": {**BROKEN, "line": -1}},
        {"error": {**BROKEN, "more": 1}},
        {"error": {"kind": "main"}},
        {"health": "ok", "key": "mine"},
    ],
)
async def test_what_is_not_as_the_protocol_says_is_refused(world: World, wrong: dict[str, Any]) -> None:
    client = await reporting(world)
    copy = await start(world, client)
    with pytest.raises(Refused) as caught:
        await copy.report(**wrong)
    assert (caught.value.status, caught.value.code) == (400, "INVALID_REQUEST")
    assert await told(world, client) == []


async def test_a_report_needs_the_copys_own_token_now_and_leave_to_run(world: World) -> None:
    client = await reporting(world)
    key = await world.user()
    copy, other = await start(world, client, key=key), await start(world, client)

    async def refusal(of: Copy, **changes: Any) -> str:
        with pytest.raises(Refused) as caught:
            await of.report(error=BROKEN, **changes)
        return caught.value.code

    assert await refusal(copy, token=other.reply["token"]) == "INSTANCE_UNKNOWN"
    assert await refusal(copy, sequence=world.clock() - 10 * 60_000) == "CLOCK_WRONG"
    await world.change("update users set blacklisted = true where id = :id", id=await world.id_of(key))
    assert await refusal(copy) == "BLACKLISTED"
    old = await start(world, client, protocol=1)
    assert await refusal(old) == "INVALID_REQUEST"
    await world.change("update scripts set report_errors = false where id = :id", id=client.script)
    await other.report(error=BROKEN)
    assert await told(world, client) == []


async def test_one_copy_is_heard_a_few_times_and_one_script_so_often(world: World) -> None:
    client = await reporting(world)
    copies = [await start(world, client) for _ in range(30)]
    codes: set[tuple[int, str]] = set()

    async def heard(copy: Copy) -> int:
        for number in range(20):
            try:
                await copy.report(error={**BROKEN, "line": number})
            except Refused as refused:
                codes.add((refused.status, refused.code))
                return number
        return 20

    world.clock.stand_still(world.clock())
    numbers = [await heard(copy) for copy in copies]
    assert numbers[0] == 8
    assert sum(numbers) == 200
    assert codes == {(429, "RATE_LIMITED")}
    assert await copies[-1].beat() is None


async def test_made_up_errors_fill_no_table_and_raise_no_end_of_events(world: World) -> None:
    client = await reporting(world)
    copies = [await start(world, client) for _ in range(12)]
    for at, copy in enumerate(copies):
        for number in range(5):
            await copy.report(error={**BROKEN, "line": 10 * at + number})
    assert len(await told(world, client)) == MOST_NEW_GROUPS
    assert (await events(world)).count("error.new") == MOST_NEW_GROUPS


async def test_the_error_that_was_not_seen_for_longest_makes_room(world: World) -> None:
    client = await reporting(world)
    groups = [
        ErrorGroup(
            id=f"group {number}", script_id=client.script, build=1, place=str(number), kin=b"%d" % number,
            signature=b"%d" % number, kind=ErrorKind.MAIN, message="m", first_seen=1, last_seen=1_000 + number,
        )
        for number in range(MOST_GROUPS)
    ]  # fmt: skip

    async def fill(tx: Any) -> None:
        for group in groups:
            await error_groups.insert(tx, group)

    await world.database.run(fill)
    await (await start(world, client)).report(error=BROKEN)
    found = {group.id for group in await told(world, client)}
    assert len(found) == MOST_GROUPS
    assert "group 0" not in found
    assert "group 1" in found


async def stand(world: World, group: ErrorGroup, change: Any) -> ErrorGroup:
    account = await world.value("select account_id from projects where id = :id", id=world.project)
    operations = world.app.reports._world
    result: ErrorGroup = await perform(operations, errors.actor_for(account), lambda it: change(it, group.id))
    return result


async def in_build(world: World, client: Client, build: int, **changes: Any) -> None:
    if build > 1 and await world.value("select build from scripts where id = :id", id=client.script) < build:
        await rows.add_build(world.database, client.script, build)
        await world.change("update scripts set build = :build where id = :id", build=build, id=client.script)
    await (await start(world, client)).report(error={**BROKEN, "line": build, **changes})


async def test_a_resolved_error_comes_back_with_a_newer_build_and_with_no_older_one(world: World) -> None:
    client = await reporting(world)
    await in_build(world, client, 1)
    (first,) = await told(world, client)
    resolved = await stand(world, first, errors.resolve)
    assert (resolved.state, resolved.resolved_build) == (ErrorState.RESOLVED, 1)
    await in_build(world, client, 1)
    (same,) = await told(world, client)
    assert (same.state, same.instances) == (ErrorState.RESOLVED, 2)
    await in_build(world, client, 2, message="attempt to index nil with 'Other'")
    await in_build(world, client, 2)
    assert [each.state for each in await told(world, client)] == [ErrorState.OPEN] * 3
    regressed = [each for each in await told(world, client) if each.build == 2 and "Humanoid" in each.message]
    assert regressed[0].regressed_at is not None
    assert [kind for kind in await events(world) if kind.startswith("error.")] == [
        "error.new", "error.resolved", "error.new", "error.regressed",
    ]  # fmt: skip


async def test_an_ignored_error_is_counted_and_told_of_no_more(world: World) -> None:
    client = await reporting(world)
    await in_build(world, client, 1)
    (first,) = await told(world, client)
    await stand(world, first, errors.ignore)
    await in_build(world, client, 2)
    groups = await told(world, client)
    assert [(each.build, each.state, each.instances) for each in groups] == [(2, "ignored", 1), (1, "ignored", 1)]
    await stand(world, groups[0], errors.reopen)
    assert {each.state for each in await told(world, client)} == {ErrorState.OPEN}
    assert [kind for kind in await events(world) if kind.startswith("error.")] == [
        "error.new", "error.ignored", "error.reopened",
    ]  # fmt: skip


async def test_many_at_once_are_told_of_once(world: World) -> None:
    client = await reporting(world)
    await in_build(world, client, 1)
    await told(world, client)
    world.clock.ahead_ms += 3 * HOUR_MS
    for number in range(25):
        await in_build(world, client, 1)
        if number in (18, 19, 20):
            await told(world, client)
    await told(world, client)
    kinds = await events(world)
    assert kinds.count("error.spike") == 1
    assert kinds.count("error.new") == 1


async def rolling(world: World, client: Client, basis_points: int, **changed: Any) -> Rollout:
    await rows.add_build(world.database, client.script, 2)
    rollout = Rollout(
        id="rollout", script_id=client.script, build=2, state=RolloutState.ROLLING,
        steps=(Step(basis_points, 60),), step=0, step_since=0, salt="salt", created_at=world.clock(),
    )  # fmt: skip
    rollout = msgspec.structs.replace(rollout, **changed)

    async def begin(tx: Any) -> None:
        await rollouts.insert(tx, rollout)
        await plans.write(tx, client.script)

    await world.database.run(begin)
    return rollout


async def counted(world: World) -> dict[int, Any]:
    await world.app.reports.settle()
    return await rollout_starts.counted(world.database, "rollout", until=world.clock())


async def test_the_first_start_of_each_key_is_compared_and_says_how_it_went(world: World) -> None:
    client = await reporting(world)
    await rolling(world, client, 5_000)
    keys = [await world.user() for _ in range(24)]
    copies = [await start(world, client, key=key) for key in keys for _ in range(2)]
    new = [copy for copy in copies[::2] if copy.variables["la_script_build"] == 2]
    assert 0 < len(new) < 24
    await world.app.reports.settle()
    for copy in copies:
        await copy.report(health="ok" if copy.variables["la_script_build"] == 1 else "error")
    await copies[0].report(health="ok")  # what was said first counts
    found = (await counted(world))[5_000]
    assert (found.new.starts, found.new.errors, found.new.silent) == (len(new), len(new), 0)
    assert (found.control.starts, found.control.errors, found.control.silent) == (24 - len(new), 0, 0)


async def test_only_starts_that_take_part_and_report_are_compared(world: World) -> None:
    client = await reporting(world)
    await rolling(world, client, 5_000)
    await start(world, client, reports=False)
    pinned = await world.user()
    pin = {"user_id": await world.id_of(pinned), "script_id": client.script, "channel": None, "build": 1}
    await rows.insert(world.database, "pins", **pin, expires_at=None, created_at=1)
    await world.database.run(lambda tx: plans.write(tx, client.script))
    await start(world, client, key=pinned)
    assert await counted(world) == {}
    silent = await start(world, client)
    (found,) = (await counted(world)).values()
    assert found.new.starts + found.control.starts == found.new.silent + found.control.silent == 1
    await silent.report(error=BROKEN)
    await world.app.reports.settle()
    assert await world.value("select count(*) from rollout_starts where group_id is not null") == 1


async def test_after_the_last_look_nothing_is_noted(world: World) -> None:
    client = await reporting(world)
    await rolling(world, client, 5_000, looks=10)
    copy = await start(world, client)
    await copy.report(health="ok")
    assert await counted(world) == {}


async def test_what_is_said_of_a_start_is_written_behind_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where both come while others are being written: it was taken for a copy of which nothing was heard."""
    log = world.app.reports
    written: list[tuple[str, str]] = []

    def start(instance: str) -> RolloutStart:
        return RolloutStart(
            instance=instance, rollout_id="r", is_new=True, basis_points=5_000, holder=b"", started_at=0
        )

    async def add(_: Transaction, starts: Sequence[RolloutStart]) -> None:
        if not written:
            log.started(start("second"))
            log.settled(Settled("second", "ok"))
        written.extend(("started", each.instance) for each in starts)

    async def settle(_: Transaction, settled: Sequence[Settled]) -> None:
        written.extend(("settled", each.instance) for each in settled)

    monkeypatch.setattr(rollout_starts, "add", add)
    monkeypatch.setattr(rollout_starts, "settle", settle)
    log.started(start("first"))
    log.settled(Settled("first", "ok"))
    await log.settle()
    assert written == [(what, which) for which in ("first", "second") for what in ("started", "settled")]
