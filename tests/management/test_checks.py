"""Checking a script that is being written: the same words as an update's, and neither a build nor a cost."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.builds import drafts
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def checked(me: Developer, script: str, source: str, **asked: Any) -> Any:
    return done(await me.post(f"/scripts/{script}/check", {"script": source, **asked}))


async def test_a_valid_script_is_called_so_and_nothing_is_made_or_charged(api: Api) -> None:
    me = await api.developer(tier="tiny")
    script = await me.new_script(await me.new_project())
    before = (await me.get("/account")).json(), (await me.get("/events")).json(), await me.script(script)
    reply = await checked(me, script, "local x: number = 1\nx += 1\nprint(`{x}`)")
    assert reply == {"success": True, "valid": True, "parser_output": None, "hint": None, "warnings": []}
    after = (await me.get("/account")).json(), (await me.get("/events")).json(), await me.script(script)
    assert after == before
    assert done(await me.get(f"/scripts/{script}/builds"))["builds"] == []


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("local x = = 1\nlocal y = = 2", {}),
        ("if a != b then end", {}),
        ("la_is_premium = true", {}),
        ("local n = 12345i", {"target": "lua51"}),
        ("LPH_NO_VIRTUALIZE(1)", {}),
    ],
)
async def test_what_is_wrong_is_said_as_an_update_says_it(
    me: Developer, script: str, source: str, asked: dict[str, str]
) -> None:
    error = (await me.post(f"/scripts/{script}/update", {"script": source, **asked})).json()["error"]
    assert error["code"] == 2
    reply = await checked(me, script, source, **asked)
    assert (reply["valid"], reply["parser_output"], reply["hint"], reply["warnings"]) == (
        False,
        error["parser_output"],
        error.get("hint"),
        [],
    )


async def test_its_warnings_are_those_of_an_update_with_the_scripts_settings(me: Developer, script: str) -> None:
    source = "print(LPH_ENCSTR('text'))"
    done(await me.post(f"/scripts/{script}/edit", {"profile": "minify"}))
    warnings = (await checked(me, script, source))["warnings"]
    assert warnings == done(await me.post(f"/scripts/{script}/update", {"script": source}))["warnings"]
    assert "has no effect with the profile 'minify'" in warnings[0]
    assert (await checked(me, script, source, profile="standard"))["warnings"] == []


async def test_a_script_that_is_too_large_is_not_looked_at(api: Api, me: Developer, script: str) -> None:
    reply = await me.post(f"/scripts/{script}/check", {"script": " " * (512 * 1024 + 1)})
    assert reply.status_code == 413
    assert reply.json()["error"]["failed"][0]["field"] == "script"
    tiny = await api.developer(tier="tiny")
    small = await tiny.new_script(await tiny.new_project())
    assert (await tiny.post(f"/scripts/{small}/check", {"script": " " * 1_001})).status_code == 413
    assert "script" in invalid(await me.post(f"/scripts/{script}/check", {"script": ""}))


async def test_a_draft_that_takes_too_long_to_read_is_told_as_neither_valid_nor_wrong(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = await api.developer()
    script = await me.new_script(await me.new_project())
    monkeypatch.setattr(drafts, "MOST_SECONDS", 0.001)
    answer = await me.post(f"/scripts/{script}/check", {"script": "local x = 1\n" * 40_000})
    told = {"param": "script", "message": "the script took longer than the 0.001 s it may take"}
    told["message"] += ", to be looked through while it is written"
    refused(answer, 422, 0, "failed to check script", luraph_errors=[told])


async def test_who_may_not_publish_may_not_have_workers_read(api: Api, me: Developer, script: str) -> None:
    reader = Developer(me.account, await api.token(me.account, permissions=("scripts:read",)), api.http)
    assert (await reader.post(f"/scripts/{script}/check", {"script": "print(1)"})).status_code == 403
