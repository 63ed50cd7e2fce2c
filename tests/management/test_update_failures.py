"""Updates that fail for no fault of the script's: what an engine cannot do, and a loader that cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.management import Api, running_api

NO_ENGINE = [{"param": None, "message": "this server has no such engine"}]


async def refusal_of_an_update(api: Api, engine: str) -> tuple[int, Any, dict[str, Any]]:
    """Status and error of a first update with this engine, and the script afterwards."""
    me = await api.developer()
    project = await me.new_project()
    await me.post(f"/projects/{project}/edit", {"engine": engine})
    script = await me.new_script(project)
    answer = await me.post(f"/scripts/{script}/update", {"script": "print(1)"})
    return answer.status_code, answer.json()["error"], await me.script(script)


async def test_what_the_engine_could_not_do_is_told_and_publishes_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        status, error, script = await refusal_of_an_update(api, "luraph")
    assert (status, error) == (422, {"code": 3, "message": "failed to obfuscate script", "luraph_errors": NO_ENGINE})
    assert script["enabled"] is False


async def test_a_loader_that_cannot_be_made_is_told_as_that_and_publishes_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path, write_loader=lambda **_: b"return (") as api:
        status, error, script = await refusal_of_an_update(api, "embedded")
    assert (status, error["code"], error["message"]) == (422, 5, "failed to obfuscate init script")
    assert [fault["param"] for fault in error["luraph_errors"]] == [None]
    assert script["enabled"] is False
