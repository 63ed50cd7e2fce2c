"""The server that histories are compared with, and what it tells of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from moonlatch.clock import now_ms
from support.management import Api, Developer, done, running_api
from support.model_events import Event
from support.quick_http import QuickHttp
from support.rounds import IS_LONG

T = TypeVar("T")
MOST_OF_A_PAGE = 1000

discords = st.sampled_from([None, None, "111111111111111111", "222222222222222222"])
seldom = st.sampled_from([False] * 9 + [True])


def try_histories(steps: type[RuleBasedStateMachine], world: ModelServer, *, examples: int, most_steps: int) -> None:
    """Do random steps on the server and on the model, `examples` times from the beginning: always the same in the short form."""
    run_state_machine_as_test(
        type(f"Bound{steps.__name__}", (steps,), {"world": world}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=most_steps,
            deadline=None,
            database=None,
            # Every step is a call to a server that remembers: shrinking would take longer than reading a history.
            phases=[Phase.generate],
            derandomize=not IS_LONG,
            suppress_health_check=list(HealthCheck),
        ),
    )


class ModelServer:
    """One server for all histories. Runs on an event loop that stands still in between, and so does its clock."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        # The loop stands still for as long as a step is drawn.
        self._server = running_api(
            folder, database_url=database_url, keep_alive_seconds=600, monotonic=lambda: self.api.clock() / 1000
        )
        self.api: Api = self.run(self._server.__aenter__())
        self.http = QuickHttp(self.api.url)
        self.api.clock.stand_still(now_ms())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, 60))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.http.close())
        self.run(self._server.__aexit__(None, None, None))
        self._loop.close()

    def events(self, reader: Developer) -> list[Any]:
        """All that the reader's account has left, oldest first, as the API shows them."""
        found: list[Any] = []
        cursor = ""
        while cursor is not None:
            page = done(self.run(reader.get(f"/events?limit={MOST_OF_A_PAGE}&cursor={cursor}")))
            found += page["events"]
            cursor = page["next"]
        return found[::-1]


def grouped(shown: Iterable[Any], like: Iterable[list[Event]]) -> list[list[str]]:
    """Events as the API shows them, to be compared: those that one call left together have no order."""
    left = [_line_of_shown(event) for event in shown]
    groups = []
    for group in like:
        groups.append(sorted(left[: len(group)]))
        del left[: len(group)]
    return [*groups, left] if left else groups


def predicted(groups: Iterable[list[Event]]) -> list[list[str]]:
    """The model's events, as `grouped` gives the server's."""
    return [sorted(_line_of_model(event) for event in group) for group in groups]


def _line_of_shown(event: Any) -> str:
    actor, resource = event["actor"], event["resource"]
    return json.dumps(
        [
            event["at"],
            event["kind"],
            [actor["kind"], actor["id"], actor["name"]],
            event["project_id"],
            [resource["kind"], resource["id"], resource["label"]],
            event["changes"],
        ],
        sort_keys=True,
    )


def _line_of_model(event: Event) -> str:
    actor = event.actor
    return json.dumps(
        [
            event.at,
            event.kind,
            [actor.kind, actor.id, actor.name],
            event.project,
            list(event.resource),
            event.changes,
        ],
        sort_keys=True,
    )
