"""How scripts are protected: their settings, what one update asks for, and what its build says it was made with."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.obfuscator.options import DEFAULT_PROFILE, PROFILES
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = "local text = 'a text'\nprint(text)"


async def protection(me: Developer, script: str) -> Any:
    return done(await me.get(f"/scripts/{script}/protection"))["protection"]


async def newest_build(me: Developer, script: str) -> Any:
    return done(await me.get(f"/scripts/{script}/builds"))["builds"][0]


async def test_a_script_leaves_everything_to_the_server_until_it_is_set(me: Developer, script: str) -> None:
    assert await protection(me, script) == {
        "profile": None,
        "target": None,
        "engine": None,
        "effective": {"profile": DEFAULT_PROFILE, "target": None, "engine": "embedded"},
    }


async def test_an_edit_sets_profile_target_and_engine_and_an_empty_text_unsets_them(me: Developer, script: str) -> None:
    chosen = {"profile": "minify", "target": "luau", "engine": "embedded"}
    edit = f"/scripts/{script}/edit"
    before = await me.script(script)
    assert (await me.post(edit, chosen)).json() == {"success": True}
    assert await protection(me, script) == {**chosen, "effective": chosen}
    await me.post(edit, {"target": "", "engine": None})
    expected = {"profile": "minify", "target": None, "engine": "embedded"}
    assert await protection(me, script) == {**expected, "effective": expected}
    # The script object itself stays as specified.
    assert await me.script(script) == before


async def test_a_new_script_may_be_created_with_them(me: Developer, project: str) -> None:
    script = await me.new_script(project, profile="minify", target="lua51", engine="embedded")
    assert (await protection(me, script))["effective"] == {
        "profile": "minify",
        "target": "lua51",
        "engine": "embedded",
    }


async def test_a_build_tells_what_it_was_made_with(api: Api, me: Developer, script: str) -> None:
    await me.post(f"/scripts/{script}/edit", {"profile": "minify"})
    update = f"/scripts/{script}/update"
    made = []
    for asked in ({}, {"profile": "light", "target": "luau"}, {"profile": None, "target": None, "engine": None}):
        done(await me.post(update, {"script": SOURCE, **asked}))
        build = await newest_build(me, script)
        payload = await api.value(
            "select payload from builds where script_id = :id and number = :number", id=script, number=build["number"]
        )
        made.append((build["profile"], build["target"], build["engine"], b"a text" in payload))
    assert made == [
        ("minify", None, "embedded", True),
        ("light", "luau", "embedded", False),
        ("minify", None, "embedded", True),
    ]


async def test_a_target_the_source_cannot_be_written_in_is_a_fault_of_the_script(me: Developer, script: str) -> None:
    response = await me.post(f"/scripts/{script}/update", {"script": "local n = 12345i", "target": "lua51"})
    output = response.json()["error"]["parser_output"]
    refused(response, 422, 2, "script is invalid", parser_output=output)
    assert output.startswith("script:1: ")


@pytest.mark.parametrize("endpoint", ["edit", "update"])
async def test_every_wrong_choice_names_its_field_and_what_there_is(me: Developer, script: str, endpoint: str) -> None:
    body = {"profile": "extreme", "target": "lua54", "engine": "other"}
    if endpoint == "update":
        body |= {"script": SOURCE}
    failed = invalid(await me.post(f"/scripts/{script}/{endpoint}", body))
    assert set(failed) == {"profile", "target", "engine"}
    assert failed["profile"][0].startswith(f"must be one of: {', '.join(PROFILES)}")


async def test_one_update_cannot_unset_what_it_does_not_have(me: Developer, script: str) -> None:
    body = {"script": SOURCE, "profile": "", "target": 5, "engine": ["embedded"]}
    assert set(invalid(await me.post(f"/scripts/{script}/update", body))) == {"profile", "target", "engine"}


async def test_a_script_is_protected_by_its_projects_engine_unless_it_names_one(
    me: Developer, project: str, script: str
) -> None:
    await me.post(f"/projects/{project}/edit", {"engine": "luraph"})
    await me.post(f"/scripts/{script}/edit", {"profile": "light", "target": "lua51"})
    # Another engine gets the plainest form that ours makes.
    assert (await protection(me, script))["effective"] == {"profile": "minify", "target": "lua51", "engine": "luraph"}
    await me.post(f"/scripts/{script}/edit", {"engine": "embedded"})
    assert (await protection(me, script))["effective"]["engine"] == "embedded"
    await me.post(f"/scripts/{script}/edit", {"engine": ""})
    assert (await protection(me, script))["effective"]["engine"] == "luraph"
