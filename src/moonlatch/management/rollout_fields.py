"""Fields about rollouts that several resources take and show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic.config import JsonValue

from moonlatch.licensing.rollout import MAX_STEP_MINUTES, MAX_STEPS, WHOLE, Step
from moonlatch.management.fields import Closed, Integral


class StepFields(Closed):
    """One step of a rollout."""

    basis_points: Annotated[
        int, Field(ge=1, le=WHOLE, description="the part of all keys that is given the build: 500 are 5 %"), Integral
    ]
    minutes: Annotated[
        int, Field(ge=0, le=MAX_STEP_MINUTES, description="how long it lasts at least before the next"), Integral
    ] = 60


Steps = Annotated[list[StepFields], Field(min_length=1, max_length=MAX_STEPS)]
EXAMPLE_STEPS: list[JsonValue] = [{"basis_points": 500, "minutes": 60}, {"basis_points": 10_000, "minutes": 60}]


def steps_of(given: Sequence[StepFields] | None) -> tuple[Step, ...] | None:
    """Steps as operations take them."""
    return None if given is None else tuple(Step(one.basis_points, one.minutes) for one in given)
