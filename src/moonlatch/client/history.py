"""Writes down what a supporter asks about later: whose starts were, refusals of keys that exist, how copies ended.

Together, a moment later, and bounded. Nobody waits for it and nothing rests on it: a crash loses a second of it, and what is too
much is dropped. Somebody with a key may be refused as often as they like without filling the disk or holding up a start.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from moonlatch.client.late_log import LateLog
from moonlatch.client.sharing import SharingWatch
from moonlatch.clock import HOUR_MS
from moonlatch.keyring import Keyring
from moonlatch.licensing.verdict import Refusal, Running
from moonlatch.storage import key_uses
from moonlatch.storage.executions import Execution
from moonlatch.storage.interface import Database, StorageError, Transaction
from moonlatch.storage.key_uses import KeyUse
from moonlatch.storage.last_starts import MOST_LISTED, listed
from moonlatch.storage.user_history import End, Moment, NewRefusal, end, note
from moonlatch.web.address import network_of

MOST_USES = 1_000
"""Written per transaction: a few milliseconds, so that no start waits for long. All that wait are written, one after the other."""

MOST_USES_WAITING = 50_000
"""More than the database takes in seconds; it must have stopped answering."""

MOST_REFUSALS = 256
"""Written per transaction, and so per `late_log.WRITE_SECONDS`."""

MOST_ENDS = 1_000
"""As `MOST_REFUSALS`; each is one row found by its id."""

MOST_OF_KEY = 5
"""Different refusals of one key that wait; the same again counts up the one that does."""

MOST_KEYS = 4_000
"""Keys whose refusals wait."""

MOST_ENDS_WAITING = 50_000
"""As many as a process has sessions: somebody may switch a script off that all of them run."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _Place(NamedTuple):
    """Where a key was used in one hour; the address is written down by nobody."""

    user_id: str
    hour: int
    device: bytes | None
    address: str
    executor: str
    project_id: str


class _Use:
    """Starts from one place in one hour."""

    __slots__ = ("count", "first_at", "hooked", "last")

    def __init__(self, first_at: int) -> None:
        self.first_at = first_at
        self.count = self.hooked = 0
        self.last: deque[Execution] = deque(maxlen=MOST_LISTED)


class History(LateLog):
    """Uses, refusals and ends, until they are written."""

    def __init__(self, database: Database, keyring: Keyring, watch: SharingWatch | None = None) -> None:
        """`watch` looks at how keys are used."""
        super().__init__("history")
        self._database = database
        self._watch = watch
        self._keyring = keyring
        self._uses: dict[_Place, _Use] = {}
        self._refusals: OrderedDict[str, dict[tuple[Any, ...], NewRefusal]] = OrderedDict()
        self._ends: OrderedDict[str, End] = OrderedDict()

    def started(self, execution: Execution, address: str, *, is_hooked: bool = False) -> None:
        """A key was used from there, in a host whose functions were replaced or not."""
        assert execution.user_id is not None
        hour = execution.started_at // HOUR_MS
        place = _Place(
            execution.user_id, hour, execution.fingerprint, address, execution.executor, execution.project_id
        )
        use = self._uses.get(place)
        if use is None:
            if len(self._uses) >= MOST_USES_WAITING:
                return
            use = self._uses[place] = _Use(execution.started_at)
        use.count += 1
        use.hooked += is_hooked
        use.last.append(execution)
        if self._task is None:
            self._wake()

    def refused(self, refusal: NewRefusal) -> None:
        """A key was refused."""
        of_key = self._refusals.get(refusal.user_id)
        if of_key is None:
            if len(self._refusals) >= MOST_KEYS:
                return
            of_key = self._refusals[refusal.user_id] = {}
        same = refusal.day, refusal.code, refusal.moment, refusal.script_id, refusal.fingerprint
        before = of_key.pop(same, None)
        if before is not None:
            refusal = msgspec.structs.replace(
                refusal,
                first_at=before.first_at or before.refused_at,
                times=before.times + 1,
                ip=refusal.ip or before.ip,
            )
        elif len(of_key) >= MOST_OF_KEY:
            del of_key[next(iter(of_key))]
        of_key[same] = refusal
        self._wake()

    def stopped(self, copy: Running, refusal: Refusal, moment: Moment, now_ms: int) -> None:
        """A running copy was refused, which ends it."""
        self.ended(copy.instance, now_ms, refusal.code)
        if copy.user_id is not None:
            self.refused(
                NewRefusal(
                    user_id=copy.user_id,
                    code=refusal.code,
                    moment=moment,
                    script_id=copy.script,
                    fingerprint=copy.fingerprint,
                    refused_at=now_ms,
                )
            )

    def ended(self, instance: str, at: int, code: str | None = None) -> None:
        """A copy was refused with this code or, without one, its session was closed by its client."""
        before = self._ends.get(instance)
        if (before is not None and before.code is not None) or len(self._ends) >= MOST_ENDS_WAITING:
            return
        self._ends[instance] = End(id=instance, code=code, at=at)
        self._wake()

    def _has_some(self) -> bool:
        return bool(self._uses or self._refusals or self._ends)

    async def _write_some(self) -> None:
        await self._write_starts()
        await self._write(note, self._next_refusals(), is_guarded=True)
        ends = [self._ends.popitem(last=False)[1] for _ in range(min(MOST_ENDS, len(self._ends)))]
        await self._write(end, ends, is_guarded=True)

    async def _write_starts(self) -> None:
        # Not guarded: it rests on users who are there, and somebody may be removing them.
        uses, self._uses = [self._key_use(place, use) for place, use in self._uses.items()], {}
        for first in range(0, len(uses), MOST_USES):
            await self._write(key_uses.count, uses[first : first + MOST_USES], is_guarded=False)
        if self._watch is not None:
            self._watch.used(uses)
            await self._watch.look()

    async def _write(
        self, write: Callable[[Transaction, list[T]], Awaitable[None]], rows: list[T], *, is_guarded: bool
    ) -> None:
        if not rows:
            return
        try:
            await self._database.run(lambda tx: write(tx, rows), is_guarded=is_guarded)
        except StorageError as error:
            what = type(rows[0]).__name__
            logger.warning("%d notes (%s) were not written: %s", len(rows), what, type(error).__name__)

    def _key_use(self, place: _Place, use: _Use) -> KeyUse:
        network = network_of(place.address)
        return KeyUse(
            user_id=place.user_id,
            device=place.device or b"",
            network=self._keyring.fingerprint(place.project_id, "network", network) if network else b"",
            executor=place.executor,
            starts=use.count,
            hooked=use.hooked,
            first_at=use.first_at,
            last_at=use.last[-1].started_at,
            last_starts=listed(use.last),
        )

    def _next_refusals(self) -> list[NewRefusal]:
        found: list[NewRefusal] = []
        while self._refusals and len(found) + len(next(iter(self._refusals.values()))) <= MOST_REFUSALS:
            found += self._refusals.popitem(last=False)[1].values()
        return found
