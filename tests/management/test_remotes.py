"""Server webhooks and functions by the API: set, shown, listed, removed; and what a copy is told that calls them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from moonlatch.client.remotes import CALLS_BURST
from moonlatch.licensing.remotes import MAX_ANSWER_BYTES, MAX_DATA_BYTES, MAX_DEPTH, MAX_PER_OWNER, MAX_TEMPLATE_BYTES
from moonlatch.operations.calls import AT_ONCE_OF_ENDPOINT, MAX_WAITING
from support import rows
from support.client import Copy, NotDone, Refused
from support.management import Api, Developer, done, invalid, refused
from support.receiver import Receiver, Reply, receiver

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISCORD = "https://discord.com/api/webhooks/123456789/very-secret_token"
NOWHERE = "https://receiver.invalid/hook"


@pytest_asyncio.fixture(loop_scope="module")
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def endpoint(me: Developer, project: str, url: str = NOWHERE) -> Any:
    return done(await me.post(f"/projects/{project}/endpoints", {"url": url, "events": []}))


async def put(me: Developer, owner: str, endpoint_id: str, **fields: Any) -> Any:
    wanted = {"name": "it", "kind": "function", "endpoint_id": endpoint_id, **fields}
    return done(await me.post(f"/{owner}/remotes", wanted))["remote"]


async def function(me: Developer, project: str, there: Receiver, **fields: Any) -> str:
    """A function that a receiver answers; gives the secret that its questions are signed with."""
    made = await endpoint(me, project, there.url)
    await put(me, f"projects/{project}", made["endpoint"]["id"], **fields)
    return str(made["secret"])


async def started(api: Api, project: str, key: str | None, **columns: Any) -> Copy:
    return await (await api.running_script(project, **columns)).execute(key=key)


def says(value: Any, status: int = 200) -> Reply:
    return status, {}, json.dumps(value).encode()


async def failed(copy: Copy, kind: str = "function", name: str = "it", data: Any = None) -> str:
    with pytest.raises(NotDone) as caught:
        await copy.call(kind, name, data)
    return caught.value.code


async def refusal(copy: Copy, changes: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await copy.call("function", "it", {}, changes=changes)
    return caught.value.status, caught.value.code


async def waiting(api: Api, endpoint_id: str) -> list[tuple[str, Any]]:
    """Kinds and bodies of what is to be sent there."""
    sql = "select kind || ' ' || body from deliveries where endpoint_id = :id order by id desc limit 1"
    found = await api.value(sql, id=endpoint_id)
    if found is None:
        return []
    kind, _, body = found.partition(" ")
    return [(kind, json.loads(body))]


async def test_a_remote_is_set_shown_changed_and_removed(api: Api, me: Developer, project: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    template = {"content": "{{player}} found {{item}}"}
    made = await put(me, f"projects/{project}", to, name="drops", kind="webhook", template=template)
    expected = {"name": "drops", "kind": "webhook", "template": template, "per_key": 30, "per_instance": 10}
    assert made | expected | {"script_id": None, "endpoint_id": to} == made
    assert done(await me.get(f"/projects/{project}/remotes"))["remotes"] == [made]
    shown = await me.get(f"/remotes/{made['id']}")
    assert done(shown)["remote"] == made
    again = await put(me, f"projects/{project}", to, name="drops", kind="webhook", per_key=5)
    assert (again["id"], again["template"], again["per_key"]) == (made["id"], None, 5)
    refused(
        await me.post(f"/remotes/{made['id']}/remove", {}, headers={"if-match": shown.headers["etag"]}),
        412,
        -1,
        "changed meanwhile",
        etag=(await me.get(f"/remotes/{made['id']}")).headers["etag"],
    )
    done(await me.post(f"/remotes/{made['id']}/remove"))
    assert done(await me.get(f"/projects/{project}/remotes"))["remotes"] == []
    kinds = [(event["kind"], event["changes"]) for event in done(await me.get("/events"))["events"][:3]]
    first = {name: [None, made[name]] for name in ("endpoint_id", "kind", "per_key", "per_instance", "timeout_seconds")}
    assert kinds == [
        ("remote.removed", {}),
        ("remote.set", {"per_key": [30, 5], "template": [True, False]}),
        ("remote.set", first | {"template": [None, True]}),
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"kind": "other"}, "kind"),
        ({"endpoint_id": "x"}, "endpoint_id"),
        ({"template": {"a": "x" * MAX_TEMPLATE_BYTES}}, "template"),
        ({"template": {"a": "ä" * (MAX_TEMPLATE_BYTES // 2)}}, "template"),
        ({"template": json.loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))}, "template"),
        ({"kind": "function", "template": {}}, "template"),
        ({"per_key": 0}, "per_key"),
        ({"per_instance": 601}, "per_instance"),
        ({"timeout_seconds": 16}, "timeout_seconds"),
    ],
)
async def test_what_is_no_remote_is_refused(me: Developer, project: str, fields: Any, field: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    wanted = {"name": "a", "kind": "webhook", "endpoint_id": to} | fields
    assert field in invalid(await me.post(f"/projects/{project}/remotes", wanted))
    assert done(await me.get(f"/projects/{project}/remotes"))["remotes"] == []


async def test_an_endpoint_of_others_or_of_discord_answers_nobody(api: Api, me: Developer, project: str) -> None:
    others = await api.developer()
    theirs = (await endpoint(others, await others.new_project()))["endpoint"]["id"]
    elsewhere = (await endpoint(me, await me.new_project()))["endpoint"]["id"]
    discord = (await endpoint(me, project, DISCORD))["endpoint"]["id"]
    for to in (theirs, elsewhere, discord):
        wanted = {"name": "a", "kind": "function", "endpoint_id": to}
        assert "endpoint_id" in invalid(await me.post(f"/projects/{project}/remotes", wanted))


async def test_there_are_so_many_of_one_owner_and_no_more(me: Developer, project: str, script: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    for owner in (f"projects/{project}", f"scripts/{script}"):
        for number in range(MAX_PER_OWNER):
            await put(me, owner, to, name=f"r{number}")
        wanted = {"name": "more", "kind": "webhook", "endpoint_id": to}
        refused(await me.post(f"/{owner}/remotes", wanted), 403, 1, "max remotes reached")
        await put(me, owner, to, name="r0", per_key=1)


async def test_an_expired_account_sets_no_remote(api: Api, me: Developer, project: str, script: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    made = await put(me, f"projects/{project}", to)
    await api.expire(me)
    for owner in (f"projects/{project}", f"scripts/{script}"):
        wanted = {"name": "it", "kind": "webhook", "endpoint_id": to}
        refused(await me.post(f"/{owner}/remotes", wanted), 403, 0, "account expired")
    done(await me.post(f"/remotes/{made['id']}/remove"))


async def test_a_dry_run_sets_nothing_and_an_endpoint_takes_its_remotes_along(me: Developer, project: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    done(
        await me.post(f"/projects/{project}/remotes?dry_run=true", {"name": "a", "kind": "webhook", "endpoint_id": to})
    )
    assert done(await me.get(f"/projects/{project}/remotes"))["remotes"] == []
    await put(me, f"projects/{project}", to)
    done(await me.post(f"/endpoints/{to}/remove"))
    assert done(await me.get(f"/projects/{project}/remotes"))["remotes"] == []


async def test_a_function_is_asked_signed_with_key_and_verdict_and_its_answer_told(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    secret = await function(me, project, there)
    copy = await started(api, project, key)
    there.usual = lambda _: says({"price": 9.5, "names": ["ä", None]})
    assert await copy.call("function", "it", {"item": "sword"}) == {"price": 9.5, "names": ["ä", None]}
    (got,) = there.received
    asked = Webhook(secret).verify(got.body, got.headers)
    assert asked["type"] == "script.called"
    assert asked["data"] == {
        "function": "it",
        "instance": copy.instance,
        "script": {"id": copy.client.script, "name": "Script", "build": 1},
        "user_id": await rows.id_of(api.database, key),
        "verdict": {"premium": True, "key_expires": None},
        "data": {"item": "sword"},
    }
    assert key not in got.body.decode()


async def test_the_scripts_remote_goes_before_the_projects_and_foreign_names_are_nobodys(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    await function(me, project, there)
    copy, other = await started(api, project, key), await started(api, project, key)
    own = await endpoint(me, project, there.url.replace("/hook", "/own"))
    await put(me, f"scripts/{copy.client.script}", own["endpoint"]["id"])
    await put(me, f"scripts/{copy.client.script}", own["endpoint"]["id"], name="mine", kind="webhook")
    there.usual = lambda _: says(1)
    for each in (copy, other):
        await each.call("function", "it", None)
    assert [got.path for got in there.received] == ["/own", "/hook"]
    assert await failed(other, "webhook", "mine") == "NOT_FOUND"
    assert await failed(copy, "function", "mine") == "NOT_FOUND"
    stranger = await api.developer()
    foreign = await started(api, await stranger.new_project(), None, free_for_all=True)
    assert await failed(foreign) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (says("no", 500), "FAILED"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "FAILED"),
        ((200, {}, b"{"), "INVALID_ANSWER"),
        ((200, {}, b"\xff"), "INVALID_ANSWER"),
        ((200, {}, b"1e999"), "INVALID_ANSWER"),
        ((200, {}, b'{"a": [-' + b"1" * 310 + b"]}"), "INVALID_ANSWER"),
        (says("x" * MAX_ANSWER_BYTES), "INVALID_ANSWER"),
        (says("x" * 10_000_000), "INVALID_ANSWER"),
        ((200, {}, b"[" * 200 + b"]" * 200), "INVALID_ANSWER"),
        (says([0] * 2_000), "INVALID_ANSWER"),
        (None, "NO_ANSWER"),
    ],
)
async def test_a_bad_answer_is_told_as_what_it_is_and_reaches_no_script(
    api: Api, me: Developer, project: str, key: str, there: Receiver, reply: Reply | None, code: str
) -> None:
    await function(me, project, there)
    copy = await started(api, project, key)
    there.usual = lambda _: reply
    assert await failed(copy) == code
    assert len(there.received) == 1


@pytest.mark.parametrize("end", [b"1;" + b"a" * 1_000_000, b"1\r\n7\r\n0\r\n" + b"A: b\r\n" * 200_000])
async def test_an_answer_that_is_cut_is_none(api: Api, me: Developer, project: str, key: str, end: bytes) -> None:
    """Of a body's framing there is a bound, too, and what came before it reads like a whole answer: nothing, or 7."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + end)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = await endpoint(me, project, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await put(me, f"projects/{project}", made["endpoint"]["id"])
    assert await failed(await started(api, project, key)) == "INVALID_ANSWER"
    server.close()


async def test_an_empty_answer_is_nothing(api: Api, me: Developer, project: str, key: str, there: Receiver) -> None:
    await function(me, project, there)
    copy = await started(api, project, key)
    there.usual = lambda _: (204, {}, b"")
    assert await copy.call("function", "it", None) is None


async def test_who_cannot_be_reached_or_is_switched_off_is_told_without_where(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    made = await endpoint(me, project, "http://10.0.0.1:9/secret-path")
    await put(me, f"projects/{project}", made["endpoint"]["id"])
    copy = await started(api, project, key)
    with pytest.raises(NotDone) as caught:
        await copy.call("function", "it", None)
    assert (caught.value.code, "10.0" in caught.value.message) == ("FAILED", False)
    done(await me.post(f"/endpoints/{made['endpoint']['id']}/edit", {"enabled": False}))
    assert await failed(copy) == "SWITCHED_OFF"


async def test_a_slow_function_holds_up_neither_others_nor_starts(
    api: Api, me: Developer, project: str, key: str
) -> None:
    held = asyncio.Event()
    came = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        await reader.readuntil(b"\r\n\r\n")
        came += 1
        await held.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = await endpoint(me, project, f"http://127.0.0.1:{port}/")
    await put(me, f"projects/{project}", made["endpoint"]["id"], timeout_seconds=15, per_key=600, per_instance=600)
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    asking = [asyncio.create_task(failed(copy)) for _ in range(AT_ONCE_OF_ENDPOINT)]
    try:
        async with asyncio.timeout(60):
            while came < AT_ONCE_OF_ENDPOINT:
                await asyncio.sleep(0.01)
        assert await failed(copy) == "BUSY"
        assert await copy.beat() is None
        assert (await client.execute(key=key)).payload == copy.payload
    finally:
        held.set()
        assert set(await asyncio.gather(*asking)) == {"NO_ANSWER"}
        assert await failed(copy) == "NO_ANSWER"  # there is room again
        server.close()


async def test_a_function_that_takes_too_long_is_given_up(api: Api, me: Developer, project: str, key: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)  # until whoever asked has left
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = await endpoint(me, project, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await put(me, f"projects/{project}", made["endpoint"]["id"], timeout_seconds=1)
    assert await failed(await started(api, project, key)) == "NO_ANSWER"
    server.close()


async def test_only_the_copy_itself_calls_and_each_call_once(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    await function(me, project, there)
    client = dataclasses.replace(await api.running_script(project), exchange_key=api.keyring.exchange_key)
    copy, other = await client.execute(key=key), await client.execute(key=key)
    assert await refusal(copy, {"data": {"item": 2}}) == (
        404,
        "INSTANCE_UNKNOWN",
    )
    assert await refusal(copy, {"mac": "0" * 64}) == (404, "INSTANCE_UNKNOWN")
    assert await refusal(copy, {"kind": "webhook"}) == (404, "INSTANCE_UNKNOWN")
    assert await refusal(copy, {"token": other.reply["token"]}) == (404, "INSTANCE_UNKNOWN")
    assert await refusal(copy, copy.calling("function", "it", {}, 1)) == (409, "CLOCK_WRONG")
    await copy.beat()
    thief = dataclasses.replace(copy, live=client.live_of(copy.instance))
    thief.agree(client.exchange_key)
    assert await refusal(thief, {}) == (
        404,
        "INSTANCE_UNKNOWN",
    )  # with the loader's secret, and a token of after the first beat
    assert await refusal(copy, {"name": "a b"}) == (400, "INVALID_REQUEST")
    assert await refusal(copy, {"more": 1}) == (400, "INVALID_REQUEST")
    assert await refusal(await client.execute(key=key, protocol=1), {}) == (400, "INVALID_REQUEST")
    assert there.received == []
    sequence = copy.moments.next()
    there.usual = lambda _: says(1)
    assert await copy.call("function", "it", {}, sequence=sequence) == 1
    again = copy.calling("function", "it", {}, sequence)
    assert await refusal(copy, again) == (409, "REPLAYED")
    assert len(there.received) == 1


async def test_a_call_that_came_too_early_is_not_made_when_its_time_comes(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    await function(me, project, there)
    there.usual = lambda _: says(1)
    copy = await started(api, project, key)
    await copy.beat()  # from now on the copy's own key is on both sides
    early = copy.calling("function", "it", {}, copy.moments.next() + 20_000)
    assert await refusal(copy, early) == (409, "CLOCK_WRONG")
    # The loader asks again at once, by the time that it was told; what it asked before is on the way still, or was recorded.
    assert await copy.call("function", "it", {}) == 1
    api.clock.ahead_ms += 20_000
    assert await refusal(copy, early) == (409, "REPLAYED")
    await copy.beat(copy.moments.next() + 20_000)
    assert await copy.call("function", "it", {}, sequence=copy.moments.next() + 20_000) == 1
    assert len(there.received) == 2


async def test_a_call_that_was_made_too_often_is_not_made_later(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    copy = await started(api, project, key)
    for _ in range(2 * CALLS_BURST):
        too_many = copy.calling("function", "it", {})
        try:
            await copy.call("function", "it", {}, changes=too_many)
        except NotDone:
            continue  # there is no function yet
        except Refused:
            break
    assert await refusal(copy, too_many) == (409, "REPLAYED")
    await function(me, project, there)
    api.clock.ahead_ms += 60_000
    assert await refusal(copy, too_many) == (409, "REPLAYED")
    assert there.received == []


async def test_a_copy_that_may_not_go_on_calls_nothing(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    await function(me, project, there)
    copy = await started(api, project, key)
    done(await me.post(f"/users/{key}/blacklist", {"reason": "shared"}))
    assert await refusal(copy, {}) == (403, "BLACKLISTED")
    assert there.received == []


async def test_a_copy_and_a_key_may_call_so_often(
    api: Api, me: Developer, project: str, key: str, there: Receiver
) -> None:
    await function(me, project, there, per_instance=2, per_key=3)
    client = await api.running_script(project)
    copies = [await client.execute(key=key) for _ in range(2)]
    there.usual = lambda _: says(1)
    for copy, times in zip(copies, (2, 1), strict=True):
        for _ in range(times):
            assert await copy.call("function", "it", 1) == 1
    assert [await failed(copy) for copy in copies] == ["RATE_LIMITED"] * 2
    free = await api.running_script(project, free_for_all=True)
    for _ in range(3):  # without a key: by the network
        assert await (await free.execute(key=None)).call("function", "it", 1) == 1
    assert await failed(await free.execute(key=None)) == "RATE_LIMITED"


@pytest.mark.parametrize(
    "data", ["x" * (MAX_DATA_BYTES - 1), json.loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)), [0] * 1_000]
)
async def test_data_that_is_too_much_goes_nowhere(
    api: Api, me: Developer, project: str, key: str, there: Receiver, data: Any
) -> None:
    await function(me, project, there)
    assert await failed(await started(api, project, key), data=data) == "INVALID_DATA"
    assert there.received == []


async def test_a_webhook_is_written_into_the_outbox(api: Api, me: Developer, project: str, key: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    await put(me, f"projects/{project}", to, name="plain", kind="webhook")
    template = {
        "text": '{{player.name}} of "{{la_script_name}}": {{ list }}',
        "raw": "{{list}}",
        "key": "{{la_user_id}}",
        "{{x}}": 7,
    }
    await put(me, f"projects/{project}", to, name="shaped", kind="webhook", template=template)
    copy = await started(api, project, key)
    hostile = '", "raw": {"@everyone": "{{la_user_id}}"}, "x": "'
    data = {"player": {"name": hostile}, "list": [1, "a"], "la_user_id": "forged", "la_script_name": "forged"}
    assert await copy.call("webhook", "plain", data) is True
    ((kind, body),) = await waiting(api, to)
    assert (kind, body["webhook"], body["data"], body["verdict"]["premium"]) == ("script.message", "plain", data, True)
    assert await copy.call("webhook", "shaped", data) is True
    user = await rows.id_of(api.database, key)
    text = f'{hostile} of "Script": [1,"a"]'
    assert await waiting(api, to) == [
        ("script.rendered", {"text": text, "raw": [1, "a"], "key": user, "{{x}}": 7}),
    ]
    listed = done(await me.get(f"/endpoints/{to}/deliveries"))["deliveries"]
    assert [each["kind"] for each in listed] == ["script.rendered", "script.message"]


async def test_a_template_that_becomes_too_much_is_refused(api: Api, me: Developer, project: str, key: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    await put(me, f"projects/{project}", to, kind="webhook", template={"a": "{{a}}" * 500})
    copy = await started(api, project, key)
    assert await failed(copy, "webhook", data={"a": "x" * 5_000}) == "INVALID_DATA"
    assert await waiting(api, to) == []


async def test_discord_is_sent_what_it_takes_and_nobody_is_called(
    api: Api, me: Developer, project: str, key: str
) -> None:
    to = (await endpoint(me, project, DISCORD))["endpoint"]["id"]
    await put(me, f"projects/{project}", to, name="free", kind="webhook")
    await put(me, f"projects/{project}", to, name="shaped", kind="webhook", template={"content": "**{{who}}** won"})
    copy = await started(api, project, key)
    said = {
        "content": "x" * 2_100,
        "username": "n" * 100,
        "allowed_mentions": {"parse": ["everyone"]},
        "tts": True,
        "embeds": [{"title": "t", "description": "d" * 400, "fields": [{"name": "a"}, {"name": "a", "value": 1}]}] * 12,
    }
    assert await copy.call("webhook", "free", said) is True
    ((_, body),) = await waiting(api, to)
    assert set(body) == {"content", "username", "embeds", "allowed_mentions"}
    assert (len(body["content"]), len(body["username"]), body["allowed_mentions"]) == (2_000, 80, {"parse": []})
    assert [len(each["description"]) for each in body["embeds"]] == [400] * 10
    assert body["embeds"][0]["fields"] == [{"name": "a", "value": "1", "inline": False}]
    assert await copy.call("webhook", "shaped", {"who": "[a](http://b) @everyone"}) is True
    assert (await waiting(api, to))[0][1]["content"] == "**\\[a\\]\\(http\\://b\\) @\u200beveryone** won"
    for nothing in ({}, [], {"content": " "}, "text", {"embeds": [{}]}):
        assert await failed(copy, "webhook", "free", nothing) == "INVALID_DATA"


async def test_so_much_waits_for_one_receiver_and_no_more(api: Api, me: Developer, project: str, key: str) -> None:
    to = (await endpoint(me, project))["endpoint"]["id"]
    await put(me, f"projects/{project}", to, kind="webhook")
    await api.change(
        "insert into deliveries (id, endpoint_id, kind, body, created_at, next_at) "
        "select '0' || n, :id, 'script.message', '{}', 1, 1 from "
        f"(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {MAX_WAITING}) "
        "select n from numbers) counted",
        id=to,
    )
    assert await failed(await started(api, project, key), "webhook") == "BUSY"
