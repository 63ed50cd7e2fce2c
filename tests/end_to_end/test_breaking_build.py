"""A build that really crashes, in the real loader under real Luau: told of with the line of its source, and its rollout halted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from moonlatch.client.loader_source import loader_source
from moonlatch.jobs.releases import release_due
from support.client import Client
from support.lua_host import LoaderRun
from support.management import Api, done, running_api

GOOD = "print('good')\nwhile true do moonlatch_host.wait(1) end\n"
BROKEN = """-- version two
local function follow(thing)
    local part = thing.Character
    return part.Humanoid.Health
end

print("begun")
follow({})
"""
STARTS = 62
FASTER = 60


def loaded(api: Api, script: str, key: str) -> LoaderRun:
    """The script's loader in Luau, for which half a minute is half a second, and whose clock is right."""
    return LoaderRun(
        f"{api.url}/loader/{script}",
        key=key,
        fingerprint=key,
        websocket=False,
        executor="Delta",
        time_rate=FASTER,
        clock_rate=1 / FASTER,  # type: ignore[arg-type]
    )


async def ran(api: Api, script: str, key: str) -> list[str]:
    """What the loader's script did until it had said how its start went."""

    def run() -> list[str]:
        with loaded(api, script, key) as running:
            raised = running.wait_for("raised")
            running.finish()
            return [*running.lines, raised]

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("profile", ["minify", "standard"])
async def test_it_is_told_of_with_its_line_and_its_rollout_is_halted(tmp_path: Path, profile: str) -> None:
    here: list[str] = []
    async with running_api(tmp_path, write_loader=lambda **of: loader_source(**of | {"base_url": here[0]})) as api:
        here.append(api.url)
        me = await api.developer()
        project = await me.new_project()
        script = done(
            await me.post(
                f"/projects/{project}/scripts",
                {"name": "Fishing", "profile": profile, "use_heartbeat": False, "report_errors": True},
            )
        )["script"]["id"]
        done(await me.post(f"/scripts/{script}/update", {"script": GOOD}))
        half = {"steps": [{"basis_points": 5_000, "minutes": 600}]}
        rollout = done(await me.post(f"/scripts/{script}/update", {"script": BROKEN, **half}))["rollout"]
        loader = await api.value("select loader from scripts where id = :id", id=script)
        client = Client(
            api.url, script, loader, api.keyring.loader_secret(loader), api.http, exchange_key=api.keyring.exchange_key
        )
        keys = [
            user["key"] for user in done(await me.post(f"/projects/{project}/users", {"amount": 2 * STARTS}))["users"]
        ]
        broken = [
            key for key in keys if (await client.execute(key=key, fingerprint=key)).variables["la_script_build"] == 2
        ]

        *lines, raised = await ran(api, script, broken[0])
        assert lines == ["begun"], raised
        await api.reports.settle()
        (error,) = done(await me.get(f"/scripts/{script}/errors"))["errors"]
        assert (error["line"], error["function"], error["build"], error["kind"]) == (4, "follow", 2, "main")
        assert error["message"].startswith("attempt to index nil with")
        assert error["executors"] == {"Delta": 1}
        assert (error["instances"], error["keys"]) == (1, 1)
        explained = done(await me.get(f"/scripts/{script}/builds/2/explain", params={"place": raised}))
        assert explained["place"] == {"file": None, "line": 4, "function": "follow"}

        comparison = done(await me.get(f"/rollouts/{rollout}"))["comparison"]
        assert comparison["by"] == "time"
        assert comparison["reason"].startswith("fewer than 50 starts")
        await started(client, keys, error)
        await api.reports.settle()
        assert done(await me.get(f"/rollouts/{rollout}"))["rollout"]["state"] == "rolling"
        api.clock.ahead_ms += 5 * 60_000
        before = done(await me.get(f"/rollouts/{rollout}"))["comparison"]
        assert before["by"] == "starts"
        assert before["new"] == {"starts": len(broken), "errors": len(broken), "silent": 0}
        assert await release_due(api.world) == 1
        halted = done(await me.get(f"/rollouts/{rollout}"))["rollout"]
        assert halted["state"] == "halted"
        because = halted["halted_because"]
        assert (because["because"], because["error"]) == ("errors", error["id"])
        assert (because["new"], because["control"]["errors"]) == (before["new"], 0)
        assert because["p_value"] < 0.0005
        events = done(await me.get("/events?kind=script.rollout_halted"))["events"]
        assert events[0]["changes"]["new"][1] == because["new"]
        assert events[0]["actor"]["kind"] == "job"
        assert (await client.execute(key=broken[0], fingerprint=broken[0])).variables["la_script_build"] == 1


async def started(client: Client, keys: list[str], error: dict[str, Any]) -> None:
    """Each key starts once and says how it went, as the loader does; who ran it before only says it again."""
    for key in keys:
        copy = await client.execute(key=key, fingerprint=key, reports=True)
        is_broken = copy.variables["la_script_build"] == 2
        if is_broken:
            told = {name: error[name] for name in ("message", "kind")}
            await copy.report(error={**told, "line": int(error["place"])})
        await copy.report(health="error" if is_broken else "ok")
