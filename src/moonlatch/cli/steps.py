"""How the steps of a rollout are typed: `5,25,100`, or with the minutes of each `5:30,25:120,100`."""

from __future__ import annotations

import re

from moonlatch.cli.output import CommandError
from moonlatch.licensing.rollout import WHOLE

_STEP = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%?(?::([0-9]{1,6}))?")


def steps_of(text: str, minutes: int) -> list[dict[str, int]]:
    """Steps as the API takes them, those without minutes of their own with these. Raises CommandError."""
    steps = []
    for part in text.split(","):
        found = _STEP.fullmatch(part.strip())
        if found is None:
            raise CommandError(
                f"{part.strip() or text!r} is not a step",
                "Write percentages like 5,25,100, or 5:30,25,100 with minutes.",
            )
        share, own = found.groups()
        steps.append({"basis_points": round(float(share) * 100), "minutes": minutes if own is None else int(own)})
    return steps


def percentage(basis_points: int) -> str:
    """A share as people write it: `12.5 %`."""
    return f"{basis_points * 100 / WHOLE:g} %"
