"""What is new in a project, looked up once a second for all who want to know. Decides nothing about who may."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from moonlatch.errors import rate_limited
from moonlatch.live.interface import Live, LiveUnavailableError, SessionFilter
from moonlatch.storage import events, scripts
from moonlatch.storage.events import EventFilter
from moonlatch.storage.interface import Database, Unavailable

LOOK_SECONDS = 1.0
MAX_SCRIPTS = 100
"""The oldest scripts of a project; of more, the others are not followed."""

MAX_READERS = 500
MAX_READERS_OF_ACCOUNT = 30
_EVERYBODY = SessionFilter()


class ScriptNews(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a script's copies are alive, and which session is the newest: together they change with every one that comes or goes."""

    id: str
    sessions: int
    instances: int
    newest_session: str | None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """How a project is now. `event` is the id of its latest event."""

    event: str | None
    scripts: list[ScriptNews]


async def look(database: Database, live: Live, account_id: str, project_id: str) -> News:
    """The news of this moment. Raises Unavailable and LiveUnavailableError."""
    where = EventFilter(project_id=project_id)
    latest = await events.list_of_account(database, account_id, where, before_id=None, limit=1)
    followed = await scripts.list_of_project(database, project_id, offset=0, limit=MAX_SCRIPTS)
    return News(
        event=latest[0].id if latest else None, scripts=[await _of_script(live, script.id) for script in followed]
    )


async def _of_script(live: Live, script_id: str) -> ScriptNews:
    counts = await live.counts(script_id)
    newest = await live.sessions(script_id, _EVERYBODY, counts.sessions - 1, 1) if counts.sessions else []
    return ScriptNews(
        id=script_id,
        sessions=counts.sessions,
        instances=counts.instances,
        newest_session=newest[0].id if newest else None,
    )


@dataclass(slots=True, eq=False)
class _Desk:
    """One project that is followed."""

    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    news: News | None = None
    has_ended: bool = False
    readers: int = 0
    task: asyncio.Task[None] | None = None


class Newsroom:
    """Follows the projects that somebody reads of, each once, however many read."""

    def __init__(
        self,
        database: Database,
        live: Live,
        *,
        is_ending: Callable[[], bool],
        max_readers_of_account: int = MAX_READERS_OF_ACCOUNT,
    ) -> None:
        """`is_ending` says that the process stops: whoever reads is let go."""
        self._database = database
        self._live = live
        self._is_ending = is_ending
        self.max_readers_of_account = max_readers_of_account
        self._desks: dict[str, _Desk] = {}
        self._readers: Counter[str] = Counter()

    @property
    def readers(self) -> int:
        """How many read now."""
        return self._readers.total()

    @contextlib.asynccontextmanager
    async def reading(
        self, account_id: str, project_id: str
    ) -> AsyncIterator[Callable[[News | None], Awaitable[News | None]]]:
        """Gives `after(known)`: the news as soon as they are others than those; None when there will be none.

        Raises ApiError 429 for one reader too many.
        """
        if self._readers[account_id] >= self.max_readers_of_account or self.readers >= MAX_READERS:
            raise rate_limited(30)
        self._readers[account_id] += 1
        desk = self._desks.get(project_id)
        if desk is None or desk.has_ended:
            desk = self._desks[project_id] = _Desk()
            desk.task = asyncio.create_task(self._follow(desk, account_id, project_id), name="news")
        desk.readers += 1

        async def after(known: News | None) -> News | None:
            async with desk.changed:
                await desk.changed.wait_for(lambda: desk.has_ended or desk.news not in (None, known))
            return None if desk.has_ended else desk.news

        try:
            yield after
        finally:
            desk.readers -= 1
            if desk.readers == 0:
                assert desk.task is not None
                desk.task.cancel()
                if self._desks.get(project_id) is desk:
                    del self._desks[project_id]
            self._readers[account_id] -= 1
            if self._readers[account_id] == 0:
                del self._readers[account_id]

    async def _follow(self, desk: _Desk, account_id: str, project_id: str) -> None:
        try:
            while not self._is_ending():
                news = await look(self._database, self._live, account_id, project_id)
                if news != desk.news:
                    async with desk.changed:
                        desk.news = news
                        desk.changed.notify_all()
                await asyncio.sleep(LOOK_SECONDS)
        except (Unavailable, LiveUnavailableError):
            pass  # whoever reads comes again
        finally:
            desk.has_ended = True
            async with desk.changed:
                desk.changed.notify_all()
