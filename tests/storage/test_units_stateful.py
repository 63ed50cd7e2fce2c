"""Any sequence of units, alone or at once, that commit, raise or reopen the file leaves what a dictionary would hold."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from moonlatch.storage.interface import Query, Transaction, UniqueViolation
from moonlatch.storage.sqlite.engine import open_sqlite
from support.accounts import ADD_ACCOUNT, REMOVE_ACCOUNT, SET_USED
from support.rounds import rounds

ALL = Query("test.all", "select id, obfuscations_used from accounts")

NAMES = st.sampled_from(["ann", "bob", "eve", "kim"])
NUMBERS = st.integers(-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Step:
    """One statement: add, set, or remove (`number` is for set)."""

    verb: str
    name: str
    number: int


@dataclass(frozen=True)
class Plan:
    """A unit: its statements, and whether it raises at its end."""

    steps: Sequence[Step]
    raises: bool


STEPS = st.builds(Step, st.sampled_from(["add", "set", "remove"]), NAMES, NUMBERS)
PLANS = st.builds(Plan, st.lists(STEPS, max_size=5), st.booleans())


class Refused(Exception):
    pass


async def carry_out(tx: Transaction, plan: Plan) -> dict[str, int]:
    """Do the plan and give what the transaction sees at its end."""
    for step in plan.steps:
        if step.verb == "add":
            await tx.execute(ADD_ACCOUNT, id=step.name, name=step.name)
        elif step.verb == "set":
            await tx.execute(SET_USED, id=step.name, used=step.number)
        else:
            await tx.execute(REMOVE_ACCOUNT, id=step.name)
    if plan.raises:
        raise Refused
    return {row["id"]: row["obfuscations_used"] for row in await tx.fetch_all(ALL)}


def predict(model: dict[str, int], plan: Plan) -> tuple[dict[str, int], dict[str, int] | type[Exception]]:
    """The model after the plan, and the plan's outcome."""
    after = dict(model)
    for step in plan.steps:
        if step.verb == "add":
            if step.name in after:
                return model, UniqueViolation
            after[step.name] = 0
        elif step.verb == "set" and step.name in after:
            after[step.name] = step.number
        elif step.verb == "remove":
            after.pop(step.name, None)
    return (model, Refused) if plan.raises else (after, after)


class Units(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.model: dict[str, int] = {}
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "moonlatch.db")
        self.runner = asyncio.Runner()
        self.database = self.runner.run(open_sqlite(self.path))

    @rule(plans=st.lists(PLANS, min_size=1, max_size=6))
    def run_at_once(self, plans: list[Plan]) -> None:
        async def everything() -> list[object]:
            return await asyncio.gather(
                *(self.database.run(lambda tx, p=plan: carry_out(tx, p)) for plan in plans), return_exceptions=True
            )

        for plan, outcome in zip(plans, self.runner.run(everything()), strict=True):
            self.model, expected = predict(self.model, plan)
            assert (type(outcome) if isinstance(outcome, Exception) else outcome) == expected

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.database.close())
        self.database = self.runner.run(open_sqlite(self.path))

    @invariant()
    def reads_see_what_was_committed(self) -> None:
        if hasattr(self, "runner"):
            rows = self.runner.run(self.database.fetch_all(ALL))
            assert {row[0]: row[1] for row in rows} == self.model

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.database.close())
            self.runner.close()
            self.folder.cleanup()


TestUnits = Units.TestCase
TestUnits.settings = settings(max_examples=rounds(20, 200), stateful_step_count=15, deadline=None)
