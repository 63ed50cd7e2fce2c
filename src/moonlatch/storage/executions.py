"""Writes granted starts: the execution, its counters, and what a key's first use sets. Decides nothing but whether the conditions still hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from moonlatch.clock import utc_day
from moonlatch.promise import Promise
from moonlatch.storage import key_devices
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names

UNKNOWN_EXECUTOR = "unknown"
"""Counted for a client that does not name its host program."""

OTHER_EXECUTORS = "other"
MAX_EXECUTORS = 100
"""Names counted per script and day. A client may call itself anything; beyond, the rarest are counted together."""

MAX_BATCH = 256
"""Executions per transaction; more would make the first of them wait for the last."""

MOST_COMING_SECONDS = 0.002
"""A start waits no longer for others to be committed with."""

TURNS_WITHOUT = 3
"""Turns of the loop that bring no start, one after the other, until those that wait are committed. A turn in which nothing
happens takes some microseconds; a client that is sent an answer in one asks again in the one after the next."""

# The conditions repeat the verdict's: between the verdict and the commit another start may have taken the last
# execution or bound the key, and a developer may have switched the script off or barred the user.
SERVED = Query(
    "executions.served",
    """
    select s.build, s.plan, exists (select 1 from bars r where r.project_id = s.project_id)
    from scripts s where s.id = :script_id and s.enabled
    """,
)
INSERT = Query(
    "executions.insert",
    """
    insert into executions (id, script_id, build, executor, started_at)
    values (:id, :script_id, :build, :executor, :started_at)
    on conflict (id) do nothing
    """,
)
INSERT_UNLESS_BARRED = Query(
    "executions.insert_unless_barred",
    """
    insert into executions (id, script_id, build, executor, started_at)
    select cast(:id as text), cast(:script_id as text), cast(:build as bigint), cast(:executor as text),
        cast(:started_at as bigint)
    where not exists (
        select 1 from bars r where r.project_id = :project_id and r.fingerprint = :fingerprint
            and (r.expires_at is null or r.expires_at > :started_at))
    on conflict (id) do nothing
    """,
)
IS_WRITTEN = Query("executions.is_written", "select 1 from executions where id = :id")
_USE_KEY = """
    update users set
        executions = executions + 1,
        executor = :executor,
        ip = :ip,
        last_started_at = case when last_started_at > :started_at then last_started_at else :started_at end,
        fingerprint = case when fingerprintless then fingerprint else coalesce(fingerprint, :fingerprint) end
    where id = :user_id and project_id = :project_id
        and (key_expires is null or key_expires > :started_at)
        and (fingerprintless or fingerprint is null or fingerprint = :fingerprint or exists (
            select 1 from key_devices d where d.user_id = users.id and d.fingerprint = :fingerprint))
        and (max_executions is null or executions < max_executions)
        and not (blacklisted and (blacklist_expires is null or blacklist_expires > :started_at))
        and (held_by is null or held_until <= :started_at)
        and (instances_since is null or instances_since < :started_at)
"""
# Nearly always nothing came between the verdict and this; then what the key's counters become is known already, and
# SQLite is not made to give them back, which costs as much as the update. A key's first use has more to do.
USE_KEY_AS_SEEN = Query(
    "executions.use_key_as_seen",
    _USE_KEY + "and executions = :seen_executions and (key_days is null or key_expires is not null)",
)
USE_KEY = Query("executions.use_key", _USE_KEY + "returning executions, key_expires, key_days")
# By itself, because it happens once: setting an indexed column, even to what it holds, has SQLite rewrite the index.
START_DAYS = Query(
    "executions.start_days",
    """
    update users set key_expires = :started_at + key_days * 86400000, expiry_set_at = :started_at
    where id = :user_id returning key_expires
    """,
)
# By itself, because most scripts give no leases.
LEASE = Query(
    "executions.lease",
    """
    update users set leased_until = :leased_until
    where id = :user_id and (leased_until is null or leased_until < :leased_until)
    """,
)
# For a key that is not valid, in a script that starts without one: nothing of it moves, but its copies are its own.
START_WITHOUT_USE = Query(
    "executions.start_without_use",
    """
    update users set
        last_started_at = case when last_started_at > :started_at then last_started_at else :started_at end
    where id = :user_id and (instances_since is null or instances_since < :started_at)
    """,
)
REVOKED_UNTIL = Query("executions.revoked_until", "select instances_since from users where id = :user_id")
TAKE_BACK = Query("executions.take_back", "delete from executions where id = :id")
COUNT_SCRIPT = Query(
    "executions.count_script", "update scripts set total_executions = total_executions + :times where id = :script"
)
# Changes nothing where the name has no place and none is free.
COUNT_DAY = Query(
    "executions.count_day",
    """
    insert into execution_days (project_id, script_id, day, executor, executions)
    select cast(:project as text), cast(:script as text), cast(:day as text), cast(:executor as text), cast(:times as bigint)
    where cast(:executor as text) = cast(:other as text)
        or exists (select 1 from execution_days d where d.script_id = :script and d.day = :day and d.executor = :executor)
        or (select count(*) from execution_days d where d.script_id = :script and d.day = :day and d.executor <> :other) < :most
    on conflict (script_id, day, executor) do update set executions = execution_days.executions + excluded.executions
    """,
)
TAKE_RAREST = Query(
    "executions.take_rarest",
    """
    delete from execution_days where script_id = :script and day = :day and executor = (
        select d.executor from execution_days d where d.script_id = :script and d.day = :day and d.executor <> :other
        order by d.executions + d.displaced, d.executions, d.executor limit 1
    )
    returning executions, displaced
    """,
)
COUNT_IN_PLACE_OF = Query(
    "executions.count_in_place_of",
    """
    insert into execution_days (project_id, script_id, day, executor, executions, displaced)
    values (:project, :script, :day, :executor, :times, :displaced)
    on conflict (script_id, day, executor) do update set executions = execution_days.executions + excluded.executions
    """,
)
# The start's own row may have gone with its time, while the copy runs on.
STOP = Query(
    "executions.stop",
    "insert into executions (id, script_id, build, started_at, stopped) "
    "values (:id, :script_id, :build, :started_at, :code) "
    "on conflict (id) do update set stopped = coalesce(executions.stopped, excluded.stopped)",
)


class Execution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A start to be written; one of the same `id` is the same start again. Hashes are keyed, `started_at` is Unix milliseconds."""

    id: str
    project_id: str
    script_id: str
    build: int
    user_id: str | None
    premium: bool
    """The key is valid: its counters move and its first use takes effect."""
    seen_executions: int | None = None
    """How often the key had been used when the verdict was made."""
    seen_expires: int | None = None
    """When the key expired then."""
    seen_build: int | None = None
    """The script's current build then, where its plan said which one this start is given."""
    seen_plan: str | None = None
    fingerprint: bytes | None
    ip: bytes | None
    executor: str
    started_at: int
    leased_until: int | None = None
    """When the lease ends that its device is given; None where it is given none."""


class Use(msgspec.Struct, frozen=True, gc=False):
    """What the start made of its key; zero executions without a valid one."""

    executions: int
    key_expires: int | None


_NO_USE = Use(0, None)
_inserted_values = attrgetter(*parameter_names(INSERT.sql))
_values_unless_barred = attrgetter(*parameter_names(INSERT_UNLESS_BARRED.sql))
_used_values = attrgetter(*parameter_names(USE_KEY_AS_SEEN.sql))


class RepeatedError(Exception):
    """The very same start was written before."""


class OvertakenError(Exception):
    """Something the verdict rested on has changed since; decide again."""


class ExecutionLog:
    """Writes executions, all those that arrive while a commit is under way in the next one.

    One transaction for many is what makes a durable execution cheap: their counters are added up before they are
    written, and nothing else is paid per execution but its own two rows.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[Execution, Promise[Use]]] = []
        self._task: asyncio.Task[None] | None = None

    def record(self, execution: Execution) -> Promise[Use]:
        """Commit one execution, everything of it or nothing. The promise has RepeatedError, OvertakenError or StorageError."""
        if self._loop is None:  # to find it asks the system which process this is
            self._loop = asyncio.get_running_loop()
        settled: Promise[Use] = Promise(self._loop)
        self._waiting.append((execution, settled))
        if self._task is None:
            self._task = self._loop.create_task(self._write_waiting())
        return settled

    async def earliest_start(self, user_id: str) -> int:
        """From when on (Unix milliseconds) a start of the user's key is none of those that were revoked."""
        row = await self._database.fetch_one(REVOKED_UNTIL, user_id=user_id)
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    async def _write_waiting(self) -> None:
        while self._waiting:
            await self._let_others_come()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            try:
                outcomes = await record_all(self._database, [execution for execution, _ in batch])
            except Exception as error:
                outcomes = [error] * len(batch)
            for (_, settled), outcome in zip(batch, outcomes, strict=True):
                if settled.done():
                    continue  # its client is gone
                if isinstance(outcome, Use):
                    settled.set_result(outcome)
                else:
                    settled.set_exception(outcome)
        self._task = None

    async def _let_others_come(self) -> None:
        """Wait while starts come, for a commit costs as much as ten of them."""
        assert self._loop is not None
        known, turns_without, until = 0, 0, self._loop.time() + MOST_COMING_SECONDS
        while turns_without < TURNS_WITHOUT and len(self._waiting) < MAX_BATCH and self._loop.time() < until:
            turns_without = 0 if known < len(self._waiting) else turns_without + 1
            known = len(self._waiting)
            await asyncio.sleep(0)


async def record_all(db: Database, executions: Sequence[Execution]) -> list[Use | Exception]:
    """Commit those executions whose conditions hold; an outcome for each. Raises StorageError: none was written."""
    # Every process takes the rows of keys, scripts and days in this order: none waits for one that waits for it.
    order = sorted(range(len(executions)), key=[execution.user_id or "" for execution in executions].__getitem__)
    ordered = [executions[number] for number in order]

    async def unit(tx: Transaction) -> list[Use | Exception]:
        outcomes = await _write(tx, ordered)
        written = [one for one, outcome in zip(ordered, outcomes, strict=True) if isinstance(outcome, Use)]
        await _count(tx, written)
        return outcomes

    outcomes: list[Use | Exception] = [_NO_USE] * len(executions)
    for number, outcome in zip(order, await db.run(unit, is_guarded=True), strict=True):
        outcomes[number] = outcome
    return outcomes


class Started(Protocol):
    """A copy that was started, as far as its execution tells. `started_at` in Unix milliseconds."""

    id: str
    script_id: str
    build: int
    started_at: int


async def stop(tx: Transaction, copy: Started, code: str) -> None:
    """End a copy for good: its next heartbeat or session is refused, and a start of it that is not written yet."""
    await tx.execute(
        STOP, id=copy.id, script_id=copy.script_id, build=copy.build, started_at=copy.started_at, code=code
    )


async def _write(tx: Transaction, executions: Sequence[Execution]) -> list[Use | Exception]:
    outcomes: list[Use | Exception] = [_NO_USE] * len(executions)
    premium: list[int] = []
    inserted = await _insert(tx, executions)
    for number, (execution, rows) in enumerate(zip(executions, inserted, strict=True)):
        if rows == 0:
            outcomes[number] = await _why_not_inserted(tx, execution)
        elif execution.premium:
            premium.append(number)
        elif execution.user_id is not None and not await tx.execute(
            START_WITHOUT_USE, user_id=execution.user_id, started_at=execution.started_at
        ):
            await tx.execute(TAKE_BACK, id=execution.id)
            outcomes[number] = OvertakenError()
    used = await tx.execute_each(USE_KEY_AS_SEEN, [_used_values(executions[number]) for number in premium])
    for number, rows in zip(premium, used, strict=True):
        execution = executions[number]
        if rows and execution.seen_executions is not None:
            outcomes[number] = Use(execution.seen_executions + 1, execution.seen_expires)
        else:
            outcomes[number] = await _use(tx, execution)
    leased = [
        (executions[number].leased_until, executions[number].user_id)
        for number in premium
        if executions[number].leased_until is not None and isinstance(outcomes[number], Use)
    ]
    if leased:
        assert parameter_names(LEASE.sql) == ("leased_until", "user_id")
        await tx.execute_each(LEASE, leased)
    return outcomes


async def _insert(tx: Transaction, executions: Sequence[Execution]) -> list[int]:
    """How many rows each execution wrote: 1, or 0 where its conditions no longer hold or it is there already."""
    # What holds of a script is asked once for all of its starts.
    scripts = sorted({one.script_id for one in executions})
    served = {script: await tx.fetch_one(SERVED, script_id=script) for script in scripts}
    free: list[int] = []
    maybe_barred: list[int] = []
    for number, one in enumerate(executions):
        script = served[one.script_id]
        if script is not None and _is_served(one, script):
            _, _, has_bars = script
            (maybe_barred if has_bars else free).append(number)
    inserted = [0] * len(executions)
    for query, values, numbers in (
        (INSERT, _inserted_values, free),
        (INSERT_UNLESS_BARRED, _values_unless_barred, maybe_barred),
    ):
        rows = await tx.execute_each(query, [values(executions[number]) for number in numbers])
        for number, written in zip(numbers, rows, strict=True):
            inserted[number] = written
    return inserted


def _is_served(execution: Execution, script: Row) -> bool:
    """Whether the build is given as it was when the verdict was made."""
    build, plan, _ = script
    if execution.seen_plan is None:
        return bool(plan is None and build == execution.build)
    return bool(plan == execution.seen_plan and build == execution.seen_build)


async def _why_not_inserted(tx: Transaction, execution: Execution) -> Exception:
    written = await tx.fetch_one(IS_WRITTEN, id=execution.id)
    return OvertakenError() if written is None else RepeatedError()


async def _use(tx: Transaction, execution: Execution) -> Use | Exception:
    """Use a key whose counters have moved since the verdict, or for the first time, or for the first time on this device."""
    row = await tx.fetch_one(USE_KEY, **_who(execution))
    if row is None:
        row = await _use_on_further_device(tx, execution)
    if row is None:
        await tx.execute(TAKE_BACK, id=execution.id)
        return OvertakenError()
    executions, key_expires, key_days = row
    if key_expires is None and key_days is not None:
        started = await tx.fetch_one(START_DAYS, user_id=execution.user_id, started_at=execution.started_at)
        assert started is not None  # updated a moment ago in this transaction
        (key_expires,) = started
    return Use(executions, key_expires)


async def _use_on_further_device(tx: Transaction, execution: Execution) -> Row | None:
    """As `USE_KEY`, for a key that may be bound to another device beside those it has."""
    user_id, device = execution.user_id, execution.fingerprint
    if user_id is None or device is None or not await key_devices.take_key(tx, user_id, device):
        return None
    is_new = await key_devices.bind(tx, user_id, device, now=execution.started_at)
    row = await tx.fetch_one(USE_KEY, **_who(execution))
    if row is None and is_new:
        await key_devices.unbind(tx, user_id, device)
    return row


def _who(execution: Execution) -> dict[str, Any]:
    """What `USE_KEY` takes."""
    return {name: getattr(execution, name) for name in parameter_names(USE_KEY.sql)}


async def _count(tx: Transaction, executions: Sequence[Execution]) -> None:
    scripts = Counter(execution.script_id for execution in executions)
    for script, times in sorted(scripts.items()):
        await tx.execute(COUNT_SCRIPT, script=script, times=times)
    days = Counter(
        (execution.project_id, execution.script_id, utc_day(execution.started_at), execution.executor)
        for execution in executions
    )
    for (project, script, day, executor), times in sorted(days.items()):
        where = {"project": project, "script": script, "day": day}
        if not await tx.execute(
            COUNT_DAY, **where, executor=executor, times=times, most=MAX_EXECUTORS, other=OTHER_EXECUTORS
        ):
            await _displace_rarest(tx, executor, times, **where)


async def _displace_rarest(tx: Transaction, executor: str, times: int, **where: str) -> None:
    """Count a name in the place of the one that is used least, whose own executions go to `other`.

    The place keeps its weight (Metwally, Agrawal, El Abbadi 2005, "Space-Saving"): a name of more than one in MAX_EXECUTORS of a
    day's executions has one at the end of it, whatever the others call themselves.
    """
    rarest = await tx.fetch_one(TAKE_RAREST, script=where["script"], day=where["day"], other=OTHER_EXECUTORS)
    assert rarest is not None  # there was no place free
    before, displaced = rarest
    await tx.execute(COUNT_IN_PLACE_OF, **where, executor=OTHER_EXECUTORS, times=before, displaced=0)
    await tx.execute(COUNT_IN_PLACE_OF, **where, executor=executor, times=times, displaced=before + displaced)
