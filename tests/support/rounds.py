"""How often the fault tests repeat: a short form with every `make test`, a long one with `make faults`."""

from __future__ import annotations

import os

VARIABLE = "MOONLATCH_TEST_FAULTS"
IS_LONG = os.environ.get(VARIABLE) == "long"


def rounds(short: int, long: int) -> int:
    """How many rounds to run now."""
    return long if IS_LONG else short
