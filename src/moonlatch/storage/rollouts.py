"""Rollouts: a build on its way to everybody, in steps. Decides nothing; `storage/plans.py` tells starts of them."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.licensing.comparison import LOOKS
from moonlatch.licensing.rollout import SERVING, RolloutState, Step
from moonlatch.storage.columns import assigned, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction

KEPT = 100
"""Rollouts of one script that are over; older ones are forgotten."""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout of a script's build. `step` counts from 0; times in Unix milliseconds.

    `next_at` is when it takes its next step by itself, None where it does not; `ended_at` is None while it is open. `looks` is how often
    its starts since `counted_since` were compared with the others'; `halted_because` is what that said when it was halted by it, as JSON.
    """

    id: str
    script_id: str
    build: int
    state: RolloutState
    steps: tuple[Step, ...]
    step: int
    step_since: int
    next_at: int | None = None
    salt: str
    created_at: int
    ended_at: int | None = None
    looks: int = 0
    counted_since: int | None = None
    halted_because: str | None = None

    @property
    def is_compared(self) -> bool:
        """Its starts are still to be compared with others."""
        return self.state in SERVING and self.looks < len(LOOKS)

    @property
    def basis_points(self) -> int:
        """The share of its step, whether it is served or not."""
        return self.steps[self.step].basis_points

    @property
    def given_basis_points(self) -> int:
        """The share that is given its build now, for its own sake."""
        return self.basis_points if self.state in SERVING else 0


_COLUMNS = columns_of(Rollout)
_LISTED = listed(_COLUMNS)
_SET = ("state", "step", "step_since", "next_at", "ended_at", "looks", "counted_since", "halted_because")

INSERT = Query("rollouts.insert", f"insert into rollouts ({_LISTED}) values ({placed(_COLUMNS)})")
SAVE = Query("rollouts.save", f"update rollouts set {assigned(_SET)} where id = :id")
FIND = Query("rollouts.find", f"select {_LISTED} from rollouts where id = :id")
FIND_OWNED = Query(
    "rollouts.find_owned",
    f"select {listed(_COLUMNS, of='r')}, s.project_id from rollouts r join scripts s on s.id = r.script_id "
    "join projects p on p.id = s.project_id where r.id = :id and p.account_id = :account_id",
)
FIND_OPEN = Query(
    "rollouts.find_open", f"select {_LISTED} from rollouts where script_id = :script_id and ended_at is null"
)
LIST = Query(
    "rollouts.list",
    f"select {_LISTED} from rollouts where script_id = :script_id order by created_at desc, id desc "
    "limit :limit offset :offset",
)
DUE = Query(
    "rollouts.due",
    "select r.id, p.account_id from rollouts r join scripts s on s.id = r.script_id join projects p on p.id = s.project_id "
    "where r.next_at is not null and r.next_at <= :now order by r.next_at limit :most",
)
COMPARED = Query(
    "rollouts.compared",
    "select r.id, p.account_id from rollouts r join scripts s on s.id = r.script_id join projects p on p.id = s.project_id "
    "where r.ended_at is null and r.state in ('rolling', 'paused') and r.looks < :looks and s.report_errors "
    "order by r.created_at limit :most",
)
FORGET = Query(
    "rollouts.forget",
    "delete from rollouts where script_id = :script_id and ended_at is not null and created_at < "
    "(select created_at from rollouts where script_id = :script_id order by created_at desc, id desc limit 1 offset :kept)",
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Step, ...]).decode


def text_of_steps(steps: tuple[Step, ...]) -> str:
    """Steps as a row has them."""
    return _encode(steps).decode()


def steps_of_text(text: str) -> tuple[Step, ...]:
    """The steps that a row has."""
    return _decode(text)


async def insert(tx: Transaction, rollout: Rollout) -> None:
    """Write a rollout that begins, and forget the oldest of its script's."""
    values = msgspec.structs.asdict(rollout)
    await tx.execute(INSERT, **(values | {"steps": text_of_steps(rollout.steps)}))
    await tx.execute(FORGET, script_id=rollout.script_id, kept=KEPT)


async def save(tx: Transaction, rollout: Rollout) -> None:
    """Write how far a rollout is, and how it stands."""
    await tx.execute(SAVE, id=rollout.id, **{name: getattr(rollout, name) for name in _SET})


async def find(db: Database | Transaction, rollout_id: str) -> Rollout | None:
    row = await db.fetch_one(FIND, id=rollout_id)
    return None if row is None else _rollout(row)


async def find_owned(db: Database | Transaction, rollout_id: str, account_id: str) -> tuple[Rollout, str] | None:
    """The rollout and its script's project, if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=rollout_id, account_id=account_id)
    return None if row is None else (_rollout(row[:-1]), row[-1])


async def find_open(db: Database | Transaction, script_id: str) -> Rollout | None:
    """The script's rollout that is not over: one that is rolling, paused or halted."""
    row = await db.fetch_one(FIND_OPEN, script_id=script_id)
    return None if row is None else _rollout(row)


async def list_of_script(db: Database | Transaction, script_id: str, *, offset: int, limit: int) -> list[Rollout]:
    """A page of a script's rollouts, newest first."""
    return [_rollout(row) for row in await db.fetch_all(LIST, script_id=script_id, offset=offset, limit=limit)]


async def due(db: Database | Transaction, *, now: int, most: int) -> list[tuple[str, str]]:
    """Ids of rollouts whose next step is due, each with its account's, those that wait longest first."""
    return [(row[0], row[1]) for row in await db.fetch_all(DUE, now=now, most=most)]


async def compared(db: Database | Transaction, *, most: int) -> list[tuple[str, str]]:
    """Ids of rollouts whose starts are to be compared, each with its account's."""
    return [(row[0], row[1]) for row in await db.fetch_all(COMPARED, looks=len(LOOKS), most=most)]


def _rollout(row: Row) -> Rollout:
    values = values_of(Rollout, row)
    values["state"] = RolloutState(values["state"])
    values["steps"] = steps_of_text(values["steps"])
    return Rollout(**values)
