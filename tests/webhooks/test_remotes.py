"""What scripts have sent and asked, below the protocol: through the guarded client, by the outbox."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from moonlatch.crypto import WEBHOOK_SECRET, WEBHOOK_URL, new_webhook_secret
from moonlatch.licensing.remotes import RemoteKind
from moonlatch.licensing.webhooks import EndpointKind
from moonlatch.operations.calls import OF_MODEST_ACCOUNT, Caller, Functions, NotDone, post
from moonlatch.operations.changing import keyring_of
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.remotes import Remote
from moonlatch.web.outgoing import Outgoing
from moonlatch.web.reach import Reach
from support.addresses import TRICKS
from support.hooks import Hooks
from support.raw_server import raw_server, says
from support.receiver import Receiver

CALLER = Caller("instance", "script", "Script", None, premium=False, key_expires=None, build=1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def remote(hooks: Hooks, endpoint: Endpoint, kind: RemoteKind, template: str | None = None) -> Remote:
    times = {"created_at": 1, "updated_at": 1}
    limits = {"per_key": 1, "per_instance": 1, "timeout_seconds": 5}
    whose = {"account_id": hooks.account, "project_id": hooks.project, "endpoint_id": endpoint.id}
    return Remote(id="r", kind=kind, name="it", template=template, **whose, **limits, **times)  # type: ignore[arg-type]


async def test_no_spelling_of_an_address_has_a_function_reach_this_machine(hooks: Hooks) -> None:
    made, _ = await hooks.endpoint("https://receiver.invalid/")
    keyring = keyring_of(hooks.world)
    secret = keyring.seal_secret(WEBHOOK_SECRET, made.id, new_webhook_secret())
    async with raw_server(says(OK), "0.0.0.0") as inside, Outgoing(Reach()) as client:
        functions = Functions(hooks.world, client)
        for trick in TRICKS:
            url = keyring.seal_secret(WEBHOOK_URL, made.id, trick.replace("{port}", str(inside.port)))
            endpoint = msgspec.structs.replace(made, url=url, secret=secret)
            # What is no URL at all no endpoint could have been made of.
            with pytest.raises((NotDone, ValueError)):
                await functions.ask(remote(hooks, endpoint, RemoteKind.FUNCTION), endpoint, CALLER, None)
        assert inside.connections == 0


async def test_slow_functions_of_some_leave_room_for_those_of_others(hooks: Hooks) -> None:
    keyring = keyring_of(hooks.world)
    made, _ = await hooks.endpoint("https://receiver.invalid/")
    came, held, most = asyncio.Semaphore(0), asyncio.Event(), 48

    async def hangs(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.release()
        await held.wait()
        writer.close()

    async with Outgoing(Reach(["127.0.0.0/8"])) as client:
        server = await asyncio.start_server(hangs, "127.0.0.1", 0)
        functions = Functions(hooks.world, client, most=most)

        def asked(account: str, number: int) -> asyncio.Task[bytes]:
            id_ = f"{account} {number}"
            url = keyring.seal_secret(WEBHOOK_URL, id_, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            secret = keyring.seal_secret(WEBHOOK_SECRET, id_, new_webhook_secret())
            endpoint = msgspec.structs.replace(made, id=id_, account_id=account, url=url, secret=secret)
            return asyncio.create_task(
                functions.ask(remote(hooks, endpoint, RemoteKind.FUNCTION), endpoint, CALLER, None)
            )

        asking = [asked("hostile", number) for number in range(most)]
        for _ in range(most * 3 // 4):
            await came.acquire()
        done, slow = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        assert {task.exception().code for task in done} == {"BUSY"}  # type: ignore[union-attr]
        modest = [asked("modest", number) for number in range(OF_MODEST_ACCOUNT)]
        for _ in modest:
            await came.acquire()
        with pytest.raises(NotDone, match="too many"):
            await asked("modest", OF_MODEST_ACCOUNT)
        held.set()
        await asyncio.wait([*slow, *modest])
        assert {task.exception().code for task in [*slow, *modest]} == {"NO_ANSWER"}  # type: ignore[union-attr]
        server.close()


async def test_discord_gets_each_message_of_a_script_for_itself(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url, kind=EndpointKind.DISCORD)
    called = remote(hooks, endpoint, RemoteKind.WEBHOOK, '{"content": "{{who}} won"}')
    await hooks.rename("One")
    await post(hooks.world, called, endpoint, CALLER, {"who": "*A*"})
    await post(hooks.world, called, endpoint, CALLER, {"who": "@everyone"})
    await hooks.rename("Two")
    hooks.start()
    await hooks.ended(endpoint, "delivered", 4)
    said = [got.json.get("content") for got in there.received if "content" in got.json]
    assert sorted(said) == ["@\u200beveryone won", "\\*A\\* won"]
    assert all(got.json["allowed_mentions"] == {"parse": []} for got in there.received)
    assert all(got.path.endswith("wait=true") for got in there.received)
    assert [got.headers.get("webhook-signature") for got in there.received] == [None] * len(there.received)


async def test_what_waits_for_a_receiver_that_is_away_arrives_when_it_is_back(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url, events=[])
    there.replies = [None, (500, {}, b"")]
    await post(hooks.world, remote(hooks, endpoint, RemoteKind.WEBHOOK, '{"n": "{{n}}"}'), endpoint, CALLER, {"n": 1})
    hooks.start()
    for count in (1, 2):
        await there.got(count)
        hooks.clock.ahead_ms += 3_600_000
    (delivery,) = await hooks.ended(endpoint, "delivered")
    assert [got.json for got in there.received] == [{"n": 1}] * len(there.received)
    assert set(there.ids()) == {delivery.id}
