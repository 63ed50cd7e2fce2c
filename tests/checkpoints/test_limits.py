"""How often one network may look, begin and vouch: whoever asks more is told when to come again, and nobody else waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from moonlatch.checkpoints import face, text
from moonlatch.config.sections import CheckpointSettings
from support.client_server import plain_http
from support.management import Api, Developer, running_api
from support.visitor import ELSEWHERE, HERE, System, new_system, told

VIEWS, BEGINS, POSTBACKS = 5, 3, 4


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A server with few of each; its clock stands still."""
    monkeypatch.setattr(face, "_BEGIN_BURST", BEGINS)
    monkeypatch.setattr(face, "_POSTBACK_BURST", POSTBACKS)
    few = CheckpointSettings(view_burst=VIEWS, views_per_second_per_address=0.5)
    async with running_api(tmp_path, checkpoints=few, trusted_proxies=("127.0.0.1",)) as running:
        running.clock.stand_still(running.clock())
        yield running


@pytest.fixture
async def me(api: Api) -> Developer:
    return await api.developer()


@pytest.fixture
async def system(me: Developer) -> System:
    return await new_system(me, await me.new_project(), "lootlabs", slug="free-keys")


async def asked(api: Api, method: str, path: str, address: str) -> httpx.Response:
    async with plain_http(base_url=api.url, headers={"x-forwarded-for": address}) as http:
        return await http.request(method, path)


async def test_one_network_is_shown_so_many_pages(api: Api, system: System) -> None:
    pages = ["/get/free-keys", "/get/free-keys/go", f"/verify/{system.steps[0]}", "/get/nothing", "/get/for/nothing"]
    statuses = [(await asked(api, "GET", page, HERE)).status_code for page in pages]
    assert statuses == [200, 403, 403, 404, 404]
    for method, page in [("GET", page) for page in pages] + [("POST", "/get/free-keys"), ("HEAD", "/get/free-keys")]:
        reply = await asked(api, method, page, HERE)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")
    assert text.TOO_MANY.format(seconds=2) in (await asked(api, "GET", "/get/free-keys", HERE)).text
    assert (await asked(api, "GET", "/get/page.css", HERE)).status_code == 200, "what a page is made of is no page"
    assert (await asked(api, "GET", "/get/free-keys", ELSEWHERE)).status_code == 200
    api.clock.ahead_ms += 2_000
    assert [(await asked(api, "GET", "/get/free-keys", HERE)).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("addresses", [[HERE] * 4, [f"2001:db8:1:2::{number}" for number in range(4)]])
async def test_one_network_begins_so_often(api: Api, system: System, addresses: list[str]) -> None:
    """Each is another browser; of IPv6 addresses a customer has a whole /64."""
    begun = [await asked(api, "POST", "/get/free-keys", address) for address in addresses]
    assert [reply.status_code for reply in begun] == [303, 303, 303, 429]
    assert told(begun[-1]) == text.TOO_MANY.format(seconds=5)
    assert "set-cookie" not in begun[-1].headers, "who did not begin is nobody"
    assert (await asked(api, "POST", "/get/free-keys", ELSEWHERE)).status_code == 303
    api.clock.ahead_ms += 5_000
    again = [(await asked(api, "POST", "/get/free-keys", addresses[0])).status_code for _ in range(2)]
    assert again == [303, 429]


async def test_one_address_vouches_so_often_and_pages_are_counted_by_themselves(api: Api, system: System) -> None:
    path = f"{urlsplit(str(system.postbacks[0])).path}?click_id=none&ip={HERE}&unique_id=none"
    calls = [await asked(api, "GET", path, HERE) for _ in range(POSTBACKS + 1)]
    assert [reply.status_code for reply in calls] == [409] * POSTBACKS + [429]
    assert calls[-1].headers["retry-after"] == "1"
    guesses = [(await asked(api, "GET", f"/postback/{number}", HERE)).status_code for number in range(3)]
    assert guesses == [429] * 3
    assert (await asked(api, "GET", path, ELSEWHERE)).status_code == 409
    assert (await asked(api, "GET", "/get/free-keys", HERE)).status_code == 200
