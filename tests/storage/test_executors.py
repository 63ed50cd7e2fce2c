"""Which names of executors are counted by themselves, on every engine and whatever clients call themselves."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonlatch.storage import executions, projects
from moonlatch.storage.executions import Execution, Use, record_all
from moonlatch.storage.interface import Database
from support import rows
from support.database import ENGINES, engine_url, opened_at


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


def start(number: int, project: str, script: str, executor: str) -> Execution:
    return Execution(
        id=f"{number:032}",
        project_id=project,
        script_id=script,
        build=1,
        user_id=None,
        premium=False,
        fingerprint=None,
        ip=None,
        executor=executor,
        started_at=1,
    )


@pytest.mark.parametrize("seed", range(3))
async def test_a_name_of_more_than_its_share_has_a_place_in_whatever_order_they_come(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(executions, "MAX_EXECUTORS", 10)
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    names = [f"made up {number}" for number in range(60)] + [f"twice {number // 2}" for number in range(60)]
    names += ["Delta"] * 20 + ["Wave"] * 15
    random.Random(seed).shuffle(names)
    for begin in range(0, len(names), 7):
        batch = [start(begin + number, project, script, name) for number, name in enumerate(names[begin : begin + 7])]
        assert all(isinstance(outcome, Use) for outcome in await record_all(database, batch))
    counted = await projects.executors(database, project, since="1970-01-01")
    assert {"Delta", "Wave"} <= counted.keys()
    assert len(counted) == 11
    assert sum(counted.values()) == len(names)
    assert all(times <= names.count(name) for name, times in counted.items() if name != "other")
