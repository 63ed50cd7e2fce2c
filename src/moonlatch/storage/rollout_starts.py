"""The starts by which a rollout's build is compared with the one it is to replace: the first of each key or device with either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from moonlatch.licensing.comparison import Arm, Compared
from moonlatch.storage.interface import Database, Query, Transaction

Outcome = Literal["ok", "error"]

ADD = Query(
    "rollout_starts.add",
    "insert into rollout_starts (instance, rollout_id, is_new, basis_points, holder, started_at) "
    "select :instance, id, :is_new, :basis_points, :holder, :started_at from rollouts where id = :rollout_id "
    "on conflict do nothing",
)
_ADDED = ("instance", "is_new", "basis_points", "holder", "started_at", "rollout_id")
SETTLE = Query(
    "rollout_starts.settle",
    "update rollout_starts set outcome = :outcome where instance = :instance and outcome is null",
)
BLAME = Query(
    "rollout_starts.blame",
    "update rollout_starts set group_id = :group_id where instance = :instance and group_id is null",
)
NUMBER = Query(
    "rollout_starts.number",
    "select count(*) from rollout_starts where rollout_id = :rollout_id and is_new = :is_new and started_at <= :until",
)
COUNT = Query(
    "rollout_starts.count",
    "select is_new, basis_points, count(*), sum(case when outcome = 'error' then 1 else 0 end), "
    "sum(case when outcome is null then 1 else 0 end) from rollout_starts "
    "where rollout_id = :rollout_id and started_at <= :until group by is_new, basis_points",
)
BLAMED = Query(
    "rollout_starts.blamed",
    "select group_id, count(*) as starts from rollout_starts where rollout_id = :rollout_id and is_new = :is_new "
    "and group_id is not null group by group_id order by starts desc, group_id limit 1",
)
FORGET = Query("rollout_starts.forget", "delete from rollout_starts where rollout_id = :rollout_id")


class RolloutStart(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A start that may be compared. `holder` is a keyed hash of its key or device, `started_at` in Unix milliseconds."""

    instance: str
    rollout_id: str
    is_new: bool
    basis_points: int
    holder: bytes
    started_at: int


class Settled(msgspec.Struct, frozen=True, gc=False):
    """How a start went, by its own word."""

    instance: str
    outcome: Outcome


async def add(tx: Transaction, starts: Sequence[RolloutStart]) -> None:
    """Note starts; one of a key or device that has one with this build already changes nothing."""
    await tx.execute_each(ADD, [tuple(getattr(start, name) for name in _ADDED) for start in starts])


async def settle(tx: Transaction, settled: Sequence[Settled]) -> None:
    """Note how starts went; what is said first counts."""
    await tx.execute_each(SETTLE, [(each.outcome, each.instance) for each in settled])


async def blame(tx: Transaction, instances: Sequence[str], group_id: str) -> None:
    """Note which error these starts had first, where they are among those that are compared."""
    await tx.execute_each(BLAME, [(group_id, instance) for instance in instances])


async def number(db: Database | Transaction, rollout_id: str, *, is_new: bool, until: int) -> int:
    """How many starts there are with one of the builds until then."""
    row = await db.fetch_one(NUMBER, rollout_id=rollout_id, is_new=is_new, until=until)
    return 0 if row is None else int(row[0])


async def counted(db: Database | Transaction, rollout_id: str, *, until: int) -> dict[int, Compared]:
    """The starts until then, by the step (its basis points) that they were made at."""
    found: dict[int, Compared] = {}
    for is_new, basis_points, *numbers in await db.fetch_all(COUNT, rollout_id=rollout_id, until=until):
        arm = Arm(*(int(each) for each in numbers))
        before = found.get(basis_points, Compared(Arm(), Arm()))
        found[basis_points] = msgspec.structs.replace(before, **{"new" if is_new else "control": arm})
    return found


async def most_blamed(db: Database | Transaction, rollout_id: str) -> str | None:
    """The error that most starts with the new build had first."""
    row = await db.fetch_one(BLAMED, rollout_id=rollout_id, is_new=True)
    return None if row is None else str(row[0])


async def forget(tx: Transaction, rollout_id: str) -> None:
    """Begin to count anew."""
    await tx.execute(FORGET, rollout_id=rollout_id)
