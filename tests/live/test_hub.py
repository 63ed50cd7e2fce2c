"""Looking at sessions again: their indexes, and that nothing is kept of those that left."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from moonlatch.crypto import new_id
from moonlatch.live.interface import SessionFilter
from moonlatch.live.memory import LocalLive
from support import rows
from support.client_server import MovableClock
from support.database import fresh_sqlite
from support.live import empty, join


async def test_a_change_is_looked_at_where_it_matters_and_nowhere_else(tmp_path: Path) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    live = LocalLive(database=database, clock=MovableClock())
    project = await rows.add_project(database)
    user = await rows.id_of(database, await rows.add_user(database, project, blacklisted=True))
    connections = []
    for _ in range(2):
        script, _ = await rows.add_script(database, project, free_for_all=True)
        connections += [(await join(live, script, project, whose))[1] for whose in (None, user)]
    await live.user_changed(new_id())
    await live.script_changed(new_id())
    await live.project_changed(new_id())
    assert [connection.heard for connection in connections] == [[], [], [], []]
    await live.user_changed(user)
    assert [connection.heard for connection in connections] == [[], ["BLACKLISTED"], [], ["BLACKLISTED"]]
    await rows.change(database, "update scripts set enabled = false")
    await live.project_changed(project)
    assert [connection.heard for connection in connections[::2]] == [["SCRIPT_DISABLED"], ["SCRIPT_DISABLED"]]
    await empty(live)
    await database.close()


async def test_nothing_is_kept_of_sessions_that_left(tmp_path: Path) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    live = LocalLive(database=database, clock=MovableClock())
    joined = [(await join(live, f"script {number % 3}", "project", f"key {number % 5}"))[0] for number in range(30)]
    for session in joined:
        await live.leave(session.id)
        await live.leave(session.id)
    hub = live._hub
    assert not len(hub)
    assert not hub._by_instance
    assert not hub._by_script
    assert not hub._by_user
    assert not hub._by_project
    assert await live.sessions("script 0", SessionFilter(), 0, 10) == []
    await empty(live)
    await database.close()


async def test_a_stopped_session_is_gone_before_its_socket_is(tmp_path: Path) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    live = LocalLive(database=database, clock=MovableClock())
    session, connection = await join(live, "script", "project", None)
    await live.script_changed("script")
    assert connection.heard == ["SCRIPT_NOT_FOUND"]
    assert await live.session(session.id) is None
    assert (await live.counts("script")).instances == 0
    await live.leave(session.id)
    assert (await live.counts("script")).instances == 0
    await empty(live)
    await database.close()


async def test_every_session_hears_of_the_server_in_its_turn_and_all_within_one_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlatch.live.hub.TICK_SECONDS", 0.01)
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 0.2)
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    live = LocalLive(database=database, clock=MovableClock())
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, free_for_all=True)
    first, *others = [(await join(live, script, project, None))[1] for _ in range(40)]
    seen = []
    async with asyncio.timeout(60):
        while len(first.heard) < 4:
            await asyncio.sleep(0.01)
            seen.append(sum(len(connection.heard) for connection in others))
    assert {len(connection.heard) for connection in others} <= {3, 4}
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 20
    await empty(live)
    await database.close()


async def test_sessions_hear_of_the_server_also_while_its_database_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlatch.live.hub.TICK_SECONDS", 0.01)
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 0.05)
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    await rows.change(database, "drop table scripts")
    live = LocalLive(database=database, clock=MovableClock())
    _, connection = await join(live, "script", "project", None)
    async with asyncio.timeout(60):
        while len(connection.heard) < 3:
            await asyncio.sleep(0.01)
    assert set(connection.heard) == {"alive"}
    await empty(live)
    await database.close()
