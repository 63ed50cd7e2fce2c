"""What one network may do: loaders, heartbeats of no copy, tokens that are guessed; a copy's own heartbeats have no limit."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from moonlatch.client.protocol import BAD_BEATS_BURST
from moonlatch.web.limits import WIDER, Buckets, NetworkLimit, RateLimit
from support.client import Refused
from support.client_server import World, running_world

HERE = {"X-Forwarded-For": "2001:db8:1:2::1"}
NEIGHBOUR = {"X-Forwarded-For": "2001:db8:1:2:ffff::9"}
ELSEWHERE = {"X-Forwarded-For": "198.51.100.1"}


async def loader(world: World, script: str, headers: dict[str, str]) -> httpx.Response:
    return await world.http.get(f"{world.url}/loader/{script}", headers=headers)


async def test_a_network_gets_so_many_loaders_at_once(tmp_path: Path) -> None:
    limits = {"loaders_per_second_per_address": 0.1, "loader_burst": 3}
    async with running_world(tmp_path, trusted_proxies=["127.0.0.0/8"], **limits) as world:
        script = (await world.script()).script
        assert [(await loader(world, script, HERE)).status_code for _ in range(3)] == [200] * 3
        refused = await loader(world, script, NEIGHBOUR)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert refused.text.startswith("error(")
        assert (await loader(world, script, ELSEWHERE)).status_code == 200
        world.clock.ahead_ms += 10_000
        assert (await loader(world, script, HERE)).status_code == 200


async def test_beats_of_no_copy_are_limited_and_those_of_copies_are_not(tmp_path: Path) -> None:
    async with running_world(tmp_path, trusted_proxies=["127.0.0.0/8"]) as world:
        copy = await (await world.script()).execute(key=await world.user())
        world.clock.stand_still(world.clock())
        forged = {"instance": copy.instance, "token": "A" * 100, "sequence": 1}
        url = f"{world.url}/client/v1/heartbeat"
        for number in range(BAD_BEATS_BURST):
            bad = await world.http.post(url, json=forged if number % 2 else {}, headers=HERE)
            assert bad.status_code == (404 if number % 2 else 400)
        refused = await world.http.post(url, json=forged, headers=HERE)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert refused.headers["retry-after"] == str(refused.json()["error"]["retry_after"])
        assert (await world.http.post(url, json=forged, headers=ELSEWHERE)).status_code == 404
        # What a copy's own token is answered with, it hears however many bad ones its neighbours send.
        world.http.headers.update(HERE)
        await copy.beat()
        await world.change("update users set blacklisted = true")
        with pytest.raises(Refused) as stopped:
            await copy.beat()
        assert stopped.value.code == "BLACKLISTED"


async def test_a_whole_48_may_do_four_times_what_a_64_may() -> None:
    def make(_kind: str, *, per_second: float, burst: int) -> RateLimit:
        return Buckets(per_second=per_second, burst=burst, monotonic_seconds=lambda: 0.0)

    limit = NetworkLimit(make, "test", per_second=1, burst=5)
    allowed = [(await limit.take(f"2001:db8:1:{number:x}::1")).allowed for number in range(WIDER * 5 + 3)]
    assert allowed == [True] * (WIDER * 5) + [False] * 3
    assert (await limit.take("2001:db8:2::1")).allowed
    for number in range(5):
        assert (await limit.take(f"2001:db8:2:1::{number}")).allowed
    assert not (await limit.take("2001:db8:2:1::9")).allowed
    assert [(await limit.take("192.0.2.1")).allowed for _ in range(6)] == [True] * 5 + [False]
