"""The session endpoints, with real clients at the other end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.client import Refused, Wire
from support.management import NOBODY, Api, Developer, done, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def answer(wire: Wire, **reply: Any) -> Any:
    """Take one message and answer it; gives the message."""
    message = await wire.receive()
    assert message["type"] == "message"
    await wire.send({"type": "reply", "id": message["id"], **reply})
    return message


async def test_a_session_is_shown(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wire = await api.session(client, key=key, roblox_id=1, place_id=2, job_id="j", executor="Delta")
    session = done(await me.get(f"/sessions/{wire.id}"))["session"]
    assert session == {
        "id": wire.id,
        "user_key": key,
        "script_id": client.script,
        "roblox_id": 1,
        "place_id": 2,
        "job_id": "j",
        "created_at": session["created_at"],
        "executor": "Delta",
        "build": 1,
    }
    await wire.socket.close()


async def test_a_keyless_users_session_has_no_key(api: Api, me: Developer, project: str) -> None:
    wire = await api.session(await api.running_script(project, free_for_all=True))
    assert done(await me.get(f"/sessions/{wire.id}"))["session"]["user_key"] is None
    await wire.socket.close()


async def test_a_disconnect_ends_the_session_and_the_instance(api: Api, me: Developer, project: str, key: str) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    wire = await copy.session()
    assert (await me.post(f"/sessions/{wire.id}/disconnect")).json() == {"success": True}
    assert await wire.stopped() == "DISCONNECTED"
    with pytest.raises(Refused) as caught:
        await copy.beat()
    assert caught.value.code == "DISCONNECTED"
    assert (await me.get(f"/sessions/{wire.id}")).status_code == 404


@pytest.mark.parametrize("data", [{"amount": 5}, [], None, "text", 2**53, 1.5, [{"deep": [1, {"er": None}]}]])
async def test_a_message_reaches_the_handler_and_its_answer_comes_back(
    api: Api, me: Developer, project: str, key: str, data: Any
) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    sent = asyncio.create_task(me.post(f"/sessions/{wire.id}/message", {"key": "give", "data": data}))
    message = await answer(wire, status="returned", data={"given": 5})
    assert (message["key"], message["data"]) == ("give", data)
    assert (await sent).json() == {"success": True, "processed": True, "response": {"given": 5}}
    await wire.socket.close()


async def test_data_is_an_empty_list_by_default(api: Api, me: Developer, project: str, key: str) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    sent = asyncio.create_task(me.post(f"/sessions/{wire.id}/message", {"key": "give"}))
    assert (await answer(wire, status="returned", data=None))["data"] == []
    assert (await sent).json() == {"success": True, "processed": True, "response": None}
    await wire.socket.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"status": "errored", "message": "oops"}, "function errored, message: oops"),
        ({"status": "invalid"}, "invalid return data"),
        ({"status": "missing"}, "function doesnt exist"),
    ],
)
async def test_a_message_that_is_not_processed_is_a_success_with_a_reason(
    api: Api, me: Developer, project: str, key: str, reply: Any, reason: str
) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    sent = asyncio.create_task(me.post(f"/sessions/{wire.id}/message", {"key": "give"}))
    await answer(wire, **reply)
    assert (await sent).json() == {"success": True, "processed": False, "reason": reason}
    await wire.socket.close()


async def test_a_client_that_leaves_never_responded(api: Api, me: Developer, project: str, key: str) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    sent = asyncio.create_task(me.post(f"/sessions/{wire.id}/message", {"key": "give"}))
    await wire.receive()
    await wire.socket.close()
    assert (await sent).json() == {"success": True, "processed": False, "reason": "client never responded"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"key"}),
        ({"key": "", "data": 2**53 + 1}, {"key", "data"}),
        ({"key": "x" * 101, "data": {"a": ["\0"]}}, {"key", "data"}),
        ({"key": 5, "to": "all"}, {"key", "to"}),
    ],
)
async def test_every_wrong_field_of_a_message_is_listed(
    api: Api, me: Developer, project: str, key: str, body: Any, fields: set[str]
) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    assert set(invalid(await me.post(f"/sessions/{wire.id}/message", body))) == fields
    await wire.socket.close()


@pytest.mark.parametrize("data", [b"1e999", b'"\\ud800"', b'{"\\udfff": 1}', b"9" * 400])
async def test_data_that_would_not_arrive_as_it_was_sent_is_refused(
    api: Api, me: Developer, project: str, key: str, data: bytes
) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    response = await me.post(
        f"/sessions/{wire.id}/message",
        content=b'{"key": "give", "data": ' + data + b"}",
        headers={"Content-Type": "application/json"},
    )
    assert list(invalid(response)) == ["data"]
    await wire.socket.close()


async def test_several_sessions_answer_together_in_the_order_of_the_request(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    stranger = await api.developer()
    foreign_project = await stranger.new_project()
    foreign = await api.session(await api.running_script(foreign_project), key=await stranger.new_user(foreign_project))
    wires = [await api.session(client, key=key) for _ in range(3)]
    ids = [wires[2].id, NOBODY, wires[0].id, foreign.id, wires[1].id]
    sent = asyncio.create_task(me.post("/sessions/message", {"session_ids": ids, "key": "give", "data": {}}))
    for number, wire in enumerate(wires):
        await answer(wire, status="returned", data={"number": number})
    missing = {"processed": False, "reason": "session not found"}
    assert done(await sent)["responses"] == [
        {"session_id": ids[0], "processed": True, "response": {"number": 2}},
        {"session_id": NOBODY, **missing},
        {"session_id": ids[2], "processed": True, "response": {"number": 0}},
        {"session_id": foreign.id, **missing},
        {"session_id": ids[4], "processed": True, "response": {"number": 1}},
    ]
    for wire in (*wires, foreign):
        await wire.socket.close()


async def test_several_sessions_are_disconnected_and_foreign_ones_passed_over(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    wires = [await api.session(client, key=key) for _ in range(2)]
    ids = {"session_ids": [wires[0].id, NOBODY, wires[1].id]}
    assert (await (await api.developer()).post("/sessions/disconnect", ids)).json() == {"success": True}
    assert (await me.script(client.script))["total_sessions"] == 2
    assert (await me.post("/sessions/disconnect", ids)).json() == {"success": True}
    assert [await wire.stopped() for wire in wires] == ["DISCONNECTED"] * 2


@pytest.mark.parametrize("path", ["/sessions/disconnect", "/sessions/message"])
@pytest.mark.parametrize("ids", [None, [], [5], ["x"] * 2, [str(number) for number in range(1001)], "x", ["y" * 65]])
async def test_lists_of_sessions_are_bounded(me: Developer, path: str, ids: Any) -> None:
    body = {"session_ids": ids} | ({"key": "give"} if path.endswith("message") else {})
    failed = invalid(await me.post(path, body))
    assert {field.partition(".")[0] for field in failed} == {"session_ids"}
