"""What happens is delivered: at least once, signed, tried again by the schedule, and never in the way of anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from moonlatch.licensing.webhooks import FAILING_MS, SCHEDULE_MS
from moonlatch.operations import endpoints, projects
from moonlatch.operations.changing import Intent, perform
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import deliveries
from moonlatch.storage.deliveries import Outcome
from moonlatch.storage.interface import Transaction
from moonlatch.webhooks import outcomes
from support import rows
from support.hooks import Hooks
from support.receiver import OK, Receiver, receiver


async def test_an_event_arrives_signed_as_the_standard_has_it(hooks: Hooks, there: Receiver) -> None:
    endpoint, secret = await hooks.endpoint(there.url)
    await hooks.rename("New")
    hooks.start()
    (got,) = await there.got(1)
    payload = Webhook(secret).verify(got.body, got.headers)
    assert payload["type"] == "project.edited"
    assert payload["data"]["changes"] == {"name": ["project", "New"]}
    assert payload["data"]["actor"] == {"kind": "cli", "id": "t", "name": "tester"}
    (delivery,) = await hooks.ended(endpoint, "delivered")
    assert got.headers["webhook-id"] == delivery.id
    assert (delivery.attempts, delivery.kind) == (1, "project.edited")
    (attempt,) = await deliveries.attempts(hooks.database, delivery.id, limit=9)
    assert (attempt.number, attempt.status, attempt.error, attempt.answer) == (1, 200, None, "ok")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body + b" ", got.headers)


async def test_only_what_was_asked_for_is_kept_for_an_endpoint(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url, events=[EventKind.USER_BLACKLISTED])
    silent, _ = await hooks.endpoint(there.url, events=[])
    await hooks.rename("New")
    assert await hooks.found(endpoint) == []
    assert await hooks.found(silent) == []


async def test_what_is_not_done_is_not_told(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    await perform(
        hooks.world,
        hooks.actor,
        lambda change: projects.edit(change, hooks.project, {"name": "x"}),
        Intent(is_dry_run=True),
    )
    assert await hooks.found(endpoint) == []


async def test_sequences_grow_with_time(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    for name in "abcde":
        await hooks.rename(name)
    hooks.start()
    await hooks.ended(endpoint, "delivered", 5)
    told = {each.json["data"]["changes"]["name"][1]: each.json["sequence"] for each in there.received}
    assert sorted(told, key=told.__getitem__) == list("abcde")
    assert all(sequence < 2**53 for sequence in told.values())


async def test_a_failure_is_tried_again_by_the_schedule_under_the_same_id(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    there.usual = lambda _: (500, {}, b"broken")
    await hooks.rename("New")
    (delivery,) = await hooks.found(endpoint)
    hooks.clock.stand_still(delivery.created_at)
    hooks.start()
    for number, wait in enumerate(SCHEDULE_MS[1:], 1):
        await hooks.tried(delivery, number)
        (waiting,) = await hooks.ended(endpoint, "waiting")
        assert waiting.next_at is not None
        assert wait <= waiting.next_at - hooks.clock() <= 1.1 * wait
        hooks.clock.ahead_ms += wait + wait // 10
        await hooks.stop()  # a pause of an endpoint that fails is real time; whoever starts anew knows of none
        hooks.start()
    (given_up,) = await hooks.ended(endpoint, "failed")
    assert given_up.attempts == len(SCHEDULE_MS) == len(there.received)
    assert set(there.ids()) == {delivery.id}
    assert len({each.headers["webhook-timestamp"] for each in there.received}) == len(SCHEDULE_MS)
    assert (await hooks.now(endpoint)).failing_since is not None
    assert hooks.counted() == {"to_be_tried_again": len(SCHEDULE_MS) - 1, "given_up": 1}


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    there.replies = [(503, {"Retry-After": "3600"}, b""), (429, {"Retry-After": "7200"}, b"")]
    await hooks.rename("New")
    (delivery,) = await hooks.found(endpoint)
    hooks.clock.stand_still(delivery.created_at)
    for number, (wait, step) in enumerate(((3_600_000, 1), (7_200_000, 1)), 1):
        hooks.start()
        await hooks.tried(delivery, number)
        (waiting,) = await hooks.ended(endpoint, "waiting")
        assert (waiting.next_at, waiting.step) == (hooks.clock() + wait, step)
        await hooks.stop()
        hooks.clock.ahead_ms += wait
    hooks.start()
    await hooks.ended(endpoint, "delivered")
    assert hooks.counted() == {"to_be_tried_again": 2, "delivered": 1}
    assert [sum(each.counts.seconds.counts) for each in hooks.deliverers] == [1, 1, 1]


async def test_one_that_is_gone_is_switched_off_at_once_with_an_event(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    async with receiver() as other:
        await hooks.endpoint(other.url, events=[EventKind.ENDPOINT_DISABLED])
        await hooks.rename("New")
        there.usual = lambda _: (410, {}, b"")
        hooks.start()
        off = await hooks.until(endpoint, lambda each: not each.enabled)
        assert off.disabled_because == "it answered with status 410"
        assert await hooks.found(endpoint, "waiting") == []
        (told,) = await other.got(1)
        assert told.json["data"]["resource"]["id"] == endpoint.id
        assert told.json["data"]["actor"]["kind"] == "job"
        await hooks.rename("Newer")
        assert len(await hooks.found(endpoint)) == 1


async def test_one_to_which_nothing_arrived_for_five_days_is_switched_off(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    there.usual = lambda _: None
    await hooks.rename("New")
    hooks.start()
    await hooks.until(endpoint, lambda each: each.failing_since is not None)
    await hooks.stop()
    hooks.clock.ahead_ms += FAILING_MS
    await hooks.rename("Newer")
    hooks.start()
    off = await hooks.until(endpoint, lambda each: not each.enabled)
    assert off.disabled_because == "nothing arrived there for 5 days"
    again = await hooks.change(lambda change: endpoints.edit(change, endpoint.id, {"enabled": True}))
    assert (again.enabled, again.failing_since, again.disabled_because) == (True, None, None)
    there.usual = lambda _: OK
    await hooks.stop()
    assert await hooks.change(lambda change: endpoints.replay_failed(change, endpoint.id, since=0)) == 2
    hooks.start()
    await hooks.ended(endpoint, "delivered", 2)


async def test_a_success_ends_the_failures(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    there.replies = [(500, {}, b"")]
    await hooks.rename("New")
    hooks.start()
    await hooks.until(endpoint, lambda each: each.failing_since is not None)
    await hooks.rename("Newer")
    await hooks.until(endpoint, lambda each: each.failing_since is None)


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 500])
async def test_whatever_is_no_success_is_a_failure(hooks: Hooks, there: Receiver, status: int) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    there.usual = lambda _: (status, {"Location": there.url}, b"no")
    await hooks.rename("New")
    hooks.start()
    (delivery,) = await hooks.found(endpoint)
    (attempt,) = await hooks.tried(delivery, 1)
    assert attempt.status == status
    assert len(there.received) == 1


async def test_an_address_that_is_forbidden_by_now_is_not_called(hooks: Hooks) -> None:
    async with receiver() as inside:
        endpoint, _ = await hooks.endpoint(f"http://[::1]:{inside.port}/")
        await hooks.rename("New")
        hooks.start()
        (delivery,) = await hooks.found(endpoint)
        (attempt,) = await hooks.tried(delivery, 1)
        assert attempt.status is None
        assert attempt.error == "the address is not on the public internet, and not in an allowed network"
        assert inside.received == []


async def test_two_secrets_sign_for_a_day_after_a_rotation(hooks: Hooks, there: Receiver) -> None:
    endpoint, old = await hooks.endpoint(there.url, events=[EventKind.PROJECT_EDITED])
    _, new = await hooks.change(lambda change: endpoints.rotate_secret(change, endpoint.id))
    await hooks.rename("New")
    hooks.start()
    (got,) = await there.got(1)
    for secret in (old, new):
        Webhook(secret).verify(got.body, got.headers)
    await hooks.stop()
    hooks.clock.ahead_ms += 24 * 3_600_000
    await hooks.rename("Newer")
    hooks.start()
    got = (await there.got(2))[1]
    assert " " not in got.headers["webhook-signature"]


async def test_a_process_that_died_forgets_nothing(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    for number in range(20):
        await hooks.rename(str(number))
    dead = "dead"
    await hooks.database.run(
        lambda tx: deliveries.claim(
            tx, endpoint.id, claimed_by=dead, now=hooks.clock(), until=hooks.clock() + 10**9, most=15
        )
    )
    hooks.start(is_alone=True)
    await hooks.ended(endpoint, "delivered", 20)
    assert len(set(there.ids())) == 20


async def test_what_another_process_claimed_is_its_own_until_its_lease_ends(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    await hooks.rename("New")
    await hooks.database.run(
        lambda tx: deliveries.claim(
            tx, endpoint.id, claimed_by="other", now=hooks.clock(), until=hooks.clock() + 60_000, most=9
        )
    )
    await hooks.rename("Newer")
    hooks.start(is_alone=False)
    await there.got(1)
    assert len(await hooks.ended(endpoint, "delivered")) == 1
    hooks.clock.ahead_ms += 60_000
    await hooks.ended(endpoint, "delivered", 2)


async def test_several_workers_share_the_work_and_nothing_is_lost(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    for number in range(60):
        await hooks.rename(str(number))
    for _ in range(3):
        hooks.start(is_alone=False)
    await hooks.ended(endpoint, "delivered", 60)
    assert len(there.received) == len(set(there.ids())) == 60


async def test_one_dead_endpoint_delays_no_other(hooks: Hooks, there: Receiver) -> None:
    async with receiver() as hanging:
        hanging.usual = lambda _: None
        dead = [(await hooks.endpoint(f"{hanging.url}?{number}"))[0] for number in range(15)]
        endpoint, _ = await hooks.endpoint(there.url)
        for number in range(30):
            await hooks.rename(str(number))
        hooks.start()
        await hooks.ended(endpoint, "delivered", 30)
    assert there.most_open <= 4
    assert all([len(await hooks.found(each, "waiting")) == 30 for each in dead])


async def test_what_came_of_many_calls_is_written_down_in_few_transactions(
    hooks: Hooks, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    end = deliveries.end

    async def counted(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
        written.append(len(outcomes))
        await end(tx, outcomes)

    monkeypatch.setattr(deliveries, "end", counted)
    monkeypatch.setattr(outcomes, "GATHER_SECONDS", 600.0)
    endpoint, _ = await hooks.endpoint(there.url)
    for number in range(outcomes.GATHERED):
        await hooks.rename(f"{number}")
    hooks.start()
    await hooks.ended(endpoint, "delivered", outcomes.GATHERED)
    assert sum(written) == outcomes.GATHERED
    # Those that ended while the last of so many was awaited go with it.
    assert len(written) == 1


async def test_what_waits_is_given_back_when_the_program_ends(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    for number in range(40):
        await hooks.rename(str(number))
    hooks.start()
    await there.got(3)
    await hooks.stop()
    delivered = await hooks.found(endpoint, "delivered")
    assert {each.id for each in delivered} == set(there.ids())
    assert all(each.claimed_by is None for each in await hooks.found(endpoint))
    hooks.start(is_alone=False)
    await hooks.ended(endpoint, "delivered", 40)
    assert len(there.received) == 40


async def test_an_event_that_is_no_longer_kept_ends_its_delivery(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url)
    await hooks.rename("New")
    await rows.change(hooks.database, "update deliveries set event_id = 'gone'")
    hooks.start()
    (ended,) = await hooks.ended(endpoint, "failed")
    (attempt,) = await hooks.tried(ended, 1)
    assert attempt.error == "the event is no longer kept"
    assert there.received == []


async def test_the_log_repeats_no_secret(hooks: Hooks, there: Receiver) -> None:
    url = f"{there.url}/very-secret-path?token=abcdefghijk"
    endpoint, secret = await hooks.endpoint(url)
    said = f'{{"error": "no /very-secret-path with abcdefghijk {secret}", "token": "sesame-open"}}'
    there.usual = lambda _: (400, {}, said.encode() + b"\0\xff" + b"x" * 5000)
    await hooks.rename("New")
    hooks.start()
    (delivery,) = await hooks.found(endpoint)
    (attempt,) = await hooks.tried(delivery, 1)
    assert attempt.answer is not None
    assert len(attempt.answer) <= 2048
    for word in ("very-secret-path", "abcdefghijk", secret, "sesame-open", "\0"):
        assert word not in attempt.answer


async def test_settings_of_before_become_endpoints(hooks: Hooks, there: Receiver) -> None:
    await rows.change(hooks.database, "update projects set information_webhook = :url", url=there.url)
    await rows.change(hooks.database, "update projects set blacklist_webhook = 'http://käse.test/'")
    hooks.start()
    async with asyncio.timeout(60):
        while not await rows.value(hooks.database, "select count(*) from endpoints"):
            await asyncio.sleep(0.02)
    await hooks.rename("New")
    (got,) = await there.got(1)
    assert got.json["type"] == "project.edited"
    assert await rows.value(hooks.database, "select count(*) from endpoints") == 1
    assert msgspec.json.decode(await rows.value(hooks.database, "select events from endpoints")) == [
        *endpoints.SETTINGS["information_webhook"][0]
    ]
