"""From a place in a build to the source's line, by the API."""

from __future__ import annotations

import pytest

from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = "local function price(item)\n  return item.cost * 2\nend\n\nprint(price({}))\n"


async def test_a_place_in_a_build_is_that_of_the_source(api: Api, me: Developer, script: str) -> None:
    update = {"script": SOURCE, "profile": "minify"}
    number = done(await me.post(f"/scripts/{script}/update", update))["build"]
    path = f"/scripts/{script}/builds/{number}/explain"
    places = [done(await me.get(path, params={"place": f"Shop:{line}: attempt to index nil"})) for line in range(1, 5)]
    assert {"file": None, "line": 2, "function": "price"} in [each["place"] for each in places]
    assert all(each["mapped"] for each in places)
    assert invalid(await me.get(path, params={"place": "it broke"})) == {"place": ["names no line"]}
    absent = f"/scripts/{script}/builds/{number + 1}/explain"
    refused(await me.get(absent, params={"place": "1"}), 409, 1, "build does not exist", build=number + 1)
