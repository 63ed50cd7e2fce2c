"""What the measurements of `make bench` find out, and the one table of it. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table: `value` is compared with `goal`, `measured` says where it comes from."""

    what: str
    measured: str
    value: float
    goal: float
    unit: str = "x"
    at_least: bool = False

    @property
    def is_reached(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.measured,
            _number(self.value, self.unit),
            ("at least " if self.at_least else "at most ") + _number(self.goal, self.unit),
            "PASS" if self.is_reached else "FAIL",
        )


@dataclass(frozen=True)
class Skipped:
    """A line that could not be measured here, and why."""

    what: str
    why: str
    is_reached: bool = True

    def cells(self) -> tuple[str, ...]:
        return self.what, self.why, "", "", "not measured"


_HEAD = ("figure", "measured, against its baseline in the same run", "value", "goal", "")


def print_table(figures: Sequence[Figure | Skipped]) -> int:
    """Print all figures; the exit status, 0 when every goal is reached."""
    rows = [_HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    print()
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    return 0 if all(figure.is_reached for figure in figures) else 1


def _number(value: float, unit: str) -> str:
    return f"{value:.2f} x" if unit == "x" else f"{value:,.4g} {unit}".rstrip()
