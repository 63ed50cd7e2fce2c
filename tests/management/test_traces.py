"""Tracing a leaked copy to its key: what is answered, what is left, and what cannot be traced."""

from __future__ import annotations

import random
from base64 import b64encode

import pytest

from moonlatch.builds import leaks
from moonlatch.crypto import COPY_TEMPLATE
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.operations import marking, run_keys, tracing
from moonlatch.operations.marking import holder_of_key
from support.management import Api, Developer, done, invalid, refused
from support.protecting import LUA51_PROGRAMS

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = next(one for one in LUA51_PROGRAMS if one.name == "json.lua").read_text()


async def marked(me: Developer, project: str, *, builds: int = 1) -> str:
    script = await me.new_script(project, mark_copies=True)
    for _ in range(builds):
        done(await me.post(f"/scripts/{script}/update", {"script": JSON, "profile": "standard"}))
    return script


async def copy(api: Api, script: str, user: str, build: int = 1) -> str:
    copies = await marking.copies_of(api.database, api.keyring, script, build)
    assert copies is not None
    return copies.text(marking.holder_of_key(user)).decode()


async def test_a_leak_names_its_key_and_no_other_and_leaves_an_event(api: Api, me: Developer, project: str) -> None:
    script = await marked(me, project, builds=2)
    keys = [await me.new_user(project) for _ in range(4)]
    leaker = (await me.user(keys[2]))["id"]
    # Of a build that is not the newest, and is not kept any more.
    leak = await copy(api, script, leaker, build=1)
    await api.change("delete from builds where script_id = :id and number = 1", id=script)
    found = done(
        await me.post(f"/scripts/{script}/trace", {"file": f"-- mine now\n{leak}"}, headers={"Idempotency-Key": "once"})
    )
    assert (found["build"], found["keys"]) == (1, 4)
    assert found["read"] == found["places"] > 256
    assert [one["named"] for one in found["suspects"]] == [True, False, False, False]
    first = found["suspects"][0]
    assert (first["user_id"], first["user_key"]) == (leaker, keys[2])
    assert first["chance"] < 1e-6 < found["suspects"][1]["chance"]
    (event,) = done(await me.get("/events", params={"kind": "script.traced"}))["events"]
    assert event["resource"]["id"] == script
    assert event["changes"] == {"build": [None, 1], "read": [None, found["read"]], "named": [None, 1]}
    assert (await me.user(keys[2]))["blacklisted"] is False


async def test_keys_are_scored_piece_by_piece(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_KEYS_AT_ONCE", 2)
    script = await marked(me, project)
    keys = [await me.new_user(project) for _ in range(5)]
    leaker = (await me.user(keys[4]))["id"]
    found = done(await me.post(f"/scripts/{script}/trace", {"file": await copy(api, script, leaker), "build": 1}))
    assert found["keys"] == 5
    assert found["suspects"][0]["user_key"] == keys[4]
    assert len({one["user_id"] for one in found["suspects"]}) == 5


async def test_the_copy_of_nobody_here_names_nobody(api: Api, me: Developer, project: str) -> None:
    script = await marked(me, project)
    await me.new_user(project)
    found = done(await me.post(f"/scripts/{script}/trace", {"file": await copy(api, script, "somebody else")}))
    assert [one["named"] for one in found["suspects"]] == [False]


@pytest.mark.parametrize("profile", ["standard", "light"])
async def test_a_run_key_names_its_key_whatever_else_is_there(
    api: Api, me: Developer, project: str, profile: str
) -> None:
    script = await me.new_script(project)
    done(await me.post(f"/scripts/{script}/update", {"script": JSON, "profile": profile}))
    keys = [await me.new_user(project) for _ in range(3)]
    leaker, other = [(await me.user(key))["id"] for key in keys[1:]]
    lock = Lock.drawn(random.Random(1))
    one, another = [run_keys.run_key(api.keyring, lock, script, holder_of_key(user)) for user in (leaker, other)]
    literal = "".join(f"\\{byte}" if byte > 99 else f"\\x{byte:02x}" for byte in one)
    path = f"/scripts/{script}/trace"
    for leak in (one.hex(), f"run('{literal}', {{}})", f"local key = {one.hex().upper()!r} = = ="):
        found = done(await me.post(path, {"file": leak}))
        assert (found["build"], found["places"], found["keys"], found["suspects"]) == (None, 0, 3, [])
        (named,) = found["run_keys"]
        assert (named["user_id"], named["user_key"], named["score"], named["named"]) == (leaker, keys[1], 8, True)
    # Behind as many hashes as scripts have.
    hashes = "\n".join(f"'{random.Random(number).randbytes(32).hex()}'," for number in range(200))
    found = done(await me.post(path, {"file": f"{hashes} '{one.hex()}'"}))
    assert [suspect["user_id"] for suspect in found["run_keys"] if suspect["named"]] == [leaker]
    # Of two who put theirs together both are named.
    found = done(await me.post(path, {"file": (one[:16] + another[16:]).hex()}))
    assert {suspect["user_id"] for suspect in found["run_keys"] if suspect["named"]} == {leaker, other}
    refused(await me.post(path, {"file": "print(1)"}), 409, 1, "no build has marked copies")
    refused(await me.post(path, {"file": f"print('{'ab' * 32}')"}), 409, 1, "no build has marked copies")
    event = done(await me.get("/events", params={"kind": "script.traced", "resource": script}))["events"][-1]
    assert event["changes"]["named"] == [None, 1]


async def test_a_leak_with_marks_and_a_run_key_is_traced_by_both(api: Api, me: Developer, project: str) -> None:
    script = await marked(me, project)
    user = (await me.user(await me.new_user(project)))["id"]
    run_key = run_keys.run_key(api.keyring, Lock.drawn(random.Random(1)), script, holder_of_key(user))
    found = done(
        await me.post(f"/scripts/{script}/trace", {"file": f"-- {run_key.hex()}\n{await copy(api, script, user)}"})
    )
    assert found["build"] == 1
    assert [one["user_id"] for one in (*found["suspects"], *found["run_keys"]) if one["named"]] == [user, user]


async def test_what_cannot_be_traced_is_refused_and_leaves_nothing(api: Api, me: Developer, project: str) -> None:
    plain = await me.new_script(project)
    refused(await me.post(f"/scripts/{plain}/trace", {"file": "print(1)"}), 409, 1, "no build has marked copies")
    script = await marked(me, project)
    path = f"/scripts/{script}/trace"
    refused(await me.post(path, {"file": "print(1)", "build": 7}), 409, 1, "no build has marked copies")
    refused(await me.post(path, {"file": "print(1)"}), 422, 2, "nothing of a build was read")
    assert invalid(await me.post(path, {"file": "local = 1"})).keys() == {"file"}
    assert "file" in invalid(await me.post(path, {"file": ""}))
    (told,) = invalid(await me.post(path, {"file": "1" * 100_000}))["file"]
    assert told.startswith("is not a script: script:1: ")
    assert len(told) < 500
    assert done(await me.get("/events", params={"kind": "script.traced", "resource": script}))["events"] == []


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_a_template_that_cannot_be_read_keeps_none_of_the_others_from_it(
    api: Api, me: Developer, project: str, is_sealed: bool
) -> None:
    script = await marked(me, project, builds=3)
    user = (await me.user(await me.new_user(project)))["id"]
    leak = await copy(api, script, user)
    template = await api.value("select id from templates where script_id = :id and build = 3", id=script)
    secret = b64encode(b"no template").decode()
    damaged = api.keyring.seal_secret(COPY_TEMPLATE, template, secret) if is_sealed else b"damaged"
    await api.change("update templates set template = :damaged where id = :id", damaged=damaged, id=template)
    path = f"/scripts/{script}/trace"
    found = done(await me.post(path, {"file": leak}))
    assert (found["build"], [one["user_id"] for one in found["suspects"] if one["named"]]) == (1, [user])
    hint = "what the copies of build 3 are told by cannot be read: it is damaged, or a master key is missing"
    for body in ({"file": leak, "build": 3}, {"file": "print(1)"}):
        refused(await me.post(path, body), 422, 3, "failed to trace", hint=hint)
    # A run key names its key as it would without builds.
    run_key = run_keys.run_key(api.keyring, Lock.drawn(random.Random(1)), script, holder_of_key(user))
    found = done(await me.post(path, {"file": run_key.hex(), "build": 3}))
    assert (found["build"], [one["user_id"] for one in found["run_keys"] if one["named"]]) == (None, [user])


async def test_a_leak_that_takes_too_long_to_read_is_refused(
    me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = await marked(me, project)
    monkeypatch.setattr(leaks, "MOST_SECONDS", 0.001)
    answer = await me.post(f"/scripts/{script}/trace", {"file": "local x = 1\n" * 40_000})
    refused(answer, 422, 3, "failed to trace", hint="the script took longer than the 0.001 s it may take, to be traced")


async def test_a_trace_that_takes_too_long_with_all_builds_says_so_and_one_that_only_waited_is_to_try_again(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = await marked(me, project, builds=2)
    path, much = f"/scripts/{script}/trace", "local x = 1\n" * 250_000
    monkeypatch.setattr(leaks, "RESTS", 0)
    monkeypatch.setattr(tracing, "UPDATE_SECONDS", 0.5)
    assert (await me.post(path, {"file": much})).status_code == 429
    monkeypatch.setattr(tracing, "MOST_SECONDS", 0.0)
    answer = await me.post(path, {"file": much})
    assert "name the build" in answer.json()["error"]["hint"]
    refused(answer, 422, 3, "failed to trace", hint=answer.json()["error"]["hint"])
    assert done(await me.get("/events", params={"kind": "script.traced", "resource": script}))["events"] == []


async def test_who_may_not_see_keys_may_not_trace(api: Api, me: Developer, script: str) -> None:
    reader = Developer(me.account, await api.token(me.account, permissions=("scripts:read", "keys:read")), api.http)
    assert (await reader.post(f"/scripts/{script}/trace", {"file": "print(1)"})).status_code == 403
