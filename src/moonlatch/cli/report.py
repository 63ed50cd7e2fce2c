"""What `protect --report` shows: every step of the protector with its time, what it changed, and the size it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from moonlatch.cli.output import remark, remarks
from moonlatch.clock import monotonic_seconds


@dataclass
class Step:
    """One step. `size` is the script in characters afterwards, None where nothing can be printed yet."""

    name: str
    seconds: float = 0.0
    size: int | None = None
    changes: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What it changed, like `strings 12 -> 0, numbers 40 -> 31`."""
        return ", ".join(f"{kind} {before:,} -> {after:,}" for kind, (before, after) in self.changes.items())

    def json(self) -> dict[str, Any]:
        changes = {kind: {"before": before, "after": after} for kind, (before, after) in self.changes.items()}
        return {"step": self.name, "seconds": round(self.seconds, 6), "size": self.size, "changes": changes}


class Watch:
    """Watches the protector with a clock. What watching itself takes is in no step's time."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._counts: Counter[str] | None = None
        self._since = 0.0

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(step.seconds for step in self.steps)

    def began_anew(self) -> None:
        self.steps.clear()
        self._counts = None

    def began(self, step: str) -> None:
        self.steps.append(Step(step))
        self._since = monotonic_seconds()

    def ended(self, step: str) -> None:  # noqa: ARG002 -- steps do not overlap
        self.steps[-1].seconds = monotonic_seconds() - self._since

    def result(self, step: str, counts: Counter[str] | None, text: Callable[[], str] | None) -> None:  # noqa: ARG002
        last = self.steps[-1]
        last.size = None if text is None else len(text())
        if counts is not None and self._counts is not None:
            before, kinds = self._counts, dict.fromkeys([*self._counts, *counts])
            last.changes = {kind: (before[kind], counts[kind]) for kind in kinds if before[kind] != counts[kind]}
        self._counts = counts


def show_report(title: str, watch: Watch, *, source_bytes: int, output_bytes: int) -> None:
    """Print the steps as a table to standard error, where it does not get into the script."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column("step", style="bold")
    for heading in ("time, s", "size, bytes", "of source"):
        table.add_column(heading, justify="right")
    table.add_column("what changed", overflow="fold")
    for step in watch.steps:
        table.add_row(step.name, f"{step.seconds:.3f}", *_size(step.size, source_bytes), Text(step.summary))
    table.add_row("in all", f"{watch.seconds:.3f}", *_size(output_bytes, source_bytes), "", style="bold")
    screen = remarks()
    if not screen.is_terminal:
        screen.width = 160
    screen.print(table)
    remark(f"Source: {source_bytes:,} bytes.", "dim")


def _size(size: int | None, source_bytes: int) -> tuple[str, str]:
    return ("", "") if size is None else (f"{size:,}", f"x{size / max(1, source_bytes):.2f}")
