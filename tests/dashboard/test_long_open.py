"""A page that is left open follows what happens without keeping what is over."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from moonlatch import crypto
from moonlatch.app import Moonlatch
from moonlatch.cli.first_start import first_account
from moonlatch.clock import DAY_MS, now_ms
from moonlatch.config import Settings
from moonlatch.config.sections import ManagementSettings
from moonlatch.live.hub import Member
from moonlatch.live.interface import Instance, Session, Told
from moonlatch.management import newsroom
from support import rows
from support.browser import open_page
from support.developer import Developer
from support.inside import served_inside
from support.rounds import rounds

STAYING, WARM, UPDATES = 20, 20, rounds(30, 1000)
IS_ALL_FETCHED = "() => performance.getEntriesByType('resource').some((one) => one.name.includes('/account-'))"
"""The last of the pages that are fetched in spare time is here."""

KEPT_BYTES = 400_000
"""What a heap may grow by: compiled code, and the browser's own."""


class Silent:
    """A session's socket that nothing is sent to."""

    def close(self, _code: int, _reason: str) -> None: ...


def member(project: str, script: str, number: int) -> Member:
    session = Session(
        id=crypto.new_id(),
        instance_id=crypto.new_id(),
        script_id=script,
        project_id=project,
        user_id=None,
        roblox_id=1000 + number,
        place_id=number,
        job_id=f"job-{number}-end",
        created_at=now_ms() + number,
        executor="Delta",
        build=1,
    )
    instance = Instance(
        id=session.instance_id,
        script_id=script,
        project_id=project,
        user_id=None,
        build=1,
        started_at=session.created_at,
        alive_until=session.created_at + DAY_MS,
    )
    return Member(session, instance, Silent(), Told(0, None))


@dataclass
class Held:
    """What the page holds when all garbage is collected: bytes of its heap, nodes, and listeners."""

    heap: int
    nodes: int
    listeners: int

    @classmethod
    def of(cls, devtools: CDPSession) -> Held:
        for _ in range(3):
            devtools.send("HeapProfiler.collectGarbage")
        counted: dict[str, Any] = devtools.send("Memory.getDOMCounters")
        return cls(
            int(devtools.send("Runtime.getHeapUsage")["usedSize"]), counted["nodes"], counted["jsEventListeners"]
        )

    def must_be_about(self, before: Held) -> None:
        """Nothing may be kept for each of the updates."""
        assert self.nodes - before.nodes < UPDATES
        assert self.listeners - before.listeners < UPDATES / 4
        assert self.heap - before.heap < KEPT_BYTES


async def first_token(moonlatch: Moonlatch) -> str:
    first = await first_account(moonlatch.world, tier="unlimited")
    assert first is not None
    return first.token


def test_a_page_that_follows_for_long_keeps_nothing_of_what_is_over(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newsroom, "LOOK_SECONDS", 0.01)
    settings = Settings(
        data_dir=tmp_path / "data", management=ManagementSettings(requests_per_second=1e4, burst=10_000)
    )
    with served_inside(settings) as server:
        token = server.do(first_token)
        with Developer(server.url, token) as developer:
            project = developer.new_project("Long")
        script, _ = server.do(lambda moonlatch: rows.add_script(moonlatch.database, project, free_for_all=True))
        there: deque[str] = deque()

        def exchange(number: int) -> None:
            """One copy comes, and the oldest goes."""

            async def work(moonlatch: Moonlatch) -> None:
                hub = moonlatch.live._hub  # type: ignore[attr-defined]
                one = member(project, script, number)
                hub.add(one)
                there.append(one.session.id)
                if len(there) > STAYING:
                    hub.remove(there.popleft())

            server.do(work)

        for number in range(STAYING):
            exchange(number)
        with open_page(browser, server.url, token) as visit:
            page = visit.page
            visit.sign_in()
            visit.go(f"/projects/{project}/live?script={script}")
            page.mouse.move(1, 1)  # nothing moves under the pointer
            page.wait_for_function(IS_ALL_FETCHED)

            def follow(first: int, last: int) -> None:
                for number in range(first, last):
                    exchange(number)
                    page.get_by_text(f"job-{number}-end").wait_for()

            follow(STAYING, STAYING + WARM)
            devtools = page.context.new_cdp_session(page)
            before = Held.of(devtools)
            follow(STAYING + WARM, STAYING + WARM + UPDATES)
            expect(page.get_by_role("row")).to_have_count(STAYING + 1)
            after = Held.of(devtools)
            print(f"live, over {UPDATES} updates: {before} became {after}")
            after.must_be_about(before)

            # The overview asks anew for what it shows with every one.
            visit.go(f"/projects/{project}/overview")
            visit.settle()

            def look(first: int, last: int) -> None:
                for number in range(first, last):
                    with page.expect_response(lambda answer: answer.url.endswith(f"/projects/{project}/executions")):
                        exchange(number)
                visit.settle()

            begun = STAYING + WARM + UPDATES
            look(begun, begun + WARM)
            before = Held.of(devtools)
            look(begun + WARM, begun + WARM + UPDATES)
            after = Held.of(devtools)
            print(f"overview, over {UPDATES} updates: {before} became {after}")
            after.must_be_about(before)
        server.do(emptied)


async def emptied(moonlatch: Moonlatch) -> None:
    hub = moonlatch.live._hub  # type: ignore[attr-defined]
    for one in hub.all():
        hub.remove(one.session.id)
