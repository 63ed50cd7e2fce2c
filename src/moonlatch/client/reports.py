"""`POST /client/v1/report`: what a copy tells of its errors, or once of how its start went; and the log that writes it down.

Together, a moment later, and bounded, as `history.py` does: nobody waits for it, and nothing rests on it but how a rollout is judged.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from moonlatch.client.backend import Backend
from moonlatch.client.heartbeat import HeartbeatEndpoint
from moonlatch.client.late_log import LateLog
from moonlatch.client.moments import RUNNING
from moonlatch.client.replies import RefusedError, encode_json, invalid
from moonlatch.client.tokens import Claims
from moonlatch.client.wire import Report, ReportedError
from moonlatch.licensing.crashes import MOST_OF_INSTANCE, ErrorKind, Spot, scrubbed
from moonlatch.licensing.rollout import plan_of
from moonlatch.licensing.verdict import Refusal, RunningFacts
from moonlatch.operations import errors
from moonlatch.operations.changing import perform
from moonlatch.operations.context import World
from moonlatch.operations.errors import ErrorReport
from moonlatch.operations.refusals import NotFound
from moonlatch.storage import rollout_starts
from moonlatch.storage.executions import UNKNOWN_EXECUTOR
from moonlatch.storage.interface import StorageError, Transaction
from moonlatch.storage.rollout_starts import RolloutStart, Settled
from moonlatch.web.limits import RateLimit, RateLimits

MOST_STARTS = 1_000
"""Written per transaction."""

MOST_WAITING = 50_000
"""Starts, and how they went; the database must have stopped answering."""

MOST_REPORTS = 100
"""Of one script, per transaction."""

MOST_REPORTS_WAITING = 500
"""Of one script; what is more is dropped."""

MOST_SCRIPTS = 1_000
"""Whose reports wait."""

REPORTS_PER_SECOND, REPORTS_BURST = 10, 200
"""Of errors, of one script. What is refused is forgotten by who sent it: enough to know an error by."""

OF_HOLDER_PER_SECOND, OF_HOLDER_BURST = 1 / 180, 20
"""Of errors, of one key or device in one script: far fewer than a script takes new ones of within the hour, so that who makes them up leaves
those of others heard."""

OF_COPY_BURST = MOST_OF_INSTANCE + 3
"""Reports of one copy: its errors, how its start went, and what was sent twice."""

_REPLY = encode_json({"success": True})

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ReportLog(LateLog):
    """Errors, and starts that are compared with others, until they are written."""

    def __init__(self, world: World) -> None:
        super().__init__("reports")
        self._world = world
        self._starts: deque[RolloutStart] = deque()
        self._settled: deque[Settled] = deque()
        self._errors: OrderedDict[tuple[str, str], list[ErrorReport]] = OrderedDict()

    def started(self, start: RolloutStart) -> None:
        """A start that may be compared with others."""
        self._put(self._starts, start)

    def settled(self, settled: Settled) -> None:
        """A copy said how its start went."""
        self._put(self._settled, settled)

    def failed(self, account_id: str, script_id: str, report: ErrorReport) -> None:
        """A copy of a script had an error."""
        waiting = self._errors.get((account_id, script_id))
        if waiting is None:
            if len(self._errors) >= MOST_SCRIPTS:
                return
            waiting = self._errors[account_id, script_id] = []
        if len(waiting) < MOST_REPORTS_WAITING:
            waiting.append(report)
            self._wake()

    def _put(self, waiting: deque[T], one: T) -> None:
        if len(waiting) < MOST_WAITING:
            waiting.append(one)
            self._wake()

    def _has_some(self) -> bool:
        return bool(self._starts or self._settled or self._errors)

    async def _write_some(self) -> None:
        # What is said of a start is written behind it, also where both come while others are being written.
        settled = self._taken(self._settled)
        for _ in range(0, len(self._starts), MOST_STARTS):
            await self._write(rollout_starts.add, self._taken(self._starts))
        await self._write(rollout_starts.settle, settled)
        for (account_id, script_id), reports in self._errors_taken():
            await self._count(account_id, script_id, reports)

    def _taken(self, waiting: deque[T]) -> list[T]:
        return [waiting.popleft() for _ in range(min(MOST_STARTS, len(waiting)))]

    def _errors_taken(self) -> list[tuple[tuple[str, str], list[ErrorReport]]]:
        """Some of each script's, so that none waits for another's."""
        found, self._errors = self._errors, OrderedDict()
        for script, waiting in found.items():
            if waiting[MOST_REPORTS:]:
                self._errors[script] = waiting[MOST_REPORTS:]
        return [(script, waiting[:MOST_REPORTS]) for script, waiting in found.items()]

    async def _count(self, account_id: str, script_id: str, reports: Sequence[ErrorReport]) -> None:
        try:
            await perform(
                self._world, errors.actor_for(account_id), lambda change: errors.take(change, script_id, reports)
            )
        except NotFound:
            return  # it was removed meanwhile
        except Exception:
            logger.exception("%d reports of errors were not written", len(reports))

    async def _write(self, write: Callable[[Transaction, list[T]], Awaitable[None]], rows: list[T]) -> None:
        if not rows:
            return
        try:
            await self._world.database.run(lambda tx: write(tx, rows), is_guarded=True)
        except StorageError as error:
            logger.warning("%d notes of starts were not written: %s", len(rows), type(error).__name__)


class ReportEndpoint:
    def __init__(self, backend: Backend, heartbeat: HeartbeatEndpoint, log: ReportLog, limits: RateLimits) -> None:
        self._backend = backend
        self._heartbeat = heartbeat
        self._log = log
        self._of_copy = limits("report of copy", per_second=1 / 60, burst=OF_COPY_BURST)
        self._of_holder = limits("report of holder", per_second=OF_HOLDER_PER_SECOND, burst=OF_HOLDER_BURST)
        self._of_script = limits("report", per_second=REPORTS_PER_SECOND, burst=REPORTS_BURST)

    async def take(self, request: Report) -> bytes:
        """Take what a copy tells; gives the reply's body. Raises RefusedError, StorageError."""
        now = self._backend.clock()
        claims, _ = self._heartbeat.token_of(request, now)
        if not claims.tells_moments():
            raise invalid("reports are not for clients of protocol 1")
        RUNNING.check(request.sequence, now, self._backend.roster.since)
        await _take(self._of_copy, claims.instance)
        claims = await self._backend.up_to_date(claims)
        holder = _holder(claims)
        if request.error is not None:
            if holder is not None:
                await _take(self._of_holder, f"{claims.script} {holder}")
            await _take(self._of_script, claims.script)
        _, facts = await self._backend.permit(claims, now)
        if request.health is not None:
            self._settle(claims.instance, request.health == "ok", facts)
        if request.error is not None:
            await self._note(claims, request.error, holder)
        return _REPLY

    def _settle(self, instance: str, is_ok: bool, facts: RunningFacts) -> None:
        """Where starts are compared: elsewhere nobody asks how one went."""
        share = None if facts.plan is None else plan_of(facts.plan).rollout
        if share is not None and share.is_compared:
            self._log.settled(Settled(instance, "ok" if is_ok else "error"))

    async def _note(self, claims: Claims, told: ReportedError, holder: str | None) -> None:
        licences = self._backend.licences
        owner = licences.known_owner(claims.script) or await licences.owner(claims.script)
        if owner is None:
            return
        self._log.failed(
            owner.account,
            owner.script,
            ErrorReport(
                instance=claims.instance,
                build=claims.build,
                holder=holder,
                kind=ErrorKind(told.kind),
                message=scrubbed(told.message),
                spot=None if told.line is None else Spot(told.line, told.column, told.instruction),
                executor=told.executor or UNKNOWN_EXECUTOR,
            ),
        )


def _holder(claims: Claims) -> str | None:
    """Whose copy it is: of which key, or of which device; None where neither is known."""
    return claims.user_id or (None if claims.fingerprint is None else claims.fingerprint.hex())


async def _take(limit: RateLimit, name: str) -> None:
    """Raises RefusedError."""
    allowance = await limit.take(name)
    if not allowance.allowed:
        raise _too_many(allowance.retry_after_seconds)


def _too_many(retry_after_seconds: int) -> RefusedError:
    refusal = Refusal(
        "RATE_LIMITED",
        f"Too many errors are reported. Try again in {retry_after_seconds} seconds.",
        {"retry_after": retry_after_seconds},
    )
    return RefusedError(refusal, headers=[(b"retry-after", b"%d" % retry_after_seconds)])
